// SPDX-License-Identifier: MIT
/*
 * A progress bar on stderr, if that is a terminal: one line, drawn again and
 * again, and wiped out in the end so that only messages stay.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define BAR_MAX 50u

void ctl_progress(const char *what, uint64_t done, uint64_t all)
{
	static const char marks[] =
		"##################################################";
	unsigned int percent = all ? (unsigned int)(done * 100 / all) : 100;
	unsigned int taken = (unsigned int)strlen(what) + 9, width, n;

	if (!isatty(STDERR_FILENO))
		return;
	width = ctl_columns(STDERR_FILENO);
	width = width > taken ? width - taken : 0;
	if (width > BAR_MAX)
		width = BAR_MAX;
	n = width * percent / 100;
	fprintf(stderr, "\r%s [%.*s%*s] %3u%%", what, (int)n, marks,
		(int)(width - n), "", percent);
	fflush(stderr);
}

void ctl_progress_end(void)
{
	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}
