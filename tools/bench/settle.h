/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_SETTLE_H
#define UZRAM_BENCH_SETTLE_H

#include <uzram/device.h>

#include "bench.h"

/* A device right after the last store, and with its reserve given back. */
struct settle_stat {
	struct uz_device_stat at_once;
	struct uz_device_stat at_rest;
};

/* Wait until @bytes(@arg) stays what it is, at most 2 s; -EINTR after a
 * signal. @last: NULL, or gets when it fell last (the start if it never did).
 */
int settle_wait(uint64_t (*bytes)(void *arg), void *arg, uint64_t *last);
/* Read, wait, read again. */
int settle_device(struct uz_device *dev, struct settle_stat *stat);

#endif
