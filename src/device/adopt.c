// SPDX-License-Identifier: MIT
/*
 * Adoption: a device from the memory that a process which is no more has
 * left, whatever it was doing when it died.
 *
 * The superblock says how large table and arena are; the table says which
 * objects live. Everything else follows: the pool's bitmaps, owners and lists
 * from the refs and sizes in the slots, the derived counters from their
 * kinds. An object that was filled but not published is in no slot, so it is
 * free; one that was taken out of its slot but not freed likewise.
 *
 * The store that pages were written back to is opened first, and each piece of
 * it that a slot names is held again. One that cannot be opened, or is shorter
 * than it was, makes errors of reading, and is no reason to lose the rest. But
 * where the system is only short of memory or descriptors for it just now, the
 * adoption fails and can be tried again: errors would be for a worker's life.
 *
 * Nothing here is trusted. A word that is no slot costs its page: it is
 * replaced by one that names nothing and is no slot either, so that the page
 * is not mistaken for an empty one, and its object is free as any that is in
 * no slot. A slot that is one but contradicts others or the arena ends the
 * adoption, with the memory untouched, for a person to look at.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/delay.h>
#include <uzram/util/log.h>

#include "device_priv.h"
#include "reopen.h"

static void adopt_counters(struct uz_device *dev)
{
	struct uz__counters *all = &dev->ctl->counters[0];
	unsigned int i;

	for (i = 1; i < UZ__COUNTER_SLOTS; i++)
		uz__stat_fold(dev, &dev->ctl->counters[i]);
#define X(name) atomic_store_explicit(&all->name, 0, memory_order_relaxed);
	UZ__DERIVED_COUNTERS(X) /* relaxed: there are no other threads yet */
#undef X
}

static int adopt_damaged(struct uz_device *dev, uint64_t index, uz_slot_t w,
			 struct uz_err *err)
{
	return uz_err_set(
		err, -EUCLEAN,
		"cannot adopt %s: page %llu has the impossible slot %#llx",
		dev->name, (unsigned long long)index, (unsigned long long)w);
}

/*
 * A page that memory has lost. Its slot must not come to name, by one more
 * flip or by undoing the one that happened, an object that is there no more.
 */
static void adopt_lost(struct uz_device *dev, uint64_t index, uz_slot_t w)
{
	uz_log(UZ_LOG_ERR,
	       "%s: page %llu is lost: its slot %#llx is damaged; reading it fails until it is written",
	       dev->name, (unsigned long long)index, (unsigned long long)w);
	uz_table_exchange(dev->table, index, UZ__SLOT_LOST);
	/* relaxed: there are no other threads yet */
	atomic_fetch_add_explicit(&dev->ctl->counters[0].checksum_errors, 1,
				  memory_order_relaxed);
}

static int adopt_slot(struct uz_device *dev, uint64_t index, uz_slot_t w,
		      struct uz_err *err)
{
	struct uz__counters *all = &dev->ctl->counters[0];
	uint64_t since = all->huge_pages_since;
	int ret;

	if (!uz_slot_valid(w)) {
		if (w != UZ__SLOT_LOST)
			adopt_lost(dev, index, w);
		return 0;
	}
	if (uz_slot_is_compressed(w) && !dev->codecs[uz_slot_codec(w)].ops)
		return adopt_damaged(dev, index, w, err);
	if (uz_slot_in_pool(w)) {
		ret = uz_pool_adopt_object(dev->pool, uz_slot_ref(w),
					   uz__object_bytes(uz_slot_size(w)),
					   (uint32_t)index);
		if (ret == -EUCLEAN)
			return adopt_damaged(dev, index, w, err);
		if (ret)
			return uz_err_set(err, ret, "cannot adopt %s: %s",
					  dev->name, strerror(-ret));
	}
	/*
	 * -EIO: the store, or this part of it, is not there; reading says so.
	 */
	if (uz_slot_kind(w) == UZ_SLOT_BACKED)
		(void)!uz__backed_hold(dev, w);
	uz__stat_slot(all, w, 1);
	all->huge_pages_since = since; /* it was counted when it was stored */
	return 0;
}

static int adopt_table(struct uz_device *dev, struct uz_err *err)
{
	uint64_t nr = uz_table_pages(dev->table);
	uint64_t i = 0;
	int ret;

	while ((i = uz_table_next(dev->table, i)) < nr) {
		uz_slot_t w = uz_table_load(dev->table, i);

		ret = w ? adopt_slot(dev, i, w, err) : 0;
		if (ret)
			return ret;
		uz_delay(UZ_DELAY_ADOPTED);
		i++;
	}
	ret = uz_pool_adopt_end(dev->pool);
	if (ret)
		return uz_err_set(err, ret, "cannot adopt %s: %s", dev->name,
				  strerror(-ret));
	return 0;
}

/**
 * uz__adopt() - take over what the memfds hold
 * @dev: superblock checked, codecs parsed
 * @err: the reason of a failure
 *
 * Context: uz_device_open(); no other thread.
 * Return:  0 or -errno; then @dev is only good for uz_device_close().
 */
int uz__adopt(struct uz_device *dev, struct uz_err *err)
{
	uint64_t size = atomic_load(&dev->ctl->super.disksize);
	struct uz_pool_config config;
	int ret;

	adopt_counters(dev);
	ret = uz__backing_adopt(dev, err);
	if (ret)
		return ret;
	if (!size)
		return 0;
	uz_pool_config_default(&config, size);
	uz__super_pool_config(dev, &config);
	ret = uz__device_map_memory(dev, size, &config);
	if (ret)
		return uz_err_set(err, ret, "cannot adopt %s: %s", dev->name,
				  strerror(-ret));
	ret = adopt_table(dev, err);
	if (ret)
		return ret;
	uz__device_ready(dev, size);
	return 0;
}
