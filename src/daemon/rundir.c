// SPDX-License-Identifier: MIT
/*
 * The run directory: where this user's devices are found by their names.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon_priv.h"

int uz_daemon_rundir(char *path, size_t size)
{
	const char *own = getenv("UZRAM_RUNDIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own && *own)
		n = snprintf(path, size, "%s", own);
	else if (geteuid() == 0)
		n = snprintf(path, size, "/run/uzram");
	else if (xdg && *xdg)
		n = snprintf(path, size, "%s/uzram", xdg);
	else
		return -ENOENT;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
