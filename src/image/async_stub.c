// SPDX-License-Identifier: MIT
/*
 * Writes under way, in a build without liburing: there are none, and output.c
 * writes each buffer at once.
 */
#include <errno.h>

#include "async.h"

int uz__async_create(struct uz__async **async, unsigned int depth)
{
	(void)async;
	(void)depth;
	return -ENOTSUP;
}

int uz__async_write(struct uz__async *async, int fd, const void *bytes,
		    size_t len, uint64_t offset, unsigned int number)
{
	(void)async;
	(void)fd;
	(void)bytes;
	(void)len;
	(void)offset;
	(void)number;
	return -ENOTSUP;
}

int uz__async_wait(struct uz__async *async, unsigned int *number,
		   ssize_t *result)
{
	(void)async;
	(void)number;
	(void)result;
	return -ENOTSUP;
}

void uz__async_destroy(struct uz__async *async)
{
	(void)async;
}
