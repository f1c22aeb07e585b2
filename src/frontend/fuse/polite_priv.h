/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_POLITE_PRIV_H
#define UZRAM_FUSE_POLITE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <uzram/types.h>

struct uz__polite;

/**
 * uz__polite_create() - let workers be polite, see polite.c
 * @polite:  set; NULL after a failure, which all functions below take
 * @workers: how many there can be
 *
 * Context: one thread; makes one.
 * Return:  0; -EPERM we may not change the class of a thread and back, for
 *          which CAP_SYS_NICE is needed, or RLIMIT_NICE for niceness 0; -ENOMEM
 *          or -errno of pthread_create(3).
 */
uz_must_check int uz__polite_create(struct uz__polite **polite,
				    unsigned int workers);

/**
 * uz__polite_join() - this thread is a worker
 * @polite: or NULL
 * @worker: its number; below the @workers of uz__polite_create()
 *
 * Context: the worker, once, before it serves.
 */
void uz__polite_join(struct uz__polite *polite, unsigned int worker);

/**
 * uz__polite_woken() - requests have come while the worker slept
 * @polite: or NULL
 * @worker: its number
 * @alone:  it was one, and a small one
 *
 * Context: the worker; no lock, a system call once in many.
 */
void uz__polite_woken(struct uz__polite *polite, unsigned int worker,
		      bool alone);

/**
 * uz__polite_destroy() - end it
 * @polite: or NULL
 *
 * Context: all workers have ended.
 */
void uz__polite_destroy(struct uz__polite *polite);

/**
 * struct uz__polite_count - what happened to a worker between two looks
 * @wakes:  how often requests woke it
 * @alone:  how often that was a single small one
 * @waited: how long it could have run and had no CPU, ns
 * @time:   between the looks, ns
 */
struct uz__polite_count {
	uint64_t wakes;
	uint64_t alone;
	uint64_t waited;
	uint64_t time;
};

/**
 * struct uz__polite_state - what is decided of a worker; zeroes at first
 * @on:           it is polite
 * @since:        since when, by the clock of uz__polite_decide()
 * @ban:          how long the last ban was, ns
 * @banned_until: not before
 */
struct uz__polite_state {
	bool on;
	uint64_t since;
	uint64_t ban;
	uint64_t banned_until;
};

/**
 * uz__polite_decide() - is it to be polite from now on?
 * @state: its @on is the answer
 * @delta: since the last look
 * @now:   ns of any clock that does not go back
 *
 * Context: pure.
 */
void uz__polite_decide(struct uz__polite_state *state,
		       const struct uz__polite_count *delta, uint64_t now);

#endif
