/* lcw completion bash | zsh | fish: scripts made from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"

/* The name of a group that was not printed before, or NULL. */
static const char *new_group(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(ctl_commands[i].group, ctl_commands[at].group) == 0)
			return NULL;
	return ctl_commands[at].group;
}

static bool takes_id(const struct ctl_command *command)
{
	return strncmp(command->words, "ID", 2) == 0;
}

static void print_groups(void)
{
	for (size_t i = 0; i < ctl_command_count; i++)
		if (new_group(i))
			printf(" %s", ctl_commands[i].group);
}

static void print_names(const char *group)
{
	for (size_t i = 0; i < ctl_command_count; i++)
		if (strcmp(ctl_commands[i].group, group) == 0)
			printf(" %s", ctl_commands[i].name);
}

int ctl_completion_bash(const struct ctl *ctl, char *words[], struct err *e)
{
	(void)ctl;
	(void)words;
	(void)e;
	puts("# bash completion of lcw: . <(lcw completion bash)\n"
	     "_lcw() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=() choices='' i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\t[[ ${COMP_WORDS[i]} == -* ]] || words+=(\"${COMP_WORDS[i]}\")\n"
	     "\tdone\n"
	     "\tif [[ ${COMP_WORDS[COMP_CWORD - 1]} == -o ]]; then\n"
	     "\t\tchoices='table json name'\n"
	     "\telif [[ $cur == -* ]]; then");
	fputs("\t\tchoices='-o --help --version", stdout);
	for (size_t i = 0; i < ctl_option_count; i++)
		printf(" %s%s", ctl_options[i].name, ctl_options[i].placeholder ? "=" : "");
	fputs("'\n\t\tcompopt -o nospace 2> /dev/null\n"
	      "\telse\n"
	      "\t\tcase \"${words[*]}\" in\n"
	      "\t\t'') choices='",
	      stdout);
	print_groups();
	puts("' ;;");
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *group = new_group(i);

		if (!group)
			continue;
		printf("\t\t%s) choices='", group);
		print_names(group);
		puts("' ;;");
	}
	for (size_t i = 0; i < ctl_command_count; i++)
		if (takes_id(&ctl_commands[i]))
			printf("\t\t'%s %s') choices=$(lcw volume list -o name 2> /dev/null) ;;\n",
			       ctl_commands[i].group, ctl_commands[i].name);
	puts("\t\tesac\n"
	     "\tfi\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$cur\")\n"
	     "}\n"
	     "complete -F _lcw lcw");
	return CTL_OK;
}

/* Single quotes end a quoted text of every shell: ' becomes '\''. A colon is zsh's own. */
static void print_quoted(const char *text, bool colons)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (*text == ':' && colons)
			fputs("\\:", stdout);
		else
			putchar(*text);
	}
}

static void zsh_group(const char *group)
{
	printf("\t%s) choices=(", group);
	for (size_t i = 0; i < ctl_command_count; i++) {
		if (strcmp(ctl_commands[i].group, group) != 0)
			continue;
		printf("\n\t\t'%s:", ctl_commands[i].name);
		print_quoted(ctl_commands[i].help, true);
		putchar('\'');
	}
	puts(") ;;");
}

int ctl_completion_zsh(const struct ctl *ctl, char *words[], struct err *e)
{
	(void)ctl;
	(void)words;
	(void)e;
	puts("#compdef lcw\n"
	     "# zsh completion of lcw: lcw completion zsh > \"${fpath[1]}/_lcw\"\n"
	     "_lcw() {\n"
	     "\tlocal -a choices plain\n"
	     "\tplain=(${${words[2,CURRENT-1]}:#-*})\n"
	     "\tif [[ $words[CURRENT-1] == -o ]]; then\n"
	     "\t\tcompadd table json name\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tif [[ $words[CURRENT] == -* ]]; then");
	fputs("\t\tcompadd -S '' -- -o --help --version", stdout);
	for (size_t i = 0; i < ctl_option_count; i++)
		printf(" %s%s", ctl_options[i].name, ctl_options[i].placeholder ? "=" : "");
	fputs("\n\t\treturn\n\tfi\n\tcase \"$plain\" in\n\t'') choices=(", stdout);
	print_groups();
	puts(") ;;");
	for (size_t i = 0; i < ctl_command_count; i++)
		if (new_group(i))
			zsh_group(ctl_commands[i].group);
	for (size_t i = 0; i < ctl_command_count; i++)
		if (takes_id(&ctl_commands[i]))
			printf("\t'%s %s') choices=(${(f)\"$(lcw volume list -o name "
			       "2>/dev/null)\"}) ;;\n",
			       ctl_commands[i].group, ctl_commands[i].name);
	puts("\tesac\n"
	     "\t_describe 'lcw' choices\n"
	     "}\n"
	     "if [[ $funcstack[1] == _lcw ]]; then _lcw \"$@\"; else compdef _lcw lcw; fi");
	return CTL_OK;
}

static void fish_commands(const char *group)
{
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct ctl_command *c = &ctl_commands[i];

		if (strcmp(c->group, group) != 0)
			continue;
		printf("complete -c lcw -n '__lcw_at %s' -a %s -d '", group, c->name);
		print_quoted(c->help, false);
		puts("'");
		if (takes_id(c))
			printf("complete -c lcw -n '__lcw_at %s %s' -a '(lcw volume list -o name "
			       "2>/dev/null)'\n",
			       group, c->name);
	}
}

int ctl_completion_fish(const struct ctl *ctl, char *words[], struct err *e)
{
	(void)ctl;
	(void)words;
	(void)e;
	puts("# fish completion of lcw: lcw completion fish | source\n"
	     "function __lcw_at\n"
	     "\tset -l words (commandline -opc)[2..-1]\n"
	     "\tset -l plain (string match -v -- '-*' $words)\n"
	     "\ttest \"$plain\" = \"$argv\"\n"
	     "end\n"
	     "complete -c lcw -f\n"
	     "complete -c lcw -s o -x -a 'table json name' -d 'form of the output'\n"
	     "complete -c lcw -l help\n"
	     "complete -c lcw -l version");
	for (size_t i = 0; i < ctl_option_count; i++) {
		printf("complete -c lcw -l %s %s -d '", ctl_options[i].name + 2,
		       ctl_options[i].kind == CTL_FLAG	 ? ""
		       : ctl_options[i].kind == CTL_PATH ? "-r -F"
							 : "-x");
		print_quoted(ctl_options[i].help, false);
		puts("'");
	}
	for (size_t i = 0; i < ctl_command_count; i++) {
		if (!new_group(i))
			continue;
		printf("complete -c lcw -n __lcw_at -a %s\n", ctl_commands[i].group);
		fish_commands(ctl_commands[i].group);
	}
	return CTL_OK;
}
