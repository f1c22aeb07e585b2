// SPDX-License-Identifier: MIT
/*
 * Whether a worker that died is followed by another, and when. Pure.
 *
 * One that has served for a while died of something rare, or was killed; the
 * next one begins at once. Deaths in a row that leave no time to serve mean
 * that it will not get better soon, so each makes the pause longer. They end
 * in an end: clients that get errors are better off than clients that hang.
 *
 * It is otherwise where the system could not spare what a worker needs: a
 * process, a thread, memory. Nothing is wrong with the device then, so there
 * are minutes for that to change.
 */
#include <errno.h>

#include "daemon_priv.h"

#define SERVED_MS   50
#define FIRST_MS    10
#define PAUSE_RATIO 4
#define PAUSE_MAX   1000

/* The milliseconds before the try after so many in vain. */
static int pause_after(unsigned int vain)
{
	unsigned int pause = FIRST_MS, i;

	if (vain == 1)
		return 0;
	for (i = 2; i < vain && pause < PAUSE_MAX; i++)
		pause *= PAUSE_RATIO;
	return (int)(pause < PAUSE_MAX ? pause : PAUSE_MAX);
}

static bool is_want(int rc)
{
	return rc == -EAGAIN || rc == -ENOMEM || rc == -EMFILE ||
	       rc == -ENFILE ||
	       rc == -ECANCELED; /* by io_uring, for want of a thread */
}

int uz__restart_pause(struct uz__restart *r, uint64_t served_ms, int rc)
{
	if (served_ms >= SERVED_MS)
		r->vain = r->wants = 0;
	if (is_want(rc) ? ++r->wants >= UZ__RESTART_WANTS
			: ++r->vain >= UZ__RESTART_VAIN)
		return -1;
	r->total++;
	return pause_after(is_want(rc) ? r->wants : r->vain);
}

int uz__restart_no_more(const struct uz__restart *r, const char *why,
			struct uz_err *err)
{
	if (r->vain < UZ__RESTART_VAIN)
		return uz_err_set(err, -EIO,
				  "no worker could be started for minutes; "
				  "the device is gone: %s",
				  why);
	return uz_err_set(err, -EIO,
			  "worker died %d times in a row without serving; "
			  "the device is gone: %s",
			  UZ__RESTART_VAIN, why);
}
