// SPDX-License-Identifier: MIT
/*
 * Objects in a pool, each known by a word of its own: what a device is to the
 * pool, without codec, checksum and requests, so that nothing hides what the
 * pool costs.
 *
 * The protocol is the device's (ARCHITECTURE.md, "Publish, map, free"): words
 * change by sequentially consistent exchanges, a reader maps and then looks
 * at the word again, likewise so. The plain operators on atomics are that.
 */
#include <string.h>
#include <unistd.h>

#include <uzram/util/shm.h>

#include "pool.h"

#define SIZE_BITS 13

static uint64_t make_word(uz_ref_t ref, uint32_t size)
{
	return ref << SIZE_BITS | size;
}

static uz_ref_t word_ref(uint64_t w)
{
	return w >> SIZE_BITS;
}

static uint32_t word_size(uint64_t w)
{
	return w & ((1u << SIZE_BITS) - 1);
}

/* What pages of the mixture come to. */
static int take_sizes(struct pool_store *s, struct uz_err *err)
{
	const struct pool_run *run = s->run;
	uint8_t scratch[UZ_PAGE_SIZE];
	struct uz_codec_ctx *ctx;
	int ret = uz_codec_ctx_create(&run->codec, NULL, &ctx);

	if (ret)
		return uz_err_set(err, ret, "%s: %s", run->codec_text,
				  strerror(-ret));
	for (unsigned int i = 0; i < POOL_SIZES; i++) {
		size_t len;

		if (uz_codec_compress(ctx, pool_mix(run, 0, i), scratch,
				      sizeof(scratch), &len))
			len = UZ_PAGE_SIZE;
		s->size[i] = (uint16_t)len;
	}
	uz_codec_ctx_destroy(ctx);
	return 0;
}

int pool_store_open(struct pool_store *s, const struct pool_run *run,
		    uint64_t n, struct uz_err *err)
{
	struct uz_pool_config config;
	int ret;

	memset(s, 0, sizeof(*s));
	s->run = run;
	s->n = n;
	s->fd = -1;
	ret = take_sizes(s, err);
	if (ret)
		return ret;
	uz_pool_config_default(&config, n * UZ_PAGE_SIZE);
	if (run->o->zpool)
		snprintf(config.backend, sizeof(config.backend), "%s",
			 run->o->zpool);
	s->window = config.window_size;
	s->word = calloc(n, sizeof(*s->word));
	s->fd = s->word ? uz_shm_memfd("uzram-bench") : -ENOMEM;
	ret = s->fd < 0 ? s->fd : uz_pool_create(&s->pool, s->fd, &config);
	if (ret) {
		uz_err_set(err, ret, "cannot make a pool: %s", strerror(-ret));
		pool_store_close(s);
		return ret;
	}
	/* As the device has it; without, it is only slower. */
	if (uz_pool_keep(s->pool))
		fputs("uzram-bench: no thread for the pool\n", stderr);
	return 0;
}

void pool_store_close(struct pool_store *s)
{
	uz_pool_destroy(s->pool);
	s->pool = NULL;
	free(s->word);
	s->word = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int pool_store_put(struct pool_store *s, uint64_t i, uint64_t salt)
{
	uint32_t size = s->size[random_mix(i ^ salt << 40) % POOL_SIZES];
	uint64_t old;
	uz_ref_t ref;
	int ret = uz_pool_alloc(s->pool, size, (uint32_t)i, 0, &ref);

	if (ret)
		return ret;
	uz_pool_write(s->pool, ref, 0, corpus_page(&s->run->corpus[0], i),
		      size);
	old = atomic_exchange(&s->word[i], make_word(ref, size));
	if (old)
		uz_pool_free(s->pool, word_ref(old));
	return 0;
}

int pool_store_fill(struct pool_store *s, struct uz_err *err)
{
	int ret = 0;

	for (uint64_t i = 0; i < s->n && !ret; i++)
		ret = undo_stopped() ? -EINTR : pool_store_put(s, i, 0);
	return ret ? uz_err_set(err, ret, "cannot store: %s", strerror(-ret))
		   : 0;
}

static bool map_word(struct pool_store *s, uint64_t i, struct uz_map *map,
		     uint64_t *word)
{
	uint64_t w = atomic_load(&s->word[i]);

	while (w) {
		uint64_t again;

		uz_pool_map(s->pool, word_ref(w), map);
		again = atomic_load(&s->word[i]);
		if (again == w) {
			*word = w;
			return true;
		}
		uz_pool_unmap(s->pool, map);
		w = again;
	}
	return false;
}

bool pool_store_map(struct pool_store *s, uint64_t i, struct uz_map *map)
{
	uint64_t unused;

	return map_word(s, i, map, &unused);
}

uint32_t pool_store_get(struct pool_store *s, uint64_t i, void *buf)
{
	struct uz_map map;
	const void *bytes;
	uint64_t word;

	if (!map_word(s, i, &map, &word))
		return 0;
	bytes = uz_pool_view(s->pool, &map, word_size(word), buf);
	if (bytes != buf)
		memcpy(buf, bytes, word_size(word));
	uz_pool_unmap(s->pool, &map);
	return word_size(word);
}

void pool_store_drop(struct pool_store *s, uint64_t i)
{
	uint64_t old = atomic_exchange(&s->word[i], 0);

	if (old)
		uz_pool_free(s->pool, word_ref(old));
}

static bool relocate(void *arg, uint32_t owner, uz_ref_t from, uz_ref_t to)
{
	struct pool_store *s = arg;
	uint64_t w = atomic_load(&s->word[owner]);

	if (!w || word_ref(w) != from)
		return false;
	uz_pool_copy(s->pool, from, to, word_size(w));
	return atomic_compare_exchange_strong(&s->word[owner], &w,
					      make_word(to, word_size(w)));
}

int pool_store_compact(struct pool_store *s, struct uz_pool_compaction *done)
{
	while (uz_pool_compact(s->pool, UZ_POOL_COMPACT_ALL, 1024, relocate, s,
			       done))
		if (undo_stopped())
			return -EINTR;
	return 0;
}

/* ---- one object of each zspage ---- */

struct spread {
	uint32_t *owner;
	uint32_t n, max;
	uint64_t last; /* the window seen before, plus one */
	uint32_t window;
};

static int spread_visit(void *arg, uz_ref_t ref, uint32_t class_size,
			uint32_t owner)
{
	struct spread *sp = arg;
	uint64_t window = ref * UZ_REF_UNIT / sp->window + 1;

	(void)class_size;
	if (window == sp->last)
		return 0;
	sp->last = window;
	sp->owner[sp->n++] = owner;
	return sp->n == sp->max;
}

void pool_store_spread(struct pool_store *s, uint32_t *owner, uint32_t *n)
{
	struct spread sp = { .owner = owner, .max = *n, .window = s->window };

	if (sp.max)
		uz_pool_for_each(s->pool, spread_visit, &sp);
	*n = sp.n;
}
