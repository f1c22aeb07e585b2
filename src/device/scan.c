// SPDX-License-Identifier: MIT
/*
 * Looking over the whole table: where data and holes are.
 *
 * Takes the configuration lock, so that the table stays, and reads slots as
 * they are at that moment; requests go on meanwhile.
 */
#include <errno.h>

#include "device_priv.h"

static uint64_t scan_data(const struct uz_table *t, uint64_t i, uint64_t nr)
{
	while ((i = uz_table_next(t, i)) < nr && !uz_table_load(t, i))
		i++;
	return i;
}

static uint64_t scan_hole(const struct uz_table *t, uint64_t i, uint64_t nr)
{
	while (i < nr && uz_table_load(t, i))
		i++;
	return i;
}

int uz_device_next(struct uz_device *dev, uint64_t offset, bool data,
		   uint64_t *found)
{
	uz_scoped_acquire(guard, &dev->lock);
	uint64_t first = offset / UZ_PAGE_SIZE;
	uint64_t nr, i;

	if (!dev->table)
		return -ENXIO;
	nr = uz_table_pages(dev->table);
	if (first >= nr)
		return -ENXIO;
	i = data ? scan_data(dev->table, first, nr)
		 : scan_hole(dev->table, first, nr);
	if (data && i >= nr)
		return -ENXIO;
	*found = i == first ? offset : i * UZ_PAGE_SIZE;
	return 0;
}
