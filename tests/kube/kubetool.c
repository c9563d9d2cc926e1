/*
 * The API client for the tests in Python.
 *
 *	kubetool [--timeout=MS] CONFIG...      CONFIG: FILE, or DIR HOST PORT as of a pod
 *
 * Reads lines from standard input, `VERB PATH [JSON]`, and answers each with a line of JSON:
 * {"code": "OK", "object": ...} or {"code": ..., "message": ...}. Verbs: get, list, create,
 *replace, patch, apply, delete (JSON: {"uid": ...}), add (adds 1 to spec.count, again on
 *conflicts), fork (the rest of the lines is read by a child).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/client.h"

static int append(void *data, const json_t *object, struct err *e)
{
	(void)e;
	return json_array_append(data, (json_t *)object);
}

static int add_one(void *data, json_t *object, struct err *e)
{
	json_t *spec = json_object_get(object, "spec");

	(void)data;
	(void)e;
	json_int_t now = json_integer_value(json_object_get(spec, "count"));
	return json_object_set_new(spec, "count", json_integer(now + 1)) < 0 ? -1 : 1;
}

static int run_verb(struct kube_client *client, const char *verb, const char *path,
		    const json_t *body, json_t **ret_object, struct err *e)
{
	if (strcmp(verb, "get") == 0)
		return kube_get(client, path, ret_object, e);
	if (strcmp(verb, "list") == 0) {
		*ret_object = json_array();
		return kube_list(client, path, NULL, append, *ret_object, e);
	}
	if (strcmp(verb, "create") == 0)
		return kube_create(client, path, body, ret_object, e);
	if (strcmp(verb, "replace") == 0)
		return kube_replace(client, path, body, ret_object, e);
	if (strcmp(verb, "patch") == 0)
		return kube_patch(client, path, body, ret_object, e);
	if (strcmp(verb, "apply") == 0)
		return kube_apply(client, path, "kubetool", body, ret_object, e);
	if (strcmp(verb, "add") == 0)
		return kube_update(client, path, add_one, NULL, e);
	return kube_delete(client, path, json_string_value(json_object_get(body, "uid")), e);
}

static void answer(struct kube_client *client, char *line)
{
	struct err e = { 0 };
	char *rest = line, *verb = strsep(&rest, " "), *path = strsep(&rest, " ");
	auto_json json_t *body = rest ? json_loads(rest, 0, NULL) : NULL;
	json_t *object = NULL;
	auto_json json_t *said = json_object();

	int rc = run_verb(client, verb, path, body, &object, &e);
	json_object_set_new(said, "code", json_string(rc == 0 ? "OK" : err_code_name(e.code)));
	if (rc < 0)
		json_object_set_new(said, "message", json_string(e.msg));
	if (object)
		json_object_set_new(said, "object", object);
	auto_free char *text = json_dumps(said, JSON_COMPACT);
	puts(text);
	fflush(stdout);
}

/* Like a worker: the child goes on with what the parent has open. */
static int serve(struct kube_client *client)
{
	auto_free char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int status = 0;
	pid_t child = -1;

	while ((length = getline(&line, &room, stdin)) > 0) {
		line[length - 1] = '\0';
		if (strcmp(line, "fork") != 0) {
			answer(client, line);
			continue;
		}
		child = fork();
		if (child == 0)
			continue;
		waitpid(child, &status, 0);
		break;
	}
	/* As a worker ends: the parent's connection is not the child's to close. */
	if (child == 0)
		_exit(0);
	return status;
}

int main(int argc, char *argv[])
{
	struct kube_config config;
	struct err e = { 0 };
	int at = 1, rc;
	long timeout = 0;

	if (argc > at && sscanf(argv[at], "--timeout=%ld", &timeout) == 1)
		at++;
	if (argc - at == 3)
		rc = kube_config_in_cluster(argv[at], argv[at + 1], argv[at + 2], &config, &e);
	else
		rc = kube_config_load(argv[at], &config, &e);
	if (rc < 0) {
		puts(e.msg);
		return 1;
	}
	struct kube_client *client = kube_client_new(&config);
	if (timeout)
		kube_client_set_timeout(client, timeout);
	puts("ready");
	fflush(stdout);
	int status = serve(client);
	kube_client_free(client);
	return status;
}
