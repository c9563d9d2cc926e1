/* A listening unix socket: stale ones are replaced, living ones never. */
#include "rpc/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 128

static int unix_socket(struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, errno, "cannot create a socket");
	return fd;
}

/* Makes room for the socket, unless the path is in use. */
static int remove_stale(const struct sockaddr_un *address, struct err *e)
{
	const char *path = address->sun_path;
	struct stat found;

	if (lstat(path, &found) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, errno, "cannot look at %s", path);
	}
	if (!S_ISSOCK(found.st_mode))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "%s exists and is not a socket: it is left alone", path);
	auto_close int fd = unix_socket(e);
	if (fd < 0)
		return -1;
	/* EAGAIN: somebody listens but has many clients waiting. */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return err_set(e, ERR_FAILED_PRECONDITION, "another process serves %s", path);
	if (errno != ECONNREFUSED)
		return err_sys(e, errno, "cannot tell whether %s is in use", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove the stale socket %s", path);
	return 0;
}

/* The mode comes from the umask: chmod afterwards would be too late. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0117);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	int bind_errno = errno;

	umask(before);
	errno = bind_errno;
	return rc;
}

int listener_open(struct listener *listener, const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat made;

	if (path[0] != '/')
		return err_set(e, ERR_INVALID_ARGUMENT, "the socket path %s is not absolute", path);
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the socket path %s has more than %zu characters", path,
			       sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (remove_stale(&address, e) < 0)
		return -1;
	auto_close int fd = unix_socket(e);
	if (fd < 0)
		return -1;
	if (bind_private(fd, &address) < 0) {
		if (errno == EADDRINUSE)
			return err_set(e, ERR_FAILED_PRECONDITION, "another process serves %s",
				       path);
		return err_sys(e, errno, "cannot create the socket %s", path);
	}
	if (listen(fd, BACKLOG) < 0 || lstat(path, &made) < 0)
		return err_sys(e, errno, "cannot listen on %s", path);
	*listener = (struct listener){
		.fd = TAKE(fd, -1),
		.address = address,
		.device = made.st_dev,
		.inode = made.st_ino,
	};
	return 0;
}

void listener_close(struct listener *listener)
{
	struct stat found;

	if (listener->fd < 0)
		return;
	if (lstat(listener->address.sun_path, &found) == 0 && S_ISSOCK(found.st_mode) &&
	    found.st_dev == listener->device && found.st_ino == listener->inode)
		unlink(listener->address.sun_path);
	close(listener->fd);
	listener->fd = -1;
}
