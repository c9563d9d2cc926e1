/* base/trim: what is given back comes back, and what was written stays. */
#include "base/trim.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "unit.h"

static char written[] = "before";
static const char *const relocated[] = { written, "constant" };

/* Whether the page of a function is in this process's page table (its own count, not the cache's).
 */
static bool is_mapped_in(const void *function)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint64_t entry = 0;
	FILE *map = fopen("/proc/self/pagemap", "re");

	assert_non_null(map);
	assert_int_equal(fseek(map, (long)((uintptr_t)function / page * sizeof(entry)), SEEK_SET),
			 0);
	assert_int_equal(fread(&entry, sizeof(entry), 1, map), 1);
	fclose(map);
	return entry >> 63;
}

static void code_is_let_go_of_and_comes_back(void **state)
{
	void *math = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
	double (*cosine)(double) = NULL;

	(void)state;
	assert_non_null(math);
	void *symbol = dlsym(math, "cos");
	memcpy(&cosine, &symbol, sizeof(symbol));
	assert_true(cosine(0.0) == 1.0);
	assert_true(is_mapped_in(symbol));
	secret_protect_process(); /* also when its pages are locked */
	trim_process();
	assert_false(is_mapped_in(symbol));
	assert_true(cosine(0.0) == 1.0);
	assert_true(is_mapped_in(symbol));
	dlclose(math);
}

static void what_was_written_stays(void **state)
{
	struct secret *secret = secret_new("correct horse", 13);

	(void)state;
	memcpy(written, "behind", sizeof(written));
	trim_process();
	assert_string_equal(written, "behind");
	assert_ptr_equal(relocated[0], written);
	assert_memory_equal(secret_bytes(secret), "correct horse", 13);
	secret_free(secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_is_let_go_of_and_comes_back),
		cmocka_unit_test(what_was_written_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
