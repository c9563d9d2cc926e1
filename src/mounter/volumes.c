/* The volumes of the mounter. */
#include "mounter/volumes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "mounter/child.h"
#include "volume/id.h"

enum { FLAGS_MAX = 64, WAITING_MAX = 8, PATIENCE_MIN_MS = 1000, PATIENCE_MAX_MS = 2 * 3600 * 1000 };

struct mounted {
	struct volumes *all;
	struct mounted *next;
	char id[VOLUME_ID_MAX + 1];
	struct child *child; /* NULL: ended */
	bool starting;
	int config_fd, exit_status;
	char error[256];	  /* of the rclone that ended */
	int starter;		  /* connection that waits for READY, or -1 */
	int killers[WAITING_MAX]; /* connections that wait for the end */
	size_t killer_count;
	struct reactor_timer *patience;
};

struct volumes {
	struct reactor *reactor;
	const char *rclone;
	int rclone_fd;
	struct mounted *first;
	reactor_timer_fn *forgotten;
	void *data;
};

struct volumes *volumes_new(struct reactor *reactor, const char *rclone, int rclone_fd,
			    reactor_timer_fn *forgotten, void *data)
{
	struct volumes *volumes = xcalloc(1, sizeof(*volumes));

	*volumes = (struct volumes){ reactor, rclone, rclone_fd, NULL, forgotten, data };
	return volumes;
}

bool volumes_are_none(const struct volumes *volumes)
{
	return !volumes->first;
}

static struct mounted *find(struct volumes *volumes, const char *id)
{
	struct mounted *at = volumes->first;

	while (at && strcmp(at->id, id) != 0)
		at = at->next;
	return at;
}

static void send_and_close(json_t *json_take, int config_fd, int fd_take)
{
	struct packet answer = PACKET_NONE;

	answer.json = json_take;
	answer.fds[0] = config_fd;
	int rc = packet_send(fd_take, &answer);
	if (rc < 0)
		log_warn("an answer could not be sent", KV("error", strerror(-rc)));
	json_decref(json_take);
	close(fd_take);
}

static void answer_ok(int fd_take)
{
	send_and_close(json_object(), -1, fd_take);
}

static void answer_error(const struct err *e, int fd_take)
{
	json_t *json = json_object();

	json_object_set_new(json, "code", json_integer((json_int_t)e->code));
	json_object_set_new(json, "error", json_string(e->msg));
	send_and_close(json, -1, fd_take);
}

static void forget(struct volumes *volumes, struct mounted *mounted)
{
	struct mounted **at = &volumes->first;

	while (*at != mounted)
		at = &(*at)->next;
	*at = mounted->next;
	cleanup_close(&mounted->config_fd);
	free(mounted);
	volumes->forgotten(volumes->data);
}

static void stop_waiting(struct mounted *mounted)
{
	reactor_cancel(TAKE(mounted->patience, NULL));
	mounted->starting = false;
}

static void on_ready(void *data)
{
	struct mounted *mounted = data;

	stop_waiting(mounted);
	log_info("rclone serves", KV("volume", mounted->id));
	if (mounted->starter >= 0)
		answer_ok(TAKE(mounted->starter, -1));
}

static void tell_failed_start(struct mounted *mounted)
{
	struct err e;

	err_set(&e, ERR_FAILED_PRECONDITION, "rclone ended with status %d before it served: %s",
		mounted->exit_status, *mounted->error ? mounted->error : "it gave no reason");
	answer_error(&e, TAKE(mounted->starter, -1));
}

static void on_ended(void *data, int status)
{
	struct mounted *mounted = data;

	snprintf(mounted->error, sizeof(mounted->error), "%s", child_error(mounted->child));
	child_free(TAKE(mounted->child, NULL));
	mounted->exit_status = status;
	stop_waiting(mounted);
	if (status == 0)
		log_info("rclone ended", KV("volume", mounted->id));
	else
		log_error("rclone ended by itself or was killed", KV("volume", mounted->id),
			  KV("status", status), KV("lastError", (const char *)mounted->error));
	if (mounted->starter >= 0)
		tell_failed_start(mounted);
	while (mounted->killer_count)
		answer_ok(mounted->killers[--mounted->killer_count]);
}

static void out_of_patience(void *data)
{
	struct mounted *mounted = data;

	mounted->patience = NULL;
	log_error("rclone does not become ready: it is ended", KV("volume", mounted->id));
	child_kill(mounted->child);
}

static struct mounted *add(struct volumes *volumes, const char *id)
{
	struct mounted *mounted = xcalloc(1, sizeof(*mounted));

	mounted->all = volumes;
	mounted->config_fd = mounted->starter = -1;
	snprintf(mounted->id, sizeof(mounted->id), "%s", id);
	mounted->next = volumes->first;
	volumes->first = mounted;
	return mounted;
}

static int take_flags(const json_t *question, const char *flags[FLAGS_MAX + 1], struct err *e)
{
	const json_t *list = json_object_get(question, "flags"), *flag;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > FLAGS_MAX)
		return err_set(e, ERR_INVALID_ARGUMENT, "flags are missing, or too many");
	json_array_foreach(list, i, flag)
	{
		const char *text = json_string_value(flag);

		if (!text || strncmp(text, "--", 2) != 0)
			return err_set(e, ERR_INVALID_ARGUMENT, "a flag is none");
		flags[i] = text;
	}
	flags[i] = NULL;
	return 0;
}

static int64_t patience_of(const json_t *question)
{
	json_int_t ms = json_integer_value(json_object_get(question, "patienceMs"));

	return ms < PATIENCE_MIN_MS ? PATIENCE_MIN_MS : ms > PATIENCE_MAX_MS ? PATIENCE_MAX_MS : ms;
}

static uint64_t memory_limit_of(const json_t *question)
{
	json_int_t bytes = json_integer_value(json_object_get(question, "memoryLimit"));

	return bytes > 0 ? (uint64_t)bytes : 0;
}

static void start(struct volumes *volumes, const char *id, struct packet *question, int fd_take)
{
	const char *flags[FLAGS_MAX + 1];
	struct mounted *mounted = find(volumes, id);
	struct err e = { 0 };

	if (mounted && mounted->child)
		err_set(&e, ERR_ALREADY_EXISTS, "an rclone of volume '%s' is running already", id);
	else if (question->fds[0] < 0 || question->fds[1] < 0)
		err_set(&e, ERR_INVALID_ARGUMENT, "two descriptors are needed to start");
	else if (take_flags(question->json, flags, &e) == 0 && !mounted)
		mounted = add(volumes, id);
	if (e.code != ERR_OK) {
		answer_error(&e, fd_take);
		return;
	}
	cleanup_close(&mounted->config_fd);
	mounted->config_fd = TAKE(question->fds[1], -1);
	*mounted->error = '\0';
	const struct child_plan plan = {
		.rclone = volumes->rclone,
		.rclone_fd = volumes->rclone_fd,
		.id = mounted->id,
		.flags = flags,
		.fuse_fd = question->fds[0],
		.config_fd = mounted->config_fd,
		.cache_fd = question->fds[2],
		.memory_limit = memory_limit_of(question->json),
		.observer = { on_ready, on_ended, mounted },
	};
	mounted->child = child_start(volumes->reactor, &plan, &e);
	if (!mounted->child) {
		answer_error(&e, fd_take);
		return;
	}
	mounted->starting = true;
	mounted->starter = fd_take;
	mounted->patience = reactor_after(volumes->reactor, patience_of(question->json),
					  out_of_patience, mounted);
}

static void look(const struct mounted *mounted, int fd_take)
{
	json_t *json = json_object();

	json_object_set_new(json, "user", json_integer(geteuid()));
	json_object_set_new(json, "known", json_boolean(mounted != NULL));
	if (mounted) {
		const char *error = mounted->child ? child_error(mounted->child) : mounted->error;

		json_object_set_new(json, "alive", json_boolean(mounted->child != NULL));
		json_object_set_new(json, "starting", json_boolean(mounted->starting));
		json_object_set_new(json, "exitStatus", json_integer(mounted->exit_status));
		json_object_set_new(json, "lastError", json_string(error));
	}
	send_and_close(json, -1, fd_take);
}

static void end(struct mounted *mounted, int fd_take)
{
	struct err e;

	if (!mounted || !mounted->child) {
		answer_ok(fd_take);
	} else if (mounted->killer_count == WAITING_MAX) {
		err_set(&e, ERR_ABORTED, "the rclone of volume '%s' is being ended", mounted->id);
		answer_error(&e, fd_take);
	} else {
		mounted->killers[mounted->killer_count++] = fd_take;
		child_kill(mounted->child);
	}
}

static void drop(struct volumes *volumes, struct mounted *mounted, int fd_take)
{
	struct err e;

	if (mounted && mounted->child) {
		err_set(&e, ERR_FAILED_PRECONDITION, "the rclone of volume '%s' is running",
			mounted->id);
		answer_error(&e, fd_take);
		return;
	}
	answer_ok(fd_take);
	if (mounted)
		forget(volumes, mounted);
}

void volumes_answer(struct volumes *volumes, struct packet *question, int fd_take)
{
	const char *operation = json_string_value(json_object_get(question->json, "operation"));
	const char *id = json_string_value(json_object_get(question->json, "volume"));
	struct mounted *mounted;
	struct err e = { 0 };

	if (!operation || !id || volume_id_check(id, &e) < 0) {
		err_set(&e, ERR_INVALID_ARGUMENT, "operation or volume is missing");
		answer_error(&e, fd_take);
		return;
	}
	mounted = find(volumes, id);
	if (strcmp(operation, "start") == 0) {
		start(volumes, id, question, fd_take);
	} else if (strcmp(operation, "look") == 0) {
		look(mounted, fd_take);
	} else if (strcmp(operation, "kill") == 0) {
		end(mounted, fd_take);
	} else if (strcmp(operation, "config") == 0) {
		send_and_close(json_object(), mounted ? mounted->config_fd : -1, fd_take);
	} else if (strcmp(operation, "forget") == 0) {
		drop(volumes, mounted, fd_take);
	} else {
		err_set(&e, ERR_UNIMPLEMENTED, "unknown operation '%.40s'", operation);
		answer_error(&e, fd_take);
	}
}

void volumes_free(struct volumes *volumes)
{
	if (!volumes)
		return;
	while (volumes->first) {
		struct mounted *mounted = volumes->first;

		volumes->first = mounted->next;
		child_free(mounted->child); /* it dies with us */
		cleanup_close(&mounted->config_fd);
		free(mounted);
	}
	free(volumes);
}
