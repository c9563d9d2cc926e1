/* Memory that a process holds and does not use. */
#include "base/trim.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A segment without PF_W has no relocation and thus no page of its own, but for a library with
 * text relocations, which this program has none of: dropping a page loses nothing. What RELRO
 * makes read-only afterwards lies in a segment with PF_W.
 */
static int drop_unwritten(struct dl_phdr_info *object, size_t size, void *data)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)data;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;

		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
			continue;
		/* The kernel drops no locked page. */
		munlock((void *)from, to - from);
		madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void trim_process(void)
{
	malloc_trim(0);
	dl_iterate_phdr(drop_unwritten, NULL);
}
