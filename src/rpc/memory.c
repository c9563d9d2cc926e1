/* A bounded allocator that wipes. */
#include "rpc/memory.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"

struct block {
	size_t size;
	alignas(max_align_t) unsigned char bytes[];
};

static void *take(void *data, size_t size)
{
	struct memory *memory = data;

	if (size > memory->limit - memory->used ||
	    sizeof(struct block) > memory->limit - memory->used - size) {
		memory->exhausted = true;
		return NULL;
	}
	struct block *block = xcalloc(1, sizeof(*block) + size);
	block->size = size;
	memory->used += sizeof(*block) + size;
	return block->bytes;
}

static void give_back(void *data, void *bytes)
{
	struct memory *memory = data;

	if (!bytes)
		return;
	struct block *block = (struct block *)((char *)bytes - offsetof(struct block, bytes));
	memory->used -= sizeof(*block) + block->size;
	secret_wipe(block->bytes, block->size);
	free(block);
}

void memory_init(struct memory *memory, size_t limit)
{
	*memory = (struct memory){
		.allocator = { take, give_back, memory },
		.limit = limit,
	};
}
