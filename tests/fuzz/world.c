/* The driver's services for fuzz targets. */
#include "world.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "csi/place.h"

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void give_up_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	FUZZ_CHECK(syscall(SYS_capset, &head, none) == 0);
}

static int open_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FUZZ_CHECK(mkdir(path, 0700) == 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put_record(struct world *world)
{
	const struct text_pair class[] = { { "local-path", "/nowhere" } };
	auto_record struct volume_record record = { .id = "vol-1",
						    .name = "vol-1",
						    .state = VOLUME_FORMATTED,
						    .node = "node-1",
						    .capacity_bytes = 64 << 20,
						    .data_offset_bytes = LUKS_HEADER_BYTES,
						    .created = "2026-01-01T00:00:00Z" };
	struct err e = { 0 };

	snprintf(record.luks_uuid, sizeof(record.luks_uuid),
		 "01234567-89ab-4def-8123-456789abcdef");
	FUZZ_CHECK(params_parse(class, ARRAY_LEN(class), &record.params, &e) == 0);
	FUZZ_CHECK(store_put(world->service.store, &record, &e) == 0);
}

static void build(struct world *world)
{
	struct node *node = &world->service.node;
	struct err e = { 0 };
	static char state[128];
	char path[128];
	bool shared;

	snprintf(folder, sizeof(folder), "%s/lcw-fuzz.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_CHECK(mkdtemp(folder));
	atexit(remove_folder);
	node->id = "node-1";
	node->host_root = "/proc";
	node->run_fd = open_folder("run");
	close(open_folder("kubelet"));
	snprintf(path, sizeof(path), "%s/kubelet", folder);
	FUZZ_CHECK(kubelet_dir_open(path, &node->kubelet, &shared, &e) == 0);
	/* A name that does not differ from run to run, so that inputs can hold it. */
	snprintf(node->kubelet.given, sizeof(node->kubelet.given), "/kubelet");
	close(open_folder("state"));
	snprintf(state, sizeof(state), "%s/state", folder);
	node->state_dir = state;
	world->service.store = store_dir_open(state, &e);
	FUZZ_CHECK(world->service.store);
	world->service.place = &place_here;

	world->count = csi_methods(&world->service, world->methods);
	for (size_t i = 0; i < world->count; i++)
		world->methods[i].in_worker = false;
	log_setup(LOG_JSON, LOG_DEBUG); /* the log is a door too: scripts/fuzz throws it away */
	give_up_capabilities();
}

struct world *world_get(void)
{
	static struct world world;

	if (!world.count)
		build(&world);
	char path[128];
	snprintf(path, sizeof(path), "%s/state/volumes/vol-1.json", folder);
	if (access(path, F_OK) < 0)
		put_record(&world);
	return &world;
}
