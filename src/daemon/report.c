// SPDX-License-Identifier: MIT
/*
 * What a worker has to say to its supervisor, over a pipe that outlives it. A
 * report is one write of less than PIPE_BUF, so it arrives whole or not at all
 * whenever its writer dies, and reports of several threads do not mix.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon_priv.h"

_Static_assert(sizeof(struct uz__report) <= PIPE_BUF, "it could be torn");

void uz__report(int fd, enum uz__report_kind kind, int rc, const char *fmt, ...)
{
	struct uz__report report = { .kind = kind, .rc = rc };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report.text, sizeof(report.text), fmt, ap);
	va_end(ap);
	while (write(fd, &report, sizeof(report)) < 0 && errno == EINTR)
		;
}
