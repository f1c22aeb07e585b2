// SPDX-License-Identifier: MIT
/*
 * Who waits for us is told when the device serves: a service manager by the
 * datagram that sd_notify(3) describes, a starter such as uzramctl by a line
 * on a pipe. Nothing depends on being heard, so nothing fails here.
 */
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

void uz__notify_manager(const char *fmt, ...)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	uz_autoclose int fd = -1;
	char text[512];
	socklen_t len;
	va_list ap;

	if (!path || (*path != '/' && *path != '@') ||
	    strlen(path) >= sizeof(to.sun_path))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strcpy(to.sun_path, path);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			  strlen(path));
	if (*path == '@') /* an abstract name begins with a zero byte */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		       (struct sockaddr *)&to, len);
}

void uz__notify_starter(int fd, const char *line)
{
	if (fd < 0)
		return;
	dprintf(fd, "%s\n", line);
	close(fd);
}
