// SPDX-License-Identifier: MIT
/*
 * The order of locks, asserted. Each thread counts the locks it holds by
 * rank; a lock that is waited for must have a higher rank than all of them.
 * Without debug_checks this file is empty and locks are plain mutexes.
 */
#include <uzram/util/lock.h>

#ifdef UZ_DEBUG_CHECKS
#include <assert.h>

static _Thread_local unsigned int held[UZ_LOCK_LEAF + 1];

void uz_lock_check_acquire(const struct uz_lock *lock, bool waiting)
{
	if (waiting)
		for (unsigned int r = lock->rank; r <= UZ_LOCK_LEAF; r++)
			assert(!held[r]);
	held[lock->rank]++;
}

void uz_lock_check_release(const struct uz_lock *lock)
{
	assert(held[lock->rank]);
	held[lock->rank]--;
}

bool uz_lock_holds_any(void)
{
	unsigned int r, n = 0;

	for (r = 0; r <= UZ_LOCK_LEAF; r++)
		n += held[r];
	return n;
}
#endif
