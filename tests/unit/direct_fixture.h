/* SPDX-License-Identifier: MIT */
#ifndef DIRECT_FIXTURE_H
#define DIRECT_FIXTURE_H

/*
 * Files that refuse direct I/O, as some file systems do: linked with
 * wrap_direct_dep.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

static bool no_direct;

ssize_t __real_pread64(int fd, void *buf, size_t length, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t length, off_t at);

ssize_t __wrap_pread64(int fd, void *buf, size_t length, off_t at)
{
	if (no_direct && fcntl(fd, F_GETFL) & O_DIRECT) {
		errno = EINVAL;
		return -1;
	}
	return __real_pread64(fd, buf, length, at);
}

#endif
