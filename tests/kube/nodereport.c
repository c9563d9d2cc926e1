/*
 * The node's report for the tests in Python.
 *
 *	nodereport CONFIG
 *
 * Reads a line of JSON per report, a LUKSNode, from standard input, sends it, and answers each
 * with {"code": "OK"} or {"code": ..., "message": ...}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/node_report.h"

static void answer(struct kube_client *client, const char *line)
{
	auto_node_room struct node_room room = { 0 };
	struct err e = { 0 };
	auto_json json_t *object = json_parse_object(line, "the line", &e);
	auto_json json_t *said = json_object();

	node_room_parse(object, &room);
	int rc = object ? node_report_send(client, &room, &e) : -1;
	json_object_set_new(said, "code", json_string(rc == 0 ? "OK" : err_code_name(e.code)));
	if (rc < 0)
		json_object_set_new(said, "message", json_string(e.msg));
	auto_free char *text = json_dumps(said, JSON_COMPACT);
	puts(text);
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	struct kube_config config;
	struct err e = { 0 };
	auto_free char *line = NULL;
	size_t room = 0;

	if (argc != 2 || kube_config_load(argv[1], &config, &e) < 0) {
		puts(e.msg);
		return 1;
	}
	struct kube_client *client = kube_client_new(&config);
	while (getline(&line, &room, stdin) > 0)
		answer(client, line);
	kube_client_free(client);
	return 0;
}
