// SPDX-License-Identifier: MIT
/*
 * What a worker has to say to its supervisor, over a pipe that outlives it. A
 * report is one write of less than PIPE_BUF, so it arrives whole or not at all
 * whenever its writer dies, and reports of several threads do not mix.
 *
 * Whoever has taken over a worker writes to it what he likes, so nothing that
 * is read from it is believed to be what uz__report() would have written.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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

bool uz__report_take(int fd, struct uz__report *report)
{
	if (read(fd, report, sizeof(*report)) != sizeof(*report))
		return false;
	report->text[sizeof(report->text) - 1] = '\0';
	return true;
}

void uz__report_relay(struct uz__report *report)
{
	static const char status[] = "STATUS=";

	/* A message has an assignment in each line. */
	report->text[strcspn(report->text, "\n")] = '\0';
	if (!strcmp(report->text, "STOPPING=1") ||
	    !strncmp(report->text, status, sizeof(status) - 1))
		uz__notify_manager("%s", report->text);
}
