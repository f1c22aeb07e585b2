// SPDX-License-Identifier: MIT
/*
 * The superblock: what whoever adopts the memory must know before it can read
 * table and arena.
 *
 * A process may die between any two stores here, so each change is arranged
 * to be complete by its last store: the magic after the rest, a codec's index
 * after its text (which goes to an entry not in use, its first letter last:
 * codecs.c), the allocator's likewise, the disksize after the geometry. Those
 * last stores are releases; since memory is shared with nobody but successors
 * of a dead process, that is all the order needed.
 *
 * Changed under the configuration lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device_priv.h"

void uz__super_init(struct uz_device *dev)
{
	struct uz__super *sb = &dev->ctl->super;

	sb->version = UZ__VERSION;
	sb->page_size = UZ_PAGE_SIZE;
	/* Order the magic behind the rest, for a successor that finds it. */
	atomic_thread_fence(memory_order_release);
	sb->magic = UZ__MAGIC;
}

int uz__super_check(struct uz_device *dev, struct uz_err *err)
{
	const struct uz__super *sb = &dev->ctl->super;
	uint64_t size = atomic_load(&sb->disksize);

	if (sb->magic != UZ__MAGIC)
		return uz_err_set(
			err, -EUCLEAN,
			"memory of %s holds no uzram device: it begins with %#llx",
			dev->name, (unsigned long long)sb->magic);
	if (sb->version != UZ__VERSION || sb->page_size != UZ_PAGE_SIZE)
		return uz_err_set(
			err, -ENOTSUP,
			"memory of %s is of layout %u with pages of %u bytes, this program knows layout %u with %u: use the program that made it",
			dev->name, sb->version, sb->page_size, UZ__VERSION,
			UZ_PAGE_SIZE);
	if (size % UZ_PAGE_SIZE || size > UZ_DISKSIZE_MAX)
		return uz_err_set(
			err, -EUCLEAN,
			"memory of %s claims an impossible size of %llu bytes",
			dev->name, (unsigned long long)size);
	return 0;
}

int uz__super_codecs(struct uz_device *dev, struct uz_err *err)
{
	struct uz__super *sb = &dev->ctl->super;
	uint32_t current = atomic_load(&sb->codec);
	uint32_t secondary = atomic_load(&sb->secondary);
	unsigned int i;
	int ret;

	for (i = 0; i < UZ_SLOT_CODECS; i++) {
		char text[UZ_CODEC_TEXT_MAX + 1];

		memcpy(text, sb->codecs[i], sizeof(text));
		text[UZ_CODEC_TEXT_MAX] = '\0';
		dev->codecs[i].ops = NULL;
		if (text[0] && uz_codec_parse(text, &dev->codecs[i], err))
			return uz_err_set(
				err, -ENOTSUP,
				"memory of %s needs the codec \"%s\", which this program does not have",
				dev->name, text);
		ret = uz__dict_adopt(dev, i);
		if (ret)
			return uz_err_set(
				err, ret,
				"no memory for the dictionary of the codec \"%s\" of %s",
				text, dev->name);
	}
	if (current >= UZ_SLOT_CODECS || !dev->codecs[current].ops)
		return uz_err_set(
			err, -EUCLEAN,
			"memory of %s names codec %u, which it does not describe",
			dev->name, current);
	for (i = 1; i < UZ_PRIORITIES; i++) {
		unsigned int index = uz__secondary(secondary, i);

		if (index != UZ__NO_CODEC &&
		    (index > UZ__NO_CODEC || !dev->codecs[index].ops))
			return uz_err_set(
				err, -EUCLEAN,
				"memory of %s names codec %u for priority %u, which it does not describe",
				dev->name, index, i);
	}
	atomic_store(&dev->codec, current);
	atomic_store(&dev->secondary, secondary);
	return 0;
}

int uz__super_zpool(struct uz_device *dev, struct uz_err *err)
{
	const struct uz__super *sb = &dev->ctl->super;
	uint32_t current = atomic_load(&sb->zpool);

	if (current > 1)
		return uz_err_set(
			err, -EUCLEAN,
			"memory of %s names allocator %u, which it does not describe",
			dev->name, current);
	dev->zpool = uz__zpool_find(sb->zpools[current]);
	if (!dev->zpool)
		return uz_err_set(
			err, -ENOTSUP,
			"memory of %s needs the allocator \"%.*s\", which this program does not have",
			dev->name, UZ_POOL_NAME_MAX, sb->zpools[current]);
	return 0;
}

void uz__super_set_zpool(struct uz_device *dev, const char *backend)
{
	struct uz__super *sb = &dev->ctl->super;
	/* relaxed: the configuration lock is held. */
	uint32_t next = !atomic_load_explicit(&sb->zpool, memory_order_relaxed);

	dev->zpool = uz__zpool_find(backend);
	memset(sb->zpools[next], 0, sizeof(sb->zpools[next]));
	strcpy(sb->zpools[next], dev->zpool);
	/* release: a successor that finds the index finds the name. */
	atomic_store_explicit(&sb->zpool, next, memory_order_release);
}

void uz__super_pool_config(const struct uz_device *dev,
			   struct uz_pool_config *config)
{
	const struct uz__super *sb = &dev->ctl->super;

	strcpy(config->backend, dev->zpool);
	config->arena_size = sb->arena_size;
	config->window_size = sb->window_size;
	config->class_step = sb->class_step;
}

void uz__super_set_pool_config(struct uz_device *dev,
			       const struct uz_pool_config *config)
{
	struct uz__super *sb = &dev->ctl->super;

	sb->arena_size = config->arena_size;
	sb->window_size = config->window_size;
	sb->class_step = config->class_step;
}

/* Relaxed, all of them: each is a number by itself. */
uint64_t uz_device_policy(const struct uz_device *dev,
			  enum uz_policy_number which)
{
	return atomic_load_explicit(&dev->ctl->super.policy[which],
				    memory_order_relaxed);
}

void uz_device_set_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value)
{
	atomic_store_explicit(&dev->ctl->super.policy[which], value,
			      memory_order_relaxed);
}

void uz_device_add_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value)
{
	atomic_fetch_add_explicit(&dev->ctl->super.policy[which], value,
				  memory_order_relaxed);
}

void uz__super_reset_policy(struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_POLICY_NUMBERS; i++)
		uz_device_set_policy(dev, (enum uz_policy_number)i, 0);
}
