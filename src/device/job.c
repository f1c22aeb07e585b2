// SPDX-License-Identifier: MIT
/*
 * A request of many pages, shared between the thread that submits it and page
 * workers (crew.c).
 *
 * The submitter begins alone and looks at the clock. What a page costs differs
 * a thousandfold (a page of zeroes, a page for zstd at its best level), so
 * time alone can tell whether the rest is worth calling somebody, and how much
 * one should take at a time. A request that is cheap ends here without having
 * touched anything that threads share.
 *
 * Otherwise the rest becomes a job. Submitter and helpers take parts of it in
 * ascending order until none is left; then the submitter closes the job and
 * waits for the helpers that are still in. It never waits for one that has
 * not joined. There are no locks and no allocations.
 *
 * The life of a place for a job, in @state:
 *
 *	0			free
 *	TAKEN			a submitter prepares it, or collects the result
 *	TAKEN | OPEN | n	n helpers are in; others may join
 *	TAKEN | n		n helpers are in; nobody may join
 *
 * Opening is a release and joining an acquire: who has joined sees the
 * request. Leaving is a release, and closing, or the post of @done, an acquire
 * of it: when the submitter goes on, all that helpers have done to the pages,
 * to the buffer, to the device and to @failure is done and seen, and no helper
 * will touch the place again but to look at @state. The state becomes
 * "TAKEN, nobody in" once: by closing, or by the last helper that leaves a
 * closed job, who therefore posts @done, once. A helper that has seen the job
 * of a submitter who is gone and joins the next one in that place has joined
 * that one properly: nothing that it saw before is used.
 */
#include <errno.h>

#include "crew.h"

#define JOB_TAKEN   UINT32_C(0x80000000)
#define JOB_OPEN    UINT32_C(0x40000000)
#define JOB_HELPERS UINT32_C(0x3fffffff)

/* Pages that a submitter does before its first look at the clock. */
#define TRIAL 2

/* ---- taking parts ---- */

/*
 * The next part nobody has. Relaxed: the order of changes of the one word
 * gives each part to one thread; nothing else is told by it.
 */
static bool job_take(struct uz__job *job, uint64_t *first, uint64_t *end)
{
	/* A read may have failed: do not even touch what others write. */
	if (atomic_load_explicit(&job->next, memory_order_relaxed) >= job->end)
		return false;
	*first = atomic_fetch_add_explicit(&job->next, job->part,
					   memory_order_relaxed);
	*end = *first + job->part < job->end ? *first + job->part : job->end;
	return *first < job->end;
}

/*
 * The failure of the lowest page is kept. A read is not gone on with: no
 * further part is given out. Those before the failed one were given out
 * already and are carried out, so the failure of the lowest page is found,
 * which is the one that a single thread would have met first. Relaxed: the
 * submitter looks when all have left.
 */
static void job_failed(struct uz__job *job, uint64_t failure)
{
	uint64_t lowest =
		atomic_load_explicit(&job->failure, memory_order_relaxed);

	while (failure < lowest &&
	       !atomic_compare_exchange_weak_explicit(
		       &job->failure, &lowest, failure, memory_order_relaxed,
		       memory_order_relaxed))
		;
	if (job->rq->op == UZ_OP_READ)
		atomic_store_explicit(&job->next, job->end,
				      memory_order_relaxed);
}

/* Is the rest, from page @next on, work for one more? */
static bool job_needs_help(struct uz__job *job, uint64_t next)
{
	/* relaxed: a guess. */
	uint64_t there =
		(atomic_load_explicit(&job->state, memory_order_relaxed) &
		 JOB_HELPERS) +
		1;

	return (job->end - next) / job->part >= UZ__PARTS_LEFT * there;
}

/* False: there was nothing left to do. */
static bool job_work(struct uz__crew *crew, struct uz__job *job,
		     struct uz_io *io, bool helper)
{
	uint64_t first, end, failure;
	bool any = false;

	while (!(helper && uz__crew_crowded(crew)) &&
	       job_take(job, &first, &end)) {
		if (job_needs_help(job, end))
			uz__crew_call(crew);
		failure = uz__request_part(io, job->rq, first, end);
		if (helper)
			uz__count(io, worker_pages, end - first);
		if (uz_unlikely(failure != UZ__NO_FAILURE))
			job_failed(job, failure);
		any = true;
	}
	return any;
}

/* ---- a worker ---- */

static bool job_join(struct uz__job *job)
{
	uint32_t state =
		atomic_load_explicit(&job->state, memory_order_relaxed);

	while (state & JOB_OPEN) {
		if (atomic_compare_exchange_weak_explicit(
			    &job->state, &state, state + 1,
			    memory_order_acquire, memory_order_relaxed))
			return true;
	}
	return false;
}

static void job_leave(struct uz__job *job)
{
	/*
	 * release, as said above; acquire, so that who posts passes on what
	 * those did who left before.
	 */
	uint32_t before =
		atomic_fetch_sub_explicit(&job->state, 1, memory_order_acq_rel);

	if (before == (JOB_TAKEN | 1))
		sem_post(&job->done);
}

bool uz__job_help(struct uz__crew *crew, struct uz_io *io)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < UZ__JOBS && !any; i++) {
		/* Begin at different places, so that not all join one job. */
		struct uz__job *job = &crew->jobs[(io->id + i) % UZ__JOBS];

		if (uz__crew_crowded(crew))
			break;
		if (!job_join(job))
			continue;
		uz_pulse_begin(io->pulse);
		any = job_work(crew, job, io, true);
		uz_pulse_end(io->pulse);
		job_leave(job);
	}
	return any;
}

/* ---- the submitter ---- */

/* A free place, or NULL. acquire: who had it before has done with it. */
static struct uz__job *job_get(struct uz__crew *crew, const struct uz_io *io)
{
	unsigned int i;

	for (i = 0; i < UZ__JOBS; i++) {
		struct uz__job *job = &crew->jobs[(io->id + i) % UZ__JOBS];
		uint32_t none = 0;

		if (atomic_compare_exchange_strong_explicit(
			    &job->state, &none, JOB_TAKEN, memory_order_acquire,
			    memory_order_relaxed))
			return job;
	}
	return NULL;
}

/*
 * Look out for the last helper, and sleep only if he does not come soon. Each
 * has one part left at most, and a CPU that has nothing else to do for so long
 * is halted: the way there and back takes as long in a virtual machine.
 */
static void await_helpers(struct uz__job *job, uint64_t start)
{
	do {
		if (!sem_trywait(&job->done))
			return;
	} while (uz__crew_clock() < start + UZ__LOOK_NS);
	while (sem_wait(&job->done))
		; /* EINTR: the program's own signals */
}

static void job_finish(struct uz__crew *crew, struct uz__job *job,
		       struct uz_io *io, uint64_t page_ns)
{
	uint64_t start;
	uint32_t before = atomic_fetch_and_explicit(&job->state, ~JOB_OPEN,
						    memory_order_acquire);

	if (!(before & JOB_HELPERS))
		return;
	start = uz__crew_clock();
	uz_pulse_wait(io->pulse); /* a helper that hangs has its own */
	await_helpers(job, start);
	uz_pulse_go_on(io->pulse);
	uz__crew_late(crew, start, 2 * page_ns * job->part);
}

/* Carry out pages [@first, @end) with whoever helps. */
static uint64_t job_run(struct uz__job *job, struct uz_io *io,
			const struct uz_request *rq, uint64_t first,
			uint64_t end, uint64_t part, uint64_t page_ns)
{
	struct uz__crew *crew = io->dev->crew;
	uint64_t failure;

	/* relaxed: the state that follows publishes all of it. */
	atomic_store_explicit(&job->next, first, memory_order_relaxed);
	atomic_store_explicit(&job->failure, UZ__NO_FAILURE,
			      memory_order_relaxed);
	job->rq = rq;
	job->end = end;
	job->part = part;
	atomic_fetch_add_explicit(&crew->submitters, 1, memory_order_relaxed);
	atomic_store_explicit(&job->state, JOB_TAKEN | JOB_OPEN,
			      memory_order_release);
	job_work(crew, job, io, false);
	job_finish(crew, job, io, page_ns);
	atomic_fetch_sub_explicit(&crew->submitters, 1, memory_order_relaxed);
	failure = atomic_load_explicit(&job->failure, memory_order_relaxed);
	/* release: the next one to take the place finds it left alone. */
	atomic_store_explicit(&job->state, 0, memory_order_release);
	return failure;
}

/*
 * The rest of a request, after @pages of it took @ns: shared, if that pays.
 * False: it was not begun.
 */
static bool share_rest(struct uz_io *io, const struct uz_request *rq,
		       uint64_t first, uint64_t end, uint64_t pages,
		       uint64_t ns, uint64_t *failure)
{
	uint64_t part = ns ? UZ__PART_NS * pages / ns : end;
	struct uz__job *job;

	if (!part)
		part = 1;
	if ((end - first) / part < UZ__PARTS_LEFT)
		return false;
	job = job_get(io->dev->crew, io);
	if (!job)
		return false;
	*failure = job_run(job, io, rq, first, end, part, ns / pages);
	return true;
}

/**
 * uz__crew_run() - carry out a request of many pages
 * @io:    the submitter's context; the gate was entered
 * @rq:    the request
 * @first: its first page
 * @end:   page behind its last one
 *
 * Context: as uz_device_submit().
 * Return:  as uz__request_part(): the failure of the lowest page.
 */
uint64_t uz__crew_run(struct uz_io *io, const struct uz_request *rq,
		      uint64_t first, uint64_t end)
{
	uint64_t failure = UZ__NO_FAILURE;
	uint64_t pages = TRIAL;
	uint64_t start;

	/* relaxed: as uz__crew_start() says. */
	if (!atomic_load_explicit(&io->dev->crew->nr, memory_order_relaxed))
		return uz__request_part(io, rq, first, end);
	start = uz__crew_clock();
	for (;;) {
		uint64_t to = end - first > pages ? first + pages : end;
		uint64_t failed, now;

		failed = uz__request_part(io, rq, first, to);
		if (failed < failure)
			failure = failed;
		if (to == end || (rq->op == UZ_OP_READ &&
				  uz_unlikely(failure != UZ__NO_FAILURE)))
			return failure;
		now = uz__crew_clock();
		if (share_rest(io, rq, to, end, to - first, now - start,
			       &failed))
			return failed < failure ? failed : failure;
		start = now;
		first = to;
		pages *= 2;
	}
}
