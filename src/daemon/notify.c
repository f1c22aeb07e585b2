// SPDX-License-Identifier: MIT
/*
 * Who waits for us is told when the device serves: a service manager by the
 * datagram that sd_notify(3) describes, a starter such as uzramctl by a line
 * on a pipe. Nothing depends on being heard, so nothing fails here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"
#include "passing_priv.h"

/* A service manager answers at once, or is not one that knows barriers. */
#define BARRIER_MS 5000

/* Where it listens; 0: nowhere. */
static socklen_t manager_address(struct sockaddr_un *to)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path || (*path != '/' && *path != '@') ||
	    strlen(path) >= sizeof(to->sun_path))
		return 0;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(to->sun_path, path);
	if (*path == '@') /* an abstract name begins with a zero byte */
		to->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			   strlen(path));
}

/* With a descriptor, unless it is -1. */
static int manager_tell(char *text, int with)
{
	union uz__passing control = { 0 };
	struct sockaddr_un to;
	struct iovec data = { .iov_base = text, .iov_len = strlen(text) };
	struct msghdr msg = {
		.msg_name = &to,
		.msg_namelen = manager_address(&to),
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	uz_autoclose int fd = -1;

	if (!msg.msg_namelen)
		return -ENOENT;
	if (with >= 0)
		uz__pass(&msg, &control, with);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

void uz__notify_manager(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)manager_tell(text, -1);
}

bool uz__notify_keep(const char *name, int fd)
{
	char text[128];

	/*
	 * It is not to watch the descriptor: each request would wake it up,
	 * only to find that the connection has not ended.
	 */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return !manager_tell(text, fd);
}

void uz__notify_barrier(void)
{
	char text[] = "BARRIER=1";
	struct pollfd closed;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return;
	/* It closes its end when it comes to this message. */
	if (!manager_tell(text, fds[1])) {
		close(uz_steal_fd(&fds[1]));
		closed = (struct pollfd){ .fd = fds[0] };
		poll(&closed, 1, BARRIER_MS);
	}
	if (fds[1] >= 0)
		close(fds[1]);
	close(fds[0]);
}

void uz__notify_starter(int fd, const char *line)
{
	if (fd < 0)
		return;
	dprintf(fd, "%s\n", line);
	close(fd);
}
