/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_LATENCY_H
#define UZ_DEVICE_LATENCY_H

#include <stdatomic.h>

#include <uzram/device.h>
#include <uzram/device/latency.h>

/* latency.c; included by device_priv.h. */

/**
 * struct uz__latency - one thread's share of struct uz_latency
 * @count:  as there
 * @sum_ns: as there
 *
 * Only the owning thread writes.
 */
struct uz__latency {
	_Atomic uint64_t count[UZ_LATENCY_BUCKETS];
	_Atomic uint64_t sum_ns;
};

/* The next one is timed: when it begins. */
uint64_t uz__latency_start(struct uz_io *io);
void uz__latency_stop(struct uz_io *io, enum uz_op op, uint64_t since);

/* The thread goes; configuration lock held. */
void uz__latency_fold(struct uz_device *dev, const struct uz_io *io);

/* As of now nothing was timed; nobody is inside the gate. */
void uz__latency_clear(struct uz_device *dev);

#endif
