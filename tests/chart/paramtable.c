/*
 * The driver's own view of StorageClass parameters, for the generator of the reference and for the
 * tests of the chart.
 *   paramtable               the table, one JSON object a line
 *   paramtable KEY=VALUE...  0 if the driver takes these parameters, else 1 and its sentence
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "volume/params.h"

static int print_table(void)
{
	for (size_t i = 0; i < PARAM_COUNT; i++) {
		const struct param_rule *rule = &param_rules[i];
		json_t *row =
			json_pack("{s:s, s:s?, s:b, s:b, s:s}", "key", rule->key, "default",
				  rule->initial, "local", (rule->backends >> BACKEND_LOCAL) & 1,
				  "s3", (rule->backends >> BACKEND_S3) & 1, "expected",
				  rule->expected);

		if (!row || json_dumpf(row, stdout, JSON_ENSURE_ASCII) < 0)
			return 1;
		putchar('\n');
		json_decref(row);
	}
	return 0;
}

static int check(int count, char *words[])
{
	struct text_pair pairs[64];
	auto_params struct params params = { 0 };
	struct err e;

	if (count > (int)ARRAY_LEN(pairs))
		return 2;
	for (int i = 0; i < count; i++) {
		char *equals = strchr(words[i], '=');

		if (!equals)
			return 2;
		*equals = '\0';
		pairs[i] = (struct text_pair){ .key = words[i], .value = equals + 1 };
	}
	if (params_parse(pairs, (size_t)count, &params, &e) == 0)
		return 0;
	puts(e.msg);
	return 1;
}

int main(int argc, char *argv[])
{
	return argc == 1 ? print_table() : check(argc - 1, argv + 1);
}
