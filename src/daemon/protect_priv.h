/* SPDX-License-Identifier: MIT */
#ifndef UZ_PROTECT_PRIV_H
#define UZ_PROTECT_PRIV_H

#include <stdbool.h>
#include <stddef.h>

/* What swap=on asks for, so that memory can be freed by us. */

struct uz__daemon;

/* ---- protect.c ---- */

#define UZ__PROTECT_FLUSHER 1u
#define UZ__PROTECT_LOCKED  2u
#define UZ__PROTECT_OOM	    4u
#define UZ__PROTECT_NOSWAP  8u /* memory that is made from now on */
#define UZ__PROTECT_RT	    16u

/* What each process has to ask for itself. */
#define UZ__PROTECT_PROCESS                                           \
	(UZ__PROTECT_FLUSHER | UZ__PROTECT_LOCKED | UZ__PROTECT_OOM | \
	 UZ__PROTECT_RT)

/*
 * Protects this process, and threads and children to come as far as that is
 * inherited. Returns which of the protections that are @wanted it has now; the
 * others are a warning if @tell.
 */
unsigned int uz__protect(unsigned int wanted, bool tell);

/* "io_flusher,locked,oom,noswap,realtime", or "no". */
void uz__protect_text(unsigned int got, char *text, size_t size);

/*
 * Of the supervisor, with swap=on, before the first worker: all that a process
 * asks for itself, with warnings, and what workers find there (protect.c).
 */
void uz__protect_supervisor(struct uz__daemon *d);

/* ---- ballast.c ---- */

/* The supervisor's: where it lies. It is made by the first worker. */
void uz__ballast_create(struct uz__daemon *d);

/* The worker's, when it serves: it goes back, and is made again in time. */
void uz__ballast_drop(const struct uz__daemon *d);

#endif
