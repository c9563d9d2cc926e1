/* Counting volumes, looking at their conditions, at what waits for S3, and at the disks. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/condition.h"
#include "engine/s3_child.h"
#include "ops/survey.h"

enum { STATES = VOLUME_CREATING + 1, BACKENDS = BACKEND_S3 + 1 };

struct found {
	unsigned long volumes[BACKENDS][STATES], abnormal[BACKENDS], unreadable;
	uint64_t capacity_bytes[BACKENDS];
	char **places; /* distinct; owned */
	size_t place_count;
};

static const char *const backend_names[BACKENDS] = {
	[BACKEND_LOCAL] = "local", [BACKEND_S3] = "s3"
};

static void head(FILE *out, const char *name, const char *help)
{
	fprintf(out, "# HELP lukscryptwalker_%s %s\n# TYPE lukscryptwalker_%s gauge\n", name, help,
		name);
}

/* A label's value: backslash, quote and line end are escaped. */
static void put_label(FILE *out, const char *name, const char *label, const char *value)
{
	fprintf(out, "lukscryptwalker_%s{%s=\"", name, label);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputs("\"} ", out);
}

static void add_place(struct found *found, const char *place)
{
	for (size_t i = 0; i < found->place_count; i++)
		if (strcmp(found->places[i], place) == 0)
			return;
	found->places = xrealloc(found->places, (found->place_count + 1) * sizeof(char *));
	found->places[found->place_count++] = xstrdup(place);
}

static void found_done(struct found *found)
{
	for (size_t i = 0; i < found->place_count; i++)
		free(found->places[i]);
	free(found->places);
}

/* Volumes in S3 have lines of their own: they are few on a node, and each may hold data back. */
static void put_waiting(FILE *out, const struct node *node, const struct volume_record *record)
{
	struct s3_child child;
	struct err ignored;

	if (s3_child_look(node, record->id, &child, &ignored) < 0 || !child.known)
		return;
	put_label(out, "s3_rclone_alive", "volume", record->id);
	fprintf(out, "%d\n", child.alive);
	if (!child.queue_known)
		return;
	put_label(out, "s3_waiting_files", "volume", record->id);
	fprintf(out, "%" PRIu64 "\n", child.queued + child.uploading);
	put_label(out, "s3_waiting_bytes", "volume", record->id);
	fprintf(out, "%" PRIu64 "\n", child.queued_bytes);
	put_label(out, "s3_uploads", "volume", record->id);
	fprintf(out, "%" PRIu64 "\n", child.uploading);
	put_label(out, "s3_cache_bytes", "volume", record->id);
	fprintf(out, "%" PRIu64 "\n", child.cache_bytes);
}

static void look_at(const struct node *node, const struct volume_record *record,
		    struct found *found, FILE *waiting)
{
	enum backend backend = params_backend(&record->params);
	struct condition condition;

	found->volumes[backend][record->state]++;
	found->capacity_bytes[backend] += record->capacity_bytes;
	if (strcmp(record->node, node->id) != 0)
		return;
	condition_look(node, record, &condition);
	found->abnormal[backend] += condition.abnormal;
	if (backend == BACKEND_S3)
		put_waiting(waiting, node, record);
	else
		add_place(found, record->params.value[PARAM_LOCAL_PATH]);
}

static void put_counts(FILE *out, const struct found *found)
{
	head(out, "volumes", "Volumes that the store knows, by backend and state.");
	for (int backend = 0; backend < BACKENDS; backend++)
		for (int state = 0; state < STATES; state++)
			fprintf(out, "lukscryptwalker_volumes{backend=\"%s\",state=\"%s\"} %lu\n",
				backend_names[backend], volume_state_name((enum volume_state)state),
				found->volumes[backend][state]);
	head(out, "volumes_abnormal", "Volumes of this node whose condition is abnormal.");
	for (int backend = 0; backend < BACKENDS; backend++) {
		put_label(out, "volumes_abnormal", "backend", backend_names[backend]);
		fprintf(out, "%lu\n", found->abnormal[backend]);
	}
	head(out, "capacity_bytes", "Sum of the sizes of all volumes.");
	for (int backend = 0; backend < BACKENDS; backend++) {
		put_label(out, "capacity_bytes", "backend", backend_names[backend]);
		fprintf(out, "%" PRIu64 "\n", found->capacity_bytes[backend]);
	}
	head(out, "unreadable_records", "Records of the store that cannot be read.");
	fprintf(out, "lukscryptwalker_unreadable_records %lu\n", found->unreadable);
}

static void put_places(FILE *out, const struct node *node, const struct found *found)
{
	uint64_t free_bytes;
	struct err e;

	head(out, "pool_free_bytes", "What new volumes can take, by local-path.");
	for (size_t i = 0; i < found->place_count; i++) {
		free_bytes = 0;
		if (local_free_bytes(node, found->places[i], &free_bytes, &e) < 0 &&
		    e.code != ERR_RESOURCE_EXHAUSTED)
			continue;
		put_label(out, "pool_free_bytes", "local_path", found->places[i]);
		fprintf(out, "%" PRIu64 "\n", free_bytes);
	}
}

/* The lines of one metric must stand together (exposition format). */
static void put_sorted(FILE *out, const char *lines)
{
	static const struct {
		const char *name, *help;
	} kinds[] = {
		{ "s3_rclone_alive", "Whether the rclone of a volume in S3 runs." },
		{ "s3_waiting_files", "Files of a volume that are not in S3 yet." },
		{ "s3_waiting_bytes", "Their bytes." },
		{ "s3_uploads", "Files of a volume that are being uploaded now." },
		{ "s3_cache_bytes", "Bytes in the cache of a volume in S3." },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t skip = strlen("lukscryptwalker_"), length = strlen(kinds[i].name);

		head(out, kinds[i].name, kinds[i].help);
		for (const char *line = lines; *line;) {
			size_t size = strcspn(line, "\n") + 1;

			if (strncmp(line + skip, kinds[i].name, length) == 0 &&
			    line[skip + length] == '{')
				fwrite(line, 1, size, out);
			line += size;
		}
	}
}

int survey_look(const struct node *node, struct store *store, FILE *out, struct err *e)
{
	__attribute__((cleanup(found_done))) struct found found = { 0 };
	auto_free char *lines = NULL;
	char **ids = NULL;
	size_t count, size;
	bool more;

	if (store_list(store, "", 0, &ids, &count, &more, e) < 0)
		return -1;
	FILE *waiting = open_memstream(&lines, &size);
	if (!waiting)
		abort();
	for (size_t i = 0; i < count; i++) {
		auto_record struct volume_record record = { 0 };
		struct err why;

		if (store_get(store, ids[i], &record, &why) == 0)
			look_at(node, &record, &found, waiting);
		else
			found.unreadable += why.code != ERR_NOT_FOUND;
	}
	store_ids_free(ids, count);
	if (fclose(waiting) != 0)
		abort();
	put_counts(out, &found);
	put_places(out, node, &found);
	put_sorted(out, lines);
	return 0;
}
