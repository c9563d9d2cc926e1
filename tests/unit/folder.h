/* A private folder for a test, removed with what is in it. */
#ifndef UNIT_FOLDER_H
#define UNIT_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	char path[64];
	int fd;
};

static inline void folder_open(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/lcw-unit.XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder->fd >= 0);
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
				    struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void folder_close(struct folder *folder)
{
	close(folder->fd);
	nftw(folder->path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* How many entries the folder has. */
static inline int folder_count(const struct folder *folder)
{
	char command[128], line[16] = "";

	snprintf(command, sizeof(command), "ls -A %s | wc -l", folder->path);
	FILE *out = popen(command, "r");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	pclose(out);
	return atoi(line);
}

#endif
