/* /proc/self/mountinfo. */
#include "sys/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define TEXT_LIMIT (16u << 20)

/* The kernel writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
		    in[3] >= '0' && in[3] <= '7') {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

static char *field(const char *text, size_t length)
{
	char *copy = xcalloc(1, length + 1);

	memcpy(copy, text, length);
	unescape(copy);
	return copy;
}

/* Splits off the next word. One space is between two words, so a word may be empty. */
static size_t next_word(const char **at, const char **ret_word)
{
	*at += **at == ' ';
	*ret_word = *at;
	size_t length = strcspn(*at, " \n");
	*at += length;
	return length;
}

/* One decimal number and the character behind it. Not sscanf: it measures all of the text. */
static bool take_number(const char **at, char behind, unsigned *ret_number)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	unsigned long number = strtoul(*at, &end, 10);
	if (*end != behind || number > INT_MAX)
		return false;
	*ret_number = (unsigned)number;
	*at = end + 1;
	return true;
}

static bool take_numbers(const char **at, struct mount_entry *entry)
{
	unsigned id, parent_id, major, minor;

	if (!take_number(at, ' ', &id) || !take_number(at, ' ', &parent_id) ||
	    !take_number(at, ':', &major) || !take_number(at, ' ', &minor))
		return false;
	(*at)--; /* each word takes the space before it */
	entry->id = (int)id;
	entry->parent_id = (int)parent_id;
	entry->device = makedev(major, minor);
	return true;
}

/* "36 35 98:0 /root /target rw,noatime shared:1 - ext4 /dev/x rw": see proc_pid_mountinfo(5). */
static bool parse_line(const char *line, struct mount_entry *entry)
{
	char **const head[] = { &entry->root, &entry->target, &entry->options };
	char **const tail[] = { &entry->type, &entry->source, &entry->super_options };
	const char *word;
	size_t length;

	if (!take_numbers(&line, entry))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(head); i++) {
		if ((length = next_word(&line, &word)) == 0)
			return false;
		*head[i] = field(word, length);
	}
	while ((length = next_word(&line, &word)) != 0 && !(length == 1 && *word == '-'))
		if (strncmp(word, "shared:", 7) == 0)
			entry->shared = true;
	if (length == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(tail); i++) {
		length = next_word(&line, &word);
		if (i == 0 && length == 0)
			return false;
		*tail[i] = field(word, length);
	}
	return true;
}

static void entry_done(struct mount_entry *entry)
{
	free(entry->root);
	free(entry->target);
	free(entry->options);
	free(entry->type);
	free(entry->source);
	free(entry->super_options);
}

int mount_table_parse(const char *text, struct mount_table *ret_table, struct err *e)
{
	auto_mount_table struct mount_table table = { 0 };
	size_t room = 0;
	unsigned line = 0;

	while (*text) {
		struct mount_entry entry = { 0 };

		line++;
		if (!parse_line(text, &entry)) {
			entry_done(&entry);
			return err_set(e, ERR_INTERNAL, "cannot understand line %u of mountinfo",
				       line);
		}
		if (table.count == room) {
			room = room ? 2 * room : 64;
			table.entries = xrealloc(table.entries, room * sizeof(*table.entries));
		}
		table.entries[table.count++] = entry;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*ret_table = table;
	memset(&table, 0, sizeof(table));
	return 0;
}

/* The file has no size to ask for and must be read whole, else it tears. */
static int read_text(char **ret_text)
{
	auto_close int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	auto_free char *text = NULL;
	size_t used = 0, size = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (size - used < 4096) {
			size = size ? 2 * size : 64 << 10;
			if (size > TEXT_LIMIT)
				return -EFBIG;
			text = xrealloc(text, size);
		}
		ssize_t got = read(fd, text + used, size - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	*ret_text = TAKE(text, NULL);
	return 0;
}

int mount_table_read(struct mount_table *ret_table, struct err *e)
{
	auto_free char *text = NULL;
	int rc = read_text(&text);

	if (rc < 0)
		return err_sys(e, -rc, "cannot read /proc/self/mountinfo");
	return mount_table_parse(text, ret_table, e);
}

void mount_table_done(struct mount_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_done(&table->entries[i]);
	free(table->entries);
	memset(table, 0, sizeof(*table));
}

const struct mount_entry *mount_table_at(const struct mount_table *table, const char *path)
{
	for (size_t i = table->count; i-- > 0;)
		if (strcmp(table->entries[i].target, path) == 0)
			return &table->entries[i];
	return NULL;
}

const struct mount_entry *mount_table_covering(const struct mount_table *table, const char *path)
{
	const struct mount_entry *best = NULL;
	size_t best_length = 0;

	for (size_t i = 0; i < table->count; i++) {
		const char *target = table->entries[i].target;
		size_t length = strcmp(target, "/") == 0 ? 0 : strlen(target);

		if (strncmp(path, target, length) != 0 ||
		    (path[length] != '/' && path[length] != '\0'))
			continue;
		if (!best || length >= best_length) {
			best = &table->entries[i];
			best_length = length;
		}
	}
	return best;
}

bool mount_has_option(const char *options, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = options; *at;) {
		size_t size = strcspn(at, ",");

		if (size == length && strncmp(at, word, length) == 0)
			return true;
		at += size + (at[size] == ',');
	}
	return false;
}
