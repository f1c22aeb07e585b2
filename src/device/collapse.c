// SPDX-License-Identifier: MIT
/*
 * Huge pages of what a device has at random places: its table, where a slot
 * is eight bytes of any of thousands of small pages, and the arena.
 *
 * The table first. It takes the least work: one huge page for each GiB of the
 * device.
 *
 * Under the configuration lock, so that neither goes away meanwhile.
 */
#include <errno.h>

#include <uzram/device/huge.h>
#include <uzram/pool/huge.h>

#include "device_priv.h"

/* Until the table is tried again. */
#define TABLE_MS 1000

int uz_device_collapse(struct uz_device *dev, uint32_t *wait_ms)
{
	uz_scoped_acquire(guard, &dev->lock);
	int table, pool;

	/* To take a huge page apart the kernel may need memory. */
	if (dev->mem.reserve)
		return -ENOTSUP;
	if (!dev->pool)
		return 0;
	table = uz_table_collapse(dev->table);
	/* It may lie where none fits; the pool says for itself. */
	if (table == -ENOTSUP)
		table = 0;
	if (table && table != -EAGAIN)
		return table;
	pool = uz_pool_collapse(dev->pool, wait_ms);
	if (!table || (pool && pool != -EAGAIN))
		return pool;
	if (!pool || *wait_ms > TABLE_MS)
		*wait_ms = TABLE_MS;
	return -EAGAIN;
}

void uz_device_on_whole(struct uz_device *dev, void (*fn)(void *arg), void *arg)
{
	uz_scoped_acquire(guard, &dev->lock);

	dev->whole = fn;
	dev->whole_arg = arg;
	if (dev->pool) /* adopted */
		uz_pool_on_whole(dev->pool, fn, arg);
}
