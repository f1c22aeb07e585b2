/* SPDX-License-Identifier: MIT */
#ifndef UZ_IMAGE_ASYNC_H
#define UZ_IMAGE_ASYNC_H

#include <sys/types.h>

#include <uzram/types.h>

/*
 * Writes under way, each known by a number. async.c has them through io_uring;
 * async_stub.c is for builds without it, and has none.
 */
struct uz__async;

uz_must_check int uz__async_create(struct uz__async **async,
				   unsigned int depth);
uz_must_check int uz__async_write(struct uz__async *async, int fd,
				  const void *bytes, size_t len,
				  uint64_t offset, unsigned int number);

/* Waits for one to end: bytes that it has written, or -errno, in @result. */
uz_must_check int uz__async_wait(struct uz__async *async, unsigned int *number,
				 ssize_t *result);

/* Waits for all that are under way. */
void uz__async_destroy(struct uz__async *async);

#endif
