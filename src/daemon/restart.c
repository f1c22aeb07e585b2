// SPDX-License-Identifier: MIT
/*
 * Whether a worker that died is followed by another, and when. Pure.
 *
 * One that has served for a while died of something rare, or was killed; the
 * next one begins at once. Deaths in a row that leave no time to serve mean
 * that it will not get better soon, so each makes the pause longer. They end
 * in an end: clients that get errors are better off than clients that hang.
 * There are enough of them to outlast a moment without memory.
 */
#include "daemon_priv.h"

#define SERVED_MS   50
#define FIRST_MS    10
#define PAUSE_RATIO 4
#define PAUSE_MAX   1000

int uz__restart_pause(struct uz__restart *r, uint64_t served_ms)
{
	unsigned int pause = FIRST_MS, i;

	if (served_ms >= SERVED_MS)
		r->vain = 0;
	if (++r->vain >= UZ__RESTART_VAIN)
		return -1;
	r->total++;
	if (r->vain == 1)
		return 0;
	for (i = 2; i < r->vain && pause < PAUSE_MAX; i++)
		pause *= PAUSE_RATIO;
	return (int)(pause < PAUSE_MAX ? pause : PAUSE_MAX);
}
