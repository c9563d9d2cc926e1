#include "act.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "gen/csi.pb-c.h"

/* Counts where the text lies in writable memory of this process. */
static int count_in_memory(const char *text)
{
	auto_fclose FILE *maps = fopen("/proc/self/maps", "re");
	auto_close int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	const size_t size = 1 << 20;
	char *chunk = xcalloc(1, size);
	char line[512];
	int count = 0;

	while (maps && memory >= 0 && fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char mode[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w')
			continue;
		if (to - from > 256UL << 20) /* a sanitizer's shadow */
			continue;
		for (; from < to; from += size) {
			size_t wanted = to - from < size ? to - from : size;
			ssize_t got = pread(memory, chunk, wanted, (off_t)from);

			for (char *at = chunk; got > 0;) {
				at = memmem(at, (size_t)(chunk + got - at), text, strlen(text));
				if (!at)
					break;
				char *address = (char *)from + (at - chunk);

				/* What was read into the chunk does not count. */
				count += address < chunk || address >= chunk + size;
				at += strlen(text);
			}
		}
	}
	free(chunk);
	return count - 1; /* `text` itself */
}

static char *list_descriptors(void)
{
	char *list = xstrdup("");

	for (int fd = 0; fd < 4096; fd++) {
		char path[64], target[256] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			continue;
		char *longer = xasprintf("%s%d=%s\n", list, fd, target);
		free(list);
		list = longer;
	}
	return list;
}

static char *read_status(void)
{
	auto_fclose FILE *file = fopen("/proc/self/status", "re");
	char *text = xcalloc(1, 8192);

	if (file)
		text[fread(text, 1, 8191, file)] = '\0';
	char *all = xasprintf("Sid:\t%d\n%s", (int)getsid(0), text);
	free(text);
	return all;
}

static int fail(const char *arg, struct err *e)
{
	char *text;
	long code = strtol(arg, &text, 10);

	return err_set(e, (enum err_code)code, "%s", *text ? text + 1 : "");
}

static char *show_secret(const struct rpc_call *call, const char *name)
{
	const struct secret *secret = rpc_call_secret(call, name);
	const Csi__V1__ValidateVolumeCapabilitiesRequest *request = (const void *)call->request;

	return xasprintf("size=%ld count=%zu left=%zu", secret ? (long)secret_size(secret) : -1L,
			 rpc_call_secret_count(call), request->n_secrets);
}

/* Sleeps, then leaves a file: proof that the worker went on. */
static void touch_later(const char *arg)
{
	char *path;
	long ms = strtol(arg, &path, 10);

	usleep((useconds_t)ms * 1000);
	int fd = open(path + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static char *scan(const char *reversed)
{
	size_t size = strlen(reversed);
	char *text = xcalloc(1, size + 1);

	for (size_t i = 0; i < size; i++)
		text[i] = reversed[size - 1 - i];
	char *answer = xasprintf("hits=%d", count_in_memory(text));
	free(text);
	return answer;
}

char *act_do(const struct rpc_call *call, const char *id, struct err *e)
{
	const char *dash = strchr(id, '-');
	const char *arg = dash ? dash + 1 : "";
	size_t verb = dash ? (size_t)(dash - id) : strlen(id);

#define VERB(word) (verb == strlen(word) && memcmp(id, word, verb) == 0)
	if (VERB("sleep"))
		usleep((useconds_t)atol(arg) * 1000);
	else if (VERB("touch"))
		touch_later(arg);
	else if (VERB("segv"))
		raise(SIGSEGV);
	else if (VERB("exit"))
		_exit(atoi(arg));
	else if (VERB("silent"))
		return NULL;
	else if (VERB("error"))
		return fail(arg, e), NULL;
	else if (VERB("secret"))
		return show_secret(call, arg);
	else if (VERB("scan"))
		return scan(arg);
	else if (VERB("fds"))
		return list_descriptors();
	else if (VERB("status"))
		return read_status();
	else if (VERB("badtext"))
		return xstrdup("\xff\xfe");
	else if (VERB("garbage")) { /* what a worker with a broken memory might write */
		for (int fd = 3; fd < 64; fd++) {
			ssize_t ignored = write(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
			(void)ignored;
		}
		usleep(300 * 1000);
	} else if (VERB("big")) {
		char *text = xcalloc(1, (size_t)atol(arg) + 1);

		memset(text, 'x', (size_t)atol(arg));
		return text;
	} else if (VERB("deadline"))
		return xasprintf("%lld", (long long)call->deadline_ms);
	return xstrdup(id);
}
