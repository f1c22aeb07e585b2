// SPDX-License-Identifier: MIT
/*
 * Notice for a thread that sleeps without any wake-up until somebody gives it.
 *
 * It comes from the middle of a request. Giving it sets a flag and takes a lock
 * only to wake the thread, which only he does who was the one to set the flag,
 * and only if the thread is asleep. The flag is cleared before the work that it
 * asks for is begun, so notice that comes during the work is found afterwards.
 *
 * Locks: the task's guards the sleep only.
 */
#include "worker_priv.h"

void uz__notice_init(struct uz__notice *notice, bool given)
{
	notice->given = given;
	uz__task_init(&notice->task);
}

void uz__notice_destroy(struct uz__notice *notice)
{
	uz__task_destroy(&notice->task);
}

/*
 * The flag is set before @asleep is looked at; the thread sets @asleep before
 * it looks at the flag. All four are sequentially consistent, so one of the
 * two sees the other.
 *
 * A flag that is set already must be seen by the thread after what it is given
 * notice of: the fence here and the one after the flag is cleared order "there
 * is something to do, look at the flag" against "clear the flag, look for
 * something to do".
 */
void uz__notice_give(void *arg)
{
	struct uz__notice *n = arg;

	atomic_thread_fence(memory_order_seq_cst);
	/* relaxed: if it is set already, who set it did the rest, too. */
	if (atomic_load_explicit(&n->given, memory_order_relaxed) ||
	    atomic_exchange(&n->given, true))
		return;
	if (!atomic_load(&n->asleep))
		return;
	uz_lock_acquire(&n->task.lock);
	pthread_cond_signal(&n->task.wake);
	uz_lock_release(&n->task.lock);
}

bool uz__notice_await(struct uz__notice *n, uint64_t ns)
{
	const struct timespec until = uz__task_deadline(ns);
	struct uz__task *task = &n->task;
	uz_scoped_acquire(guard, &task->lock);
	int ret = 0;

	atomic_store(&n->asleep, true);
	while (!task->stop && !atomic_load(&n->given) && !ret)
		ret = ns ? pthread_cond_timedwait(&task->wake,
						  &task->lock.mutex, &until)
			 : pthread_cond_wait(&task->wake, &task->lock.mutex);
	atomic_store(&n->asleep, false);
	return !task->stop;
}

void uz__notice_take(struct uz__notice *n)
{
	/* seq_cst: before the work, see above. */
	atomic_store(&n->given, false);
	atomic_thread_fence(memory_order_seq_cst);
}
