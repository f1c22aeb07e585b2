// SPDX-License-Identifier: MIT
/*
 * In place of ring.c in a build without liburing: no ring can be made, so the
 * rest is never called.
 */
#include <errno.h>

#include "uring_priv.h"

int uz__ring_create(struct uz__ring **ring, int fd, unsigned int events)
{
	(void)ring;
	(void)fd;
	(void)events;
	return -ENOTSUP;
}

void uz__ring_destroy(struct uz__ring *ring)
{
	(void)ring;
}

int uz__ring_register(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	(void)ring;
	(void)entry;
	return -ENOTSUP;
}

int uz__ring_commit(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	(void)ring;
	(void)entry;
	return -ENOTSUP;
}

int uz__ring_send(struct uz__ring *ring, struct uz__ring *to,
		  enum uz__ring_kind kind, struct uz__fuse_entry *entry)
{
	(void)ring;
	(void)to;
	(void)kind;
	(void)entry;
	return -ENOTSUP;
}

int uz__ring_guard(struct uz__ring *ring, struct uz__ring *other)
{
	(void)ring;
	(void)other;
	return -ENOTSUP;
}

int uz__ring_poke(struct uz__ring *ring, uint16_t qid)
{
	(void)ring;
	(void)qid;
	return -ENOTSUP;
}

int uz__ring_submit(struct uz__ring *ring, bool wait)
{
	(void)ring;
	(void)wait;
	return -ENOTSUP;
}

bool uz__ring_next(struct uz__ring *ring, struct uz__ring_event *event)
{
	(void)ring;
	(void)event;
	return false;
}
