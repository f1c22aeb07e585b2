/* SPDX-License-Identifier: MIT */
#ifndef UZ_OPENER_PRIV_H
#define UZ_OPENER_PRIV_H

#include <stdbool.h>
#include <sys/types.h>

#include <uzram/types.h>
#include <uzram/util/err.h>

/* As many may be stuck at a time. */
#define UZ__OPENERS_MAX 4

/*
 * struct uz__opener - processes that open a program
 * @pid:  that may still be there; the last is at work if @line is not -1
 * @nr:   of these
 * @line: to it
 */
struct uz__opener {
	pid_t pid[UZ__OPENERS_MAX];
	unsigned int nr;
	int line;
};

/* Makes one for @path; none is at work. 0 or -errno. */
uz_must_check int uz__opener_start(struct uz__opener *o, const char *path,
				   struct uz_err *err);

/*
 * The descriptor, -EAGAIN while there is neither that nor an error and it is
 * not @late, or -errno, which @err tells.
 */
uz_must_check int uz__opener_take(struct uz__opener *o, bool late,
				  struct uz_err *err);

/* Forgets those that are gone. */
void uz__opener_reap(struct uz__opener *o);

/* Ends them all, but does not wait for ever. */
void uz__opener_end(struct uz__opener *o);

#endif
