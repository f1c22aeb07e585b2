/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_LATENCY_H
#define UZRAM_DEVICE_LATENCY_H

#include <uzram/types.h>

/**
 * DOC: how long requests take
 *
 * Beside uzram/device.h. Of the requests of each thread one in so many is
 * timed, from the call of uz_device_submit() until it is carried out; what a
 * front end and the kernel take beside that is not in it. Times are counted by
 * buckets, four to each power of two. They are this process's: who takes over
 * a device begins anew.
 */

/*
 * Of so many requests one is timed: a clock costs some 50 ns, of which a
 * request then has one. A prime, so as not to meet the same place of a pattern
 * again and again.
 */
#define UZ_LATENCY_EVERY 61

/* The first has all below 256 ns, the last all from 14 s on. */
#define UZ_LATENCY_BUCKETS 105

struct uz_device;

/**
 * struct uz_latency - requests that were timed
 * @count:  by bucket
 * @sum_ns: their times together
 */
struct uz_latency {
	uint64_t count[UZ_LATENCY_BUCKETS];
	uint64_t sum_ns;
};

/**
 * enum uz_latency_of - what they wanted
 * @UZ_LATENCY_READ:  bytes
 * @UZ_LATENCY_WRITE: to store some
 */
enum uz_latency_of {
	UZ_LATENCY_READ,
	UZ_LATENCY_WRITE,
	UZ_LATENCY_KINDS,
};

/**
 * uz_latency_most() - the longest time of a bucket
 * @bucket: 0 ... UZ_LATENCY_BUCKETS - 1
 *
 * Context: any thread.
 * Return:  nanoseconds; UINT64_MAX for the last one.
 */
uint64_t uz_latency_most(unsigned int bucket);

/**
 * uz_device_latency() - how long requests took since this process began
 * @dev:     the device
 * @of:      which
 * @latency: filled
 *
 * A reset of the device clears it.
 *
 * Context: any thread; takes the configuration lock. Numbers of a request that
 *          ends just now may be there in part.
 */
void uz_device_latency(struct uz_device *dev, enum uz_latency_of of,
		       struct uz_latency *latency);

#endif
