/* Volume capabilities. */
#include "volume/capability.h"

#include <string.h>

#include "sys/mount.h"

bool capability_mode_fits(enum access_mode mode, enum backend backend)
{
	switch (mode) {
	case ACCESS_SINGLE_NODE_WRITER:
	case ACCESS_SINGLE_NODE_READER_ONLY:
	case ACCESS_SINGLE_NODE_SINGLE_WRITER:
	case ACCESS_SINGLE_NODE_MULTI_WRITER:
		return true;
	case ACCESS_MULTI_NODE_READER_ONLY:
		return backend == BACKEND_S3;
	default:
		return false;
	}
}

bool capability_mode_is_of_nodes(enum access_mode mode)
{
	return mode == ACCESS_MULTI_NODE_READER_ONLY || mode == ACCESS_MULTI_NODE_SINGLE_WRITER ||
	       mode == ACCESS_MULTI_NODE_MULTI_WRITER;
}

int capability_check(const struct capability *capability, enum backend backend, struct err *e)
{
	enum fs_type ignored;

	if (capability->mode == ACCESS_UNKNOWN)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume capability has no access mode");
	if (!capability_mode_fits(capability->mode, backend))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			backend == BACKEND_S3
				? "access mode %d is not supported by storage-backend 's3': two "
				  "writers on one prefix lose data (use ReadWriteOnce, "
				  "ReadWriteOncePod or ReadOnlyMany)"
				: "access mode %d is not supported by storage-backend 'local': the "
				  "data lies on one node (use ReadWriteOnce or ReadWriteOncePod)",
			(int)capability->mode);
	if (capability->block && backend == BACKEND_S3)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"storage-backend 's3' has no raw block volumes: use volumeMode Filesystem");
	if (!capability->block && *capability->fs_type && backend == BACKEND_LOCAL &&
	    !fs_type_parse(capability->fs_type, &ignored))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"file system type '%s' is not supported: use 'ext4', 'ext3' or 'xfs'",
			capability->fs_type);
	return mount_flags_check(capability->flags, capability->flag_count, e);
}

int capability_fits(const struct capability *capability, bool block, enum fs_type fs_type,
		    struct err *e)
{
	if (capability->block != block)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			block ? "the volume was created as a raw block device, not for mounting"
			      : "the volume was created for mounting, not as a raw block device");
	if (!block && *capability->fs_type &&
	    strcmp(capability->fs_type, fs_type_name(fs_type)) != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the volume's file system is '%s', the request asks for '%s'",
			       fs_type_name(fs_type), capability->fs_type);
	return 0;
}

bool capability_is_reader(const struct capability *capability)
{
	return capability->mode == ACCESS_SINGLE_NODE_READER_ONLY ||
	       capability->mode == ACCESS_MULTI_NODE_READER_ONLY;
}

bool capability_has_flag(const struct capability *capability, const char *flag)
{
	for (size_t i = 0; i < capability->flag_count; i++)
		if (strcmp(capability->flags[i], flag) == 0)
			return true;
	return false;
}
