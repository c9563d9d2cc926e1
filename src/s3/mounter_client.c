/* Asking the mounter. */
#include "s3/mounter_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "s3/packet.h"
#include "s3/rclone_environment.h"

enum { QUESTION_MS = 10 * 1000, AFTER_PATIENCE_MS = 60 * 1000, SPAWN_MS = 20 * 1000, TRIES = 3 };

char *mounter_default_socket(const char *run_dir)
{
	return xasprintf("%s/mounter.sock", run_dir);
}

char *mounter_folder(const char *run_dir)
{
	return xasprintf("%s/mounter", run_dir);
}

void mounter_name(const char *id, char ret_name[MOUNTER_NAME_SIZE])
{
	char hex[HASH_HEX_SIZE];

	hash_hex(id, hex);
	snprintf(ret_name, MOUNTER_NAME_SIZE, "%.16s", hex);
}

char *mounter_rc_socket(const char *run_dir, const char *id)
{
	auto_free char *folder = mounter_folder(run_dir);
	char name[MOUNTER_NAME_SIZE];

	mounter_name(id, name);
	return xasprintf("%s/%s/rc.sock", folder, name);
}

static char *socket_of(const struct mounter *mounter)
{
	return mounter->socket_path ? xstrdup(mounter->socket_path)
				    : mounter_default_socket(mounter->run_dir);
}

static int connect_once(const char *path, int64_t timeout_ms, int *ret_fd)
{
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000 };
	const struct timeval hearing = { .tv_sec = QUESTION_MS / 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	/* A mounter that hangs accepts nobody, and its queue of connections becomes full. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &hearing, sizeof(hearing));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = TAKE(fd, -1);
	return 0;
}

static bool is_absent(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE || rc == -ECONNRESET;
}

/* A mounter of our own, for role `all`: it outlives us, and ends when it has nothing to do. */
static int spawn_mounter(const struct mounter *mounter, const char *socket_path, struct err *e)
{
	char *environment[RCLONE_ENVIRONMENT_MAX];
	auto_free char *run_dir = xasprintf("--run-dir=%s", mounter->run_dir);
	auto_free char *endpoint = xasprintf("--mounter-endpoint=unix://%s", socket_path);
	auto_free char *rclone = xasprintf("--rclone=%s", mounter->rclone);
	const char *const argv[] = { "/proc/self/exe", "mounter",	   run_dir, endpoint,
				     rclone,	       "--exit-when-idle", NULL };
	rclone_environment_fill(environment, NULL, 0);
	const struct spawn spawn = { .argv = argv,
				     .environment = (const char *const *)environment,
				     .program_fd = -1,
				     .errors_fd = -1,
				     .detached = true };
	int rc = spawn_program(&spawn, NULL, NULL, e);
	rclone_environment_free(environment);
	return rc;
}

static int wait_for_mounter(const char *path, int64_t timeout_ms, int *ret_fd)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	int64_t end = clock_ms() + SPAWN_MS;
	int rc;

	while (is_absent(rc = connect_once(path, timeout_ms, ret_fd)) && clock_ms() < end)
		nanosleep(&pause, NULL);
	return rc;
}

/*
 * *ret_absent: there is no mounter. A mounter that ends because it has nothing to do may take our
 * connection with it: then nothing was done, and the question is asked again.
 */
static int exchange(const struct mounter *mounter, const struct packet *question, bool needed,
		    int64_t timeout_ms, struct packet *ret_answer, bool *ret_absent, struct err *e)
{
	auto_free char *path = socket_of(mounter);
	int rc = 0;

	*ret_absent = false;
	for (int try = 0; try < TRIES; try++) {
		auto_close int fd = -1;

		rc = connect_once(path, timeout_ms, &fd);
		if (is_absent(rc) && needed && mounter->spawns) {
			if (spawn_mounter(mounter, path, e) < 0)
				return -1;
			rc = wait_for_mounter(path, timeout_ms, &fd);
		}
		if (rc == 0)
			rc = packet_send(fd, question);
		if (rc == 0)
			rc = packet_receive(fd, ret_answer);
		if (!is_absent(rc))
			break;
	}
	if (is_absent(rc) && mounter->spawns && !needed) {
		*ret_absent = true;
		return 0;
	}
	if (rc < 0)
		return err_set(
			e, ERR_UNAVAILABLE,
			"the mounter of this node does not answer at '%s': %s (is the pod of "
			"the mounter running?)",
			path, rc == -EAGAIN ? "no answer in time" : strerror(-rc));
	return 0;
}

static int check_answer(const struct packet *answer, struct err *e)
{
	const char *error = json_string_value(json_object_get(answer->json, "error"));
	json_int_t code = json_integer_value(json_object_get(answer->json, "code"));

	if (code == ERR_OK)
		return 0;
	return err_set(e,
		       code > 0 && code <= ERR_UNAUTHENTICATED ? (enum err_code)code : ERR_INTERNAL,
		       "%s", error ? error : "the mounter gave no reason");
}

static int ask_one(const struct mounter *mounter, const char *operation, const char *id,
		   bool needed, struct packet *ret_answer, bool *ret_absent, struct err *e)
{
	struct packet question = PACKET_NONE;

	question.json = json_object();
	json_object_set_new(question.json, "operation", json_string(operation));
	json_object_set_new(question.json, "volume", json_string(id));
	int rc = exchange(mounter, &question, needed, QUESTION_MS, ret_answer, ret_absent, e);
	packet_done(&question);
	if (rc < 0 || *ret_absent)
		return rc;
	return check_answer(ret_answer, e);
}

static int ask(const struct mounter *mounter, const char *operation, const char *id,
	       struct packet *ret_answer, bool *ret_absent, struct err *e)
{
	return ask_one(mounter, operation, id, false, ret_answer, ret_absent, e);
}

/* A mounter of an earlier version does not say: it stayed root. */
int mounter_user(const struct mounter *mounter, const char *id, uid_t *ret_user, struct err *e)
{
	auto_packet struct packet answer = PACKET_NONE;
	bool absent;

	if (ask_one(mounter, "look", id, true, &answer, &absent, e) < 0)
		return -1;
	*ret_user = (uid_t)json_integer_value(json_object_get(answer.json, "user"));
	return 0;
}

int mounter_start(const struct mounter *mounter, const struct mounter_start *start, struct err *e)
{
	auto_json json_t *json = json_object();
	auto_packet struct packet answer = PACKET_NONE;
	json_t *flags = json_array();
	bool absent;

	for (size_t i = 0; start->flags[i]; i++)
		json_array_append_new(flags, json_string(start->flags[i]));
	json_object_set_new(json, "operation", json_string("start"));
	json_object_set_new(json, "volume", json_string(start->id));
	json_object_set_new(json, "flags", flags);
	json_object_set_new(json, "memoryLimit", json_integer((json_int_t)start->memory_limit));
	json_object_set_new(json, "patienceMs", json_integer(start->patience_ms));
	const struct packet question = {
		.json = json, .fds = { start->fuse_fd, start->config_fd, start->cache_fd }
	};
	if (exchange(mounter, &question, true, start->patience_ms + AFTER_PATIENCE_MS, &answer,
		     &absent, e) < 0)
		return -1;
	return check_answer(&answer, e);
}

int mounter_look(const struct mounter *mounter, const char *id, struct mounter_status *ret_status,
		 struct err *e)
{
	auto_packet struct packet answer = PACKET_NONE;
	bool absent;

	memset(ret_status, 0, sizeof(*ret_status));
	if (ask(mounter, "look", id, &answer, &absent, e) < 0)
		return -1;
	if (absent)
		return 0;
	const char *error = json_string_value(json_object_get(answer.json, "lastError"));
	ret_status->known = json_is_true(json_object_get(answer.json, "known"));
	ret_status->alive = json_is_true(json_object_get(answer.json, "alive"));
	ret_status->starting = json_is_true(json_object_get(answer.json, "starting"));
	ret_status->exit_status =
		(int)json_integer_value(json_object_get(answer.json, "exitStatus"));
	snprintf(ret_status->error, sizeof(ret_status->error), "%s", error ? error : "");
	return 0;
}

int mounter_kill(const struct mounter *mounter, const char *id, struct err *e)
{
	auto_packet struct packet answer = PACKET_NONE;
	bool absent;

	return ask(mounter, "kill", id, &answer, &absent, e);
}

int mounter_config(const struct mounter *mounter, const char *id, int *ret_fd, struct err *e)
{
	auto_packet struct packet answer = PACKET_NONE;
	bool absent;

	if (ask(mounter, "config", id, &answer, &absent, e) < 0)
		return -1;
	*ret_fd = absent ? -1 : TAKE(answer.fds[0], -1);
	return 0;
}

int mounter_forget(const struct mounter *mounter, const char *id, struct err *e)
{
	auto_packet struct packet answer = PACKET_NONE;
	bool absent;

	return ask(mounter, "forget", id, &answer, &absent, e);
}
