/* SPDX-License-Identifier: MIT */
#ifndef COMPACT_FIXTURE_H
#define COMPACT_FIXTURE_H

/*
 * What the tests of compaction share: a pool whose objects have owners. The
 * table of the owners' words is an array; nothing runs at the same time unless
 * a test does it from within a move. Include after <cmocka.h>.
 */
#include <zsmalloc_priv.h>

#include "pool_fixture.h"

#define OWNERS	 40000u
#define NOTHING	 UINT64_MAX
#define NO_LIMIT UINT32_MAX

struct scene {
	struct fixture f;
	struct uz_pool_compaction done;
	uint64_t random;
	uint32_t size[OWNERS];
	uz_ref_t word[OWNERS];
	unsigned int notices;
	unsigned int calls; /* of relocate */
	/* Called by relocate first; false: the owner refuses. */
	bool (*before)(struct scene *s, uint32_t owner, uz_ref_t from);
	struct uz_map map;
	bool mapped;
};

static inline uint64_t seed(void)
{
	const char *text = getenv("UZ_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	print_message("# seed %llu\n", (unsigned long long)seed);
	return seed * 0x9e3779b97f4a7c15 | 1;
}

static inline uint32_t random_below(struct scene *s, uint32_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)(s->random >> 24) % n;
}

static inline void notice(void *arg)
{
	((struct scene *)arg)->notices++;
}

static inline struct scene *set_up(unsigned int windows)
{
	static struct scene scene;
	struct scene *s = &scene;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->random = seed();
	for (i = 0; i < OWNERS; i++)
		s->word[i] = NOTHING;
	fixture_open(&s->f, windows);
	assert_true(uz_pool_caps(s->f.pool) & UZ_POOL_COMPACTS);
	uz_pool_on_fragmented(s->f.pool, notice, s);
	return s;
}

static inline void store(struct scene *s, uint32_t owner, uint32_t size)
{
	s->word[owner] = fixture_alloc(&s->f, size, owner);
	s->size[owner] = size;
}

static inline void fill(struct scene *s, uint32_t nr, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		store(s, i, size);
}

static inline void drop(struct scene *s, uint32_t owner)
{
	if (s->word[owner] == NOTHING)
		return;
	uz_pool_free(s->f.pool, s->word[owner]);
	s->word[owner] = NOTHING;
}

/* Keep one in @of of the first @nr, chosen at random. */
static inline void thin_out(struct scene *s, uint32_t nr, uint32_t of)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		if (random_below(s, of))
			drop(s, i);
}

static inline bool relocate(void *arg, uint32_t owner, uz_ref_t from,
			    uz_ref_t to)
{
	struct scene *s = arg;

	s->calls++;
	assert_true(owner < OWNERS);
	assert_int_not_equal(from, to);
	if (s->before && !s->before(s, owner, from))
		return false;
	if (s->word[owner] != from)
		return false;
	uz_pool_copy(s->f.pool, from, to, s->size[owner]);
	s->word[owner] = to;
	return true;
}

static inline bool compact(struct scene *s, enum uz_pool_compact_scope scope,
			   uint32_t budget)
{
	return uz_pool_compact(s->f.pool, scope, budget, relocate, s, &s->done);
}

static inline bool compact_all(struct scene *s)
{
	return compact(s, UZ_POOL_COMPACT_ALL, NO_LIMIT);
}

static inline uint64_t objects(const struct scene *s)
{
	uint64_t nr = 0;
	uint32_t i;

	for (i = 0; i < OWNERS; i++)
		nr += s->word[i] != NOTHING;
	return nr;
}

/* Each object is where its word says, whole, and the pool agrees. */
static inline void check(struct scene *s)
{
	uint32_t i;

	for (i = 0; i < OWNERS; i++)
		if (s->word[i] != NOTHING)
			fixture_same(&s->f, s->word[i], s->size[i], i);
	fixture_check(&s->f);
	assert_int_equal(fixture_stat(&s->f).objects, objects(s));
}

static inline void finish(struct scene *s)
{
	uint32_t i;

	check(s);
	for (i = 0; i < OWNERS; i++)
		drop(s, i);
	fixture_close(&s->f);
}

static inline struct uz__class *class_of(struct scene *s, uint32_t size)
{
	struct uz__zs *pool = uz__zs(s->f.pool);

	return &pool->classes[uz__class_number(pool, size)];
}

static inline uint64_t gain(struct scene *s, uint32_t size)
{
	return uz__class_gain(class_of(s, size));
}

static inline uint64_t pages(struct scene *s)
{
	return uz_pool_used_bytes(s->f.pool) / UZ_PAGE_SIZE;
}

static inline struct uz__zspage *zspage_of(struct scene *s, uint32_t owner)
{
	struct uz__zs *pool = uz__zs(s->f.pool);

	return &pool->zspages[uz__ref_window(pool, s->word[owner])];
}

#endif
