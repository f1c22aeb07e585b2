/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_TOOLS_EXIT_H
#define UZRAM_TOOLS_EXIT_H

#include <errno.h>

/* How the programs end; the man pages list the same. */
enum uz_exit {
	UZ_EXIT_OK = 0,
	UZ_EXIT_FAILED = 1,
	UZ_EXIT_USAGE = 2,
	UZ_EXIT_NOT_FOUND = 3,
	UZ_EXIT_BUSY = 4,
	UZ_EXIT_NOT_SUPPORTED = 5,
};

/* @rc: 0 or -errno */
static inline enum uz_exit uz_exit_status(int rc)
{
	switch (-rc) {
	case 0:
		return UZ_EXIT_OK;
	case ENOENT:
	case ENOTCONN:
		return UZ_EXIT_NOT_FOUND;
	case EBUSY:
		return UZ_EXIT_BUSY;
	case EPERM:
	case EACCES:
	case EROFS:
	case ENODEV:
	case ENOTSUP:
		return UZ_EXIT_NOT_SUPPORTED;
	default:
		return UZ_EXIT_FAILED;
	}
}

#endif
