// SPDX-License-Identifier: MIT
/*
 * Memory at rest.
 *
 * A device that was just written to holds a reserve, populated ahead of
 * stores that may come, and gives it back soon after the last one. What a
 * device needs for what it holds can only be read after that.
 */
#include "settle.h"

/* Longer than the reserve stays, and too long in any case. */
#define QUIET_NS UINT64_C(600000000)
#define MOST_NS	 UINT64_C(2000000000)
#define LOOK_NS	 5000000

int settle_wait(uint64_t (*bytes)(void *arg), void *arg, uint64_t *last)
{
	uint64_t began = clock_ns(), now = began, was = bytes(arg);
	uint64_t changed = began, fell = began;

	/* It may rise first: what was asked for ahead comes late. */
	while (now - changed < QUIET_NS && now - began < MOST_NS) {
		uint64_t is;

		if (clock_sleep(now + LOOK_NS))
			return -EINTR;
		now = clock_ns();
		is = bytes(arg);
		if (is != was)
			changed = now;
		if (is < was)
			fell = now;
		was = is;
	}
	if (last)
		*last = fell;
	return 0;
}

static uint64_t device_used(void *arg)
{
	struct uz_device_stat s;

	uz_device_stat(arg, &s);
	return s.mem_used_total;
}

int settle_device(struct uz_device *dev, struct settle_stat *stat)
{
	int ret;

	uz_device_stat(dev, &stat->at_once);
	ret = settle_wait(device_used, dev, NULL);
	uz_device_stat(dev, &stat->at_rest);
	return ret;
}
