/* Findings as a table or as JSON. */
#include "ctl/report.h"

#include <stdio.h>

#include "base/json.h"

static void print_json(const char *subject, const struct findings *findings)
{
	auto_json json_t *root = json_object();
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->all[i];
		json_t *one = json_object();

		json_object_set_new(one, "what", json_string(f->what));
		json_object_set_new(one, "result", json_string(finding_level_name(f->level)));
		json_object_set_new(one, "text", json_string(f->text));
		json_object_set_new(one, "mend", json_string(f->mend));
		json_array_append_new(list, one);
	}
	json_object_set_new(root, "subject", json_string(subject));
	json_object_set_new(root, "good", json_boolean(findings_are_good(findings)));
	json_object_set_new(root, "findings", list);
	auto_free char *text = json_text(root);
	fputs(text, stdout);
}

static void print_table(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->all[i];

		printf("%-6s %-14s %s\n", finding_level_name(f->level), f->what, f->text);
		if (*f->mend)
			printf("%-21s -> %s\n", "", f->mend);
	}
}

int ctl_report(const struct ctl *ctl, const char *subject, const struct findings *findings)
{
	if (ctl->output == CTL_JSON)
		print_json(subject, findings);
	else
		print_table(findings);
	return findings_are_good(findings) ? CTL_OK : CTL_WRONG;
}
