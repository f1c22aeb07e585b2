// SPDX-License-Identifier: MIT
/*
 * Does everything agree? For tests, and for whoever has doubts.
 *
 * Both directions are looked at: every slot's object is one that the pool
 * knows, at that place, of that class, with that owner; and the pool knows no
 * object that no slot names. Counting both sides and matching one of them is
 * enough: a slot names at most one object, so equal numbers and a match for
 * every object make a bijection.
 *
 * Objects on the backing store are for backed.c.
 *
 * Nothing may run meanwhile. The configuration lock is held.
 */
#include <errno.h>

#include "device_priv.h"

/**
 * struct checking - a check under way
 * @dev:     the device
 * @objects: that the pool knows
 * @bad:     page whose object is wrong
 * @why:     what is wrong with it
 * @copy:    of an object, if the pool's cannot be looked at in place
 */
struct checking {
	struct uz_device *dev;
	uint64_t objects;
	uint64_t bad;
	const char *why;
	unsigned char copy[UZ_POOL_MAX_OBJECT];
};

static bool object_intact(struct checking *c, uz_slot_t w, uint64_t index)
{
	struct uz_pool *pool = c->dev->pool;
	const void *bytes;
	struct uz_map map;
	bool intact;

	if (!uz_slot_valid(w))
		return false;
	uz_pool_map(pool, uz_slot_ref(w), &map);
	bytes = uz_pool_view(pool, &map, uz__object_bytes(uz_slot_size(w)),
			     c->copy);
	intact = bytes && uz__object_intact(w, bytes, index);
	uz_pool_unmap(pool, &map);
	return intact;
}

static int check_object(void *arg, uz_ref_t ref, uint32_t class_size,
			uint32_t owner)
{
	struct checking *c = arg;
	const struct uz_device *dev = c->dev;
	uz_slot_t w;

	c->objects++;
	c->bad = owner;
	if (owner >= uz_table_pages(dev->table)) {
		c->why = "the pool holds an object of a page beyond the end";
		return -EUCLEAN;
	}
	w = uz_table_load(dev->table, owner);
	if (!uz_slot_in_pool(w) || uz_slot_ref(w) != ref) {
		c->why = "the pool holds an object that its slot does not name";
		return -EUCLEAN;
	}
	if (!uz_slot_valid(w)) {
		c->why = "its slot is impossible";
		return -EUCLEAN;
	}
	if (uz_pool_class_size(dev->pool, uz__object_bytes(uz_slot_size(w))) !=
	    class_size) {
		c->why = "slot and pool differ in the object's size";
		return -EUCLEAN;
	}
	if (!object_intact(c, w, owner)) {
		c->why = "the object's checksum is wrong";
		return -EUCLEAN;
	}
	return 0;
}

static int check_objects(struct checking *c, struct uz_err *err)
{
	if (!uz_pool_for_each(c->dev->pool, check_object, c))
		return 0;
	return uz_err_set(err, -EUCLEAN, "%s, page %llu: %s", c->dev->name,
			  (unsigned long long)c->bad, c->why);
}

static int check_slots(const struct checking *c, struct uz_err *err)
{
	const struct uz_device *dev = c->dev;
	uint64_t nr = uz_table_pages(dev->table);
	struct uz__counters sum, seen = { 0 };
	uint64_t in_pool = 0, i = 0;

	while ((i = uz_table_next(dev->table, i)) < nr) {
		uz_slot_t w = uz_table_load(dev->table, i);

		if (!uz_slot_valid(w))
			return uz_err_set(
				err, -EUCLEAN,
				"%s, page %llu: impossible slot %#llx",
				dev->name, (unsigned long long)i,
				(unsigned long long)w);
		in_pool += uz_slot_in_pool(w);
		uz__stat_slot(&seen, w, 1);
		i++;
	}
	if (in_pool != c->objects)
		return uz_err_set(
			err, -EUCLEAN,
			"%s: slots name %llu objects, the pool holds %llu",
			dev->name, (unsigned long long)in_pool,
			(unsigned long long)c->objects);
	uz__stat_sum(dev, &sum);
#define X(counter)                                                            \
	if (sum.counter != seen.counter)                                      \
		return uz_err_set(err, -EUCLEAN,                              \
				  "%s: " #counter                             \
				  " is counted as %llu, the table says %llu", \
				  dev->name, (unsigned long long)sum.counter, \
				  (unsigned long long)seen.counter);
	UZ__DERIVED_COUNTERS(X)
#undef X
	return 0;
}

static int check_dicts(const struct uz_device *dev, struct uz_err *err)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (!uz__dict_intact(dev, i))
			return uz_err_set(
				err, -EUCLEAN,
				"%s: the dictionary of codec %u is damaged",
				dev->name, i);
	return 0;
}

int uz_device_check(struct uz_device *dev, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct checking c = { .dev = dev };
	int ret;

	if (!dev->table)
		return 0;
	ret = uz_pool_check(dev->pool, err);
	if (!ret)
		ret = uz__backing_check(dev, err);
	if (!ret)
		ret = check_dicts(dev, err);
	if (!ret)
		ret = check_objects(&c, err);
	return ret ? ret : check_slots(&c, err);
}
