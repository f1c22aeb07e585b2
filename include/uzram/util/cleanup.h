/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CLEANUP_H
#define UZRAM_UTIL_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/**
 * DOC: locals that clean up after themselves
 *
 * Only these: uz_autofree (malloc'ed pointer), uz_autoclose (descriptor, -1
 * is none), and uz_scoped_acquire of lock.h. Ownership leaves a local by
 * uz_steal_ptr() or uz_steal_fd(). All of them keep errno.
 */

static inline void uz_cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void uz_cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

#define uz_autofree  __attribute__((cleanup(uz_cleanup_free)))
#define uz_autoclose __attribute__((cleanup(uz_cleanup_close)))

#define uz_steal_ptr(p)                         \
	({                                      \
		__typeof__(p) uz__stolen = (p); \
		(p) = NULL;                     \
		uz__stolen;                     \
	})

static inline int uz_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
