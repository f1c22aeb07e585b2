/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CLEANUP_H
#define UZRAM_UTIL_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/**
 * DOC: locals that clean up after themselves
 *
 * Only these: uz_autofree (malloc'ed pointer), uz_autoclose (descriptor, -1
 * is none), uz_scoped_lock (mutex held to the end of the block). Ownership
 * leaves a local by uz_steal_ptr() or uz_steal_fd(). All of them keep errno.
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

static inline void uz_cleanup_unlock(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

#define uz_autofree  __attribute__((cleanup(uz_cleanup_free)))
#define uz_autoclose __attribute__((cleanup(uz_cleanup_close)))

/* Takes @m now and gives it back when the enclosing block ends. */
#define uz_scoped_lock(name, m)                                       \
	pthread_mutex_t *name                                         \
		__attribute__((cleanup(uz_cleanup_unlock), unused)) = \
			(pthread_mutex_lock(m), (m))

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
