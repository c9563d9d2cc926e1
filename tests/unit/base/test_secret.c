/* base/secret: a process that may lock only little memory keeps working. */
#include "base/secret.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define LITTLE (8u << 20)
#define LIBRARY (64u << 20)

/* In a container without capabilities, where 8 MiB may be locked; exit status: what went wrong. */
static int confined_process(void)
{
	const struct rlimit little = { LITTLE, LITTLE };

	if (setrlimit(RLIMIT_MEMLOCK, &little) < 0)
		return 1;
	if (geteuid() == 0 && setresuid(65532, 65532, 65532) < 0)
		return 2;
	secret_protect_process(); /* says that it could not lock all, but not under a sanitizer */
	if (mmap(NULL, LIBRARY, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 3;
	struct secret *secret = secret_new("correct horse", 13);
	if (secret_size(secret) != 13)
		return 4;
	secret_free(secret);
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 5;
}

static void a_process_that_may_lock_little_can_map_more(void **state)
{
	int status = -1;

	(void)state;
	pid_t child = fork();
	if (child == 0)
		_exit(confined_process());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_may_lock_little_can_map_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
