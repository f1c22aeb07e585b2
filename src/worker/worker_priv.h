/* SPDX-License-Identifier: MIT */
#ifndef UZ_WORKER_PRIV_H
#define UZ_WORKER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include <uzram/util/lock.h>
#include <uzram/worker.h>

/* ---- task.c ---- */

/* Interruptions that came before their runs, of which so many are kept. */
#define UZ__TASK_EARLY 8

/*
 * struct uz__task - something that one at a time does, and that can be ended
 * @lock:    guards what follows, and what its owner keeps under it; a leaf
 * @wake:    with @stop, and with what its owner waits for
 * @running: somebody does it
 * @stop:    it is to end
 * @id:      of the run
 * @early:   runs that were to end and had not begun yet
 * @next:    the place of the next one in @early
 */
struct uz__task {
	struct uz_lock lock;
	pthread_cond_t wake;
	bool running;
	bool stop;
	uint64_t id;
	uint64_t early[UZ__TASK_EARLY];
	unsigned int next;
};

/* @task is all zero before. */
void uz__task_init(struct uz__task *task);

/* Nobody runs it. */
void uz__task_destroy(struct uz__task *task);

/*
 * A run begins, by @id, or 0 if nobody will name it; the caller holds the
 * lock. False: there is one.
 */
uz_must_check bool uz__task_begin(struct uz__task *task, uint64_t id);

/* The run has ended. */
void uz__task_end(struct uz__task *task);

/*
 * Have the run of that @id end soon, which may also begin later; 0: whichever
 * there is.
 */
void uz__task_interrupt(struct uz__task *task, uint64_t id);

/* So many nanoseconds from now, as pthread_cond_timedwait() wants it. */
struct timespec uz__task_deadline(uint64_t ns);

/* Sleep for @ns nanoseconds, or not at all; false when the run is to end. */
bool uz__task_rest(struct uz__task *task, uint64_t ns);

/*
 * A thread for work in the background, as uz_background() and pace.c say; it
 * takes no signals. Returns 0 or -errno.
 */
uz_must_check int uz__task_thread(pthread_t *thread, const char *name,
				  void *(*run)(void *arg), void *arg);

/* ---- notice.c ---- */

/*
 * struct uz__notice - that there is work for a thread
 * @task:   of the thread: woken when there is notice, or an end
 * @given:  there is notice
 * @asleep: whoever gives it has to wake the thread
 */
struct uz__notice {
	struct uz__task task;
	_Atomic bool given;
	_Atomic bool asleep;
};

/* @notice is all zero before; @given: there is some from the beginning. */
void uz__notice_init(struct uz__notice *notice, bool given);

/* The thread has ended. */
void uz__notice_destroy(struct uz__notice *notice);

/* From any thread, with any lock but a leaf; @arg is the notice. */
void uz__notice_give(void *arg);

/*
 * Sleep until there is notice, or for @ns nanoseconds if that is not 0; false
 * when the thread is to end.
 */
bool uz__notice_await(struct uz__notice *notice, uint64_t ns);

/* Before the work for which there was notice. */
void uz__notice_take(struct uz__notice *notice);

/* ---- pace.c ---- */

/*
 * struct uz__pace - what is known of the time that passes
 * @wall:    nanoseconds since some moment
 * @own:     nanoseconds of CPU that this thread has had
 * @process: nanoseconds of CPU that all threads have had
 */
struct uz__pace {
	uint64_t wall;
	uint64_t own;
	uint64_t process;
};

/* What is so now, for the calling thread. */
void uz__pace_now(struct uz__pace *now);

/*
 * Nanoseconds to rest after a batch, and whether that is for others' sake.
 * @last:   the end of the batch before, its rest included in what follows
 * @before: the beginning of this batch
 * @after:  its end
 * @busy:   set
 */
uint64_t uz__pace_rest(const struct uz__pace *last,
		       const struct uz__pace *before,
		       const struct uz__pace *after, bool *busy);

/*
 * Nanoseconds to rest after @ns of work, so that it takes no more than @share
 * percent of the time; 0: no rest.
 */
uint64_t uz__share_rest(uint64_t ns, unsigned int share);

/*
 * struct uz__pacer - batch after batch of one thread
 * @last:   the end of the batch before
 * @before: the beginning of this one
 * @after:  its end
 * @busy:   somebody else wanted the CPUs, so far as was seen then
 */
struct uz__pacer {
	struct uz__pace last;
	struct uz__pace before;
	struct uz__pace after;
	bool busy;
};

/* Before the first batch; before each; after each: nanoseconds to rest. */
void uz__pacer_start(struct uz__pacer *pacer);
void uz__pacer_begin(struct uz__pacer *pacer);
uint64_t uz__pacer_end(struct uz__pacer *pacer);

#endif
