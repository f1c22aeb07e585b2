// SPDX-License-Identifier: MIT
/*
 * In a build without liburing: no queue, so writer.c writes by itself.
 */
#include <errno.h>

#include "backing_priv.h"

int uz__queue_create(struct uz__queue **queue, int fd, unsigned int depth)
{
	(void)queue;
	(void)fd;
	(void)depth;
	return -ENOTSUP;
}

void uz__queue_destroy(struct uz__queue *queue)
{
	(void)queue;
}

int uz__queue_submit(struct uz__queue *queue, struct uz_write *write)
{
	(void)queue;
	(void)write;
	return -ENOTSUP;
}

struct uz_write *uz__queue_next(struct uz__queue *queue, bool wait, long *res)
{
	(void)queue;
	(void)wait;
	*res = -ENOTSUP;
	return NULL;
}
