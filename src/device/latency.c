// SPDX-License-Identifier: MIT
/*
 * How long requests take: one in UZ_LATENCY_EVERY of each thread is timed. A
 * thread counts in its own context, without a lock and without sharing a cache
 * line with others; a reader adds up. What threads have counted that are gone
 * is in the device, under the configuration lock.
 *
 * Kept in ordinary memory: nobody needs the times of a process that is dead,
 * and the control memfd keeps its layout.
 */
#include <string.h>
#include <time.h>

#include "device_priv.h"

#define NS_PER_S UINT64_C(1000000000)

/* Times below 1 << FIRST_BIT are one bucket; each power of two is PARTS. */
#define FIRST_BIT 8
#define PART_BITS 2
#define PARTS	  (1u << PART_BITS)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int bit, bucket;

	if (ns < 1u << FIRST_BIT)
		return 0;
	bit = 63 - (unsigned int)__builtin_clzll(ns);
	bucket = 1 + (bit - FIRST_BIT) * PARTS +
		 (unsigned int)(ns >> (bit - PART_BITS) & (PARTS - 1));
	return bucket < UZ_LATENCY_BUCKETS ? bucket : UZ_LATENCY_BUCKETS - 1;
}

uint64_t uz_latency_most(unsigned int bucket)
{
	unsigned int bit, part;

	if (bucket >= UZ_LATENCY_BUCKETS - 1)
		return UINT64_MAX;
	if (!bucket)
		return (1u << FIRST_BIT) - 1;
	bit = FIRST_BIT + (bucket - 1) / PARTS;
	part = (bucket - 1) % PARTS;
	return ((uint64_t)(PARTS + part + 1) << (bit - PART_BITS)) - 1;
}

/* relaxed: one writer, and readers want each number whole, not an order. */
static void add(_Atomic uint64_t *number, uint64_t n)
{
	atomic_store_explicit(
		number, atomic_load_explicit(number, memory_order_relaxed) + n,
		memory_order_relaxed);
}

uint64_t uz__latency_start(struct uz_io *io)
{
	io->untimed = UZ_LATENCY_EVERY;
	return now_ns();
}

void uz__latency_stop(struct uz_io *io, enum uz_op op, uint64_t since)
{
	uint64_t ns = now_ns() - since;
	struct uz__latency *l;

	if (op != UZ_OP_READ && op != UZ_OP_WRITE)
		return;
	l = &io->latency[op == UZ_OP_READ ? UZ_LATENCY_READ : UZ_LATENCY_WRITE];
	add(&l->count[bucket_of(ns)], 1);
	add(&l->sum_ns, ns);
}

static void sum_add(struct uz_latency *sum, const struct uz__latency *l)
{
	unsigned int i;

	/* relaxed: as add(). */
	for (i = 0; i < UZ_LATENCY_BUCKETS; i++)
		sum->count[i] += atomic_load_explicit(&l->count[i],
						      memory_order_relaxed);
	sum->sum_ns += atomic_load_explicit(&l->sum_ns, memory_order_relaxed);
}

void uz__latency_fold(struct uz_device *dev, const struct uz_io *io)
{
	unsigned int i;

	for (i = 0; i < UZ_LATENCY_KINDS; i++)
		sum_add(&dev->latency[i], &io->latency[i]);
}

static void clear(struct uz__latency *l)
{
	unsigned int i;

	/* relaxed: no request is under way, and who comes passes the gate. */
	for (i = 0; i < UZ_LATENCY_BUCKETS; i++)
		atomic_store_explicit(&l->count[i], 0, memory_order_relaxed);
	atomic_store_explicit(&l->sum_ns, 0, memory_order_relaxed);
}

void uz__latency_clear(struct uz_device *dev)
{
	unsigned int i, kind;

	memset(dev->latency, 0, sizeof(dev->latency));
	for (i = 0; i < UZ_IO_MAX; i++)
		for (kind = 0; dev->ios[i] && kind < UZ_LATENCY_KINDS; kind++)
			clear(&dev->ios[i]->latency[kind]);
}

void uz_device_latency(struct uz_device *dev, enum uz_latency_of of,
		       struct uz_latency *latency)
{
	uz_scoped_acquire(guard, &dev->lock);
	unsigned int i;

	*latency = dev->latency[of];
	for (i = 0; i < UZ_IO_MAX; i++)
		if (dev->ios[i])
			sum_add(latency, &dev->ios[i]->latency[of]);
}
