/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_CREW_H
#define UZRAM_DEVICE_CREW_H

#include <semaphore.h>

#include "device_priv.h"

/* Requests that are shared at a time; any further one is not shared. */
#define UZ__JOBS 16

/*
 * Time that a part of a request takes: much more than taking a part does, yet
 * little enough that the one who finishes last is not waited for much longer.
 */
#define UZ__PART_NS 15000

/*
 * So many parts must be left for each of those at work before one more is
 * woken: he needs the time of one or two until he runs.
 */
#define UZ__PARTS_LEFT 3

/*
 * A worker that is waited for is late after this time: it has no CPU. For
 * QUIET times as long nobody is called. One that comes late costs nobody
 * anything.
 */
#define UZ__LATE_NS 300000
#define UZ__QUIET   16

/*
 * A submitter looks out for his last helper before he sleeps: for some parts'
 * time, since a page may take longer than a part should.
 */
#define UZ__LOOK_NS 100000

/**
 * struct uz__job - a request that is being shared: job.c
 * @state:   UZ__JOB_TAKEN, UZ__JOB_OPEN and the number of helpers in it
 * @next:    the page that nobody has taken yet
 * @failure: as uz__request_part() returns it, of the lowest page that failed
 * @rq:      the request; it lives on the submitter's stack
 * @end:     page behind its last one
 * @part:    pages that one takes at a time
 * @done:    posted once, by the last helper, when the submitter was before him
 *
 * A place for a job is never freed before the threads have ended, so whoever
 * comes too late may look at @state. The other fields belong to those who are
 * in: the submitter from taking the place on, helpers from joining on.
 */
struct uz__job {
	_Atomic uint32_t state;
	_Atomic uint64_t failure;
	const struct uz_request *rq;
	uint64_t end;
	uint64_t part;
	sem_t done;
	_Atomic uint64_t next __attribute__((aligned(UZ_CACHELINE)));
} __attribute__((aligned(UZ_CACHELINE)));

/**
 * struct uz__worker - one page worker
 * @crew:   where it belongs
 * @io:     its own context
 * @thread: its thread
 */
struct uz__worker {
	struct uz__crew *crew;
	struct uz_io *io;
	pthread_t thread;
};

/**
 * struct uz__crew - a device's page workers: crew.c
 * @wanted:     how many there are to be
 * @nr:         how many there are
 * @stop:       they are to end
 * @workers:    each of them; guarded by the configuration lock, as @wanted
 * @idle:       workers that sleep or are about to, and were not called
 * @submitters: threads that share a request of theirs at this moment
 * @quiet:      until when nobody is called, in ns
 * @wake:       one post for each worker that was called: it counts those that
 *              sleep no longer wanted
 * @jobs:       places for requests that are shared
 */
struct uz__crew {
	unsigned int wanted;
	_Atomic unsigned int nr;
	_Atomic bool stop;
	struct uz__worker workers[UZ_WORKERS_MAX];
	_Atomic unsigned int idle __attribute__((aligned(UZ_CACHELINE)));
	_Atomic unsigned int submitters;
	_Atomic uint64_t quiet;
	sem_t wake;
	struct uz__job jobs[UZ__JOBS];
};

/* ---- crew.c ---- */

int uz__crew_create(struct uz_device *dev);
void uz__crew_destroy(struct uz_device *dev);
void uz__crew_start(struct uz_device *dev);
void uz__crew_end(struct uz_device *dev);

/* Call one worker, if there is one that sleeps and a CPU for him. */
void uz__crew_call(struct uz__crew *crew);

/*
 * A worker was waited for since @since: if it was too long, or @patience ns
 * more than that, call nobody for a while.
 */
void uz__crew_late(struct uz__crew *crew, uint64_t since, uint64_t patience);

/* Now, in ns. */
uint64_t uz__crew_clock(void);

/* Are more at work than there are CPUs for? */
bool uz__crew_crowded(struct uz__crew *crew);

/* ---- job.c ---- */

uint64_t uz__crew_run(struct uz_io *io, const struct uz_request *rq,
		      uint64_t first, uint64_t end);

/* Help with any job that is open; false when there was nothing to do. */
bool uz__job_help(struct uz__crew *crew, struct uz_io *io);

#endif
