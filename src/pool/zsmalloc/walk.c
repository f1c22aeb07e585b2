// SPDX-License-Identifier: MIT
/*
 * Every live object, window by window. An object whose free is deferred is
 * not live: its bit is still set, so the lists of deferred frees are taken
 * out of a copy of the bitmap first. Nobody else may change the pool
 * meanwhile, so no lock is taken but the keeper's, who prepares windows.
 */
#include <string.h>

#include "zsmalloc_priv.h"

static void strike_list(const struct uz__zspage *z, uint16_t index,
			uint64_t *live)
{
	for (; index != UZ__NO_INDEX; index = (uint16_t)z->block->owner[index])
		live[index / 64] &= ~(UINT64_C(1) << index % 64);
}

int uz__zs_for_each(struct uz_pool *base, uz_pool_visit *fn, void *arg)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(rest, &pool->keeper.work);
	uint64_t live[UZ__MAX_OBJECTS / 64];
	const struct uz__class *c;
	struct uz__zspage *z;
	unsigned int i;
	uint32_t w;
	int ret;

	for (w = 0; w < pool->store.bump; w++) {
		z = &pool->zspages[w];
		if (!z->block)
			continue;
		c = &pool->classes[z->class];
		memcpy(live, z->block->used, sizeof(live));
		strike_list(z, z->waiting, live);
		strike_list(z, z->following, live);
		for (i = 0; i < c->objects; i++) {
			if (!(live[i / 64] & UINT64_C(1) << i % 64))
				continue;
			ret = fn(arg, uz__zspage_ref(pool, c, z, i), c->size,
				 z->block->owner[i]);
			if (ret)
				return ret;
		}
	}
	return 0;
}
