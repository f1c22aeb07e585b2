/* SPDX-License-Identifier: MIT */
#ifndef DIRECT_FIXTURE_H
#define DIRECT_FIXTURE_H

/*
 * Files that refuse direct I/O, as some file systems do, and reads for which
 * the page cache has no memory: linked with wrap_direct_dep.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

static bool no_direct;
/* So many reads. */
static unsigned int no_memory;

ssize_t __real_pread64(int fd, void *buf, size_t length, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t length, off_t at);

ssize_t __wrap_pread64(int fd, void *buf, size_t length, off_t at)
{
	if (no_direct && fcntl(fd, F_GETFL) & O_DIRECT) {
		errno = EINVAL;
		return -1;
	}
	if (no_memory) {
		no_memory--;
		errno = ENOMEM;
		return -1;
	}
	return __real_pread64(fd, buf, length, at);
}

#endif
