/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_LOCK_H
#define UZRAM_UTIL_LOCK_H

#include <pthread.h>

#include <uzram/types.h>

/**
 * DOC: mutexes with a rank
 *
 * A thread that holds a lock may only take one of a higher rank, so no two
 * threads can wait for each other. With -Ddebug_checks=true each acquisition
 * asserts that; otherwise a struct uz_lock is a plain pthread mutex.
 */

/**
 * enum uz_lock_rank - every lock of the program, outermost first
 * @UZ_LOCK_ATTR:         one store to an attribute at a time
 * @UZ_LOCK_DEVICE:       a device's configuration and state
 * @UZ_LOCK_GATE:         no request of a device is under way
 * @UZ_LOCK_POOL_COMPACT: moving objects of a pool
 * @UZ_LOCK_POOL_HUGE:    making huge pages of a pool's memory
 * @UZ_LOCK_POOL_KEEPER:  populating memory of a pool ahead of its use
 * @UZ_LOCK_POOL_CLASS:   one size class of a pool
 * @UZ_LOCK_POOL_GIVE:    giving memory of a pool back to the system
 * @UZ_LOCK_POOL_STORE:   the windows of a pool that no class has
 * @UZ_LOCK_LEAF:         locks under which no other is taken
 */
enum uz_lock_rank {
	UZ_LOCK_ATTR,
	UZ_LOCK_DEVICE,
	UZ_LOCK_GATE,
	UZ_LOCK_POOL_COMPACT,
	UZ_LOCK_POOL_HUGE,
	UZ_LOCK_POOL_KEEPER,
	UZ_LOCK_POOL_CLASS,
	UZ_LOCK_POOL_GIVE,
	UZ_LOCK_POOL_STORE,
	UZ_LOCK_LEAF,
};

/**
 * struct uz_lock - a mutex that knows its rank
 * @mutex: for pthread_cond_wait(); otherwise use the functions below
 * @rank:  where it stands in the order; only with debug_checks, so that the
 *         structures of a release build keep their cache lines
 */
struct uz_lock {
	pthread_mutex_t mutex;
#ifdef UZ_DEBUG_CHECKS
	enum uz_lock_rank rank;
#endif
};

#ifdef UZ_DEBUG_CHECKS
/**
 * uz_lock_check_acquire() - assert that the order is kept, and note the lock
 * @lock:    about to be taken, or just taken by trying
 * @waiting: false when it was only tried: that waits for nobody, so it may
 *           be out of order
 *
 * Context: the thread that takes the lock.
 */
void uz_lock_check_acquire(const struct uz_lock *lock, bool waiting);

/**
 * uz_lock_check_release() - assert that this thread holds the lock; forget it
 * @lock: about to be released
 *
 * Context: the thread that took the lock.
 */
void uz_lock_check_release(const struct uz_lock *lock);

/**
 * uz_lock_holds_any() - has this thread any lock?
 *
 * For tests, in builds with debug checks.
 *
 * Context: any thread.
 * Return:  whether.
 */
bool uz_lock_holds_any(void);
#else
static inline void uz_lock_check_acquire(const struct uz_lock *lock,
					 bool waiting)
{
	(void)lock;
	(void)waiting;
}

static inline void uz_lock_check_release(const struct uz_lock *lock)
{
	(void)lock;
}
#endif

static inline void uz_lock_init(struct uz_lock *lock, enum uz_lock_rank rank)
{
	pthread_mutex_init(&lock->mutex, NULL);
#ifdef UZ_DEBUG_CHECKS
	lock->rank = rank;
#else
	(void)rank;
#endif
}

static inline void uz_lock_destroy(struct uz_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

static inline void uz_lock_acquire(struct uz_lock *lock)
{
	uz_lock_check_acquire(lock, true);
	pthread_mutex_lock(&lock->mutex);
}

/*
 * Whether it was free and is held now; may be out of order, as it never waits.
 */
static inline bool uz_lock_try(struct uz_lock *lock)
{
	if (pthread_mutex_trylock(&lock->mutex))
		return false;
	uz_lock_check_acquire(lock, false);
	return true;
}

static inline void uz_lock_release(struct uz_lock *lock)
{
	uz_lock_check_release(lock);
	pthread_mutex_unlock(&lock->mutex);
}

static inline void uz_lock_cleanup(struct uz_lock **lock)
{
	uz_lock_release(*lock);
}

/* Takes @lock now and gives it back when the enclosing block ends. */
#define uz_scoped_acquire(name, lock)                               \
	struct uz_lock *name                                        \
		__attribute__((cleanup(uz_lock_cleanup), unused)) = \
			(uz_lock_acquire(lock), (lock))

#endif
