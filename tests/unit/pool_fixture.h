/* SPDX-License-Identifier: MIT */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

/*
 * What the tests of the pool share: a pool on a new memfd, objects whose
 * bytes tell whose they are. Include after <cmocka.h>. UZ_ZPOOL in
 * the environment names the backend.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/pool.h>
#include <uzram/util/shm.h>

#include "soon.h"

#define PAGES(n)     ((uint64_t)(n)*UZ_PAGE_SIZE)
#define WINDOW_PAGES 32

struct fixture {
	struct uz_pool_config config;
	struct uz_pool *pool;
	int fd;
};

/* @windows of 32 pages, nothing kept when they empty. */
static inline void fixture_open(struct fixture *f, unsigned int windows)
{
	uz_pool_config_default(&f->config, 0);
	f->config.arena_size = windows * PAGES(WINDOW_PAGES);
	f->config.window_size = PAGES(WINDOW_PAGES);
	f->config.keep_empty = 0;
	if (getenv("UZ_ZPOOL"))
		snprintf(f->config.backend, sizeof(f->config.backend), "%s",
			 getenv("UZ_ZPOOL"));
	f->fd = uz_shm_memfd("test");
	assert_true(f->fd >= 0);
	assert_int_equal(uz_pool_create(&f->pool, f->fd, &f->config), 0);
}

/* The process is gone, its memory stays: a new pool on the same memfd. */
static inline void fixture_restart(struct fixture *f)
{
	uz_pool_destroy(f->pool);
	f->pool = NULL;
	assert_int_equal(uz_pool_create(&f->pool, f->fd, &f->config), 0);
}

/* While it has nothing: so many pages are kept of what empties. */
static inline void fixture_keep(struct fixture *f, unsigned int pages)
{
	f->config.keep_empty = PAGES(pages);
	fixture_restart(f);
}

/* While it has nothing: by this backend, whatever the environment says. */
static inline void fixture_become(struct fixture *f, const char *backend)
{
	snprintf(f->config.backend, sizeof(f->config.backend), "%s", backend);
	fixture_restart(f);
}

static inline uint64_t fixture_resident(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/*
 * The pool agrees with itself, and with the kernel about its memory; a keeper
 * is at rest for the first, and may be at work again for the second.
 */
static inline void fixture_check(struct fixture *f)
{
	struct uz_err err = { 0 };

	if (uz_pool_check(f->pool, &err))
		fail_msg("%s", err.text);
	assert_true(SOON(uz_pool_used_bytes(f->pool) == fixture_resident(f)));
}

/* All objects are gone and so is their memory. */
static inline void fixture_close(struct fixture *f)
{
	struct uz_pool_stat stat;

	fixture_check(f);
	uz_pool_trim(f->pool);
	uz_pool_stat(f->pool, &stat);
	assert_int_equal(stat.objects, 0);
	assert_int_equal(stat.object_bytes, 0);
	assert_int_equal(stat.deferred, 0);
	assert_int_equal(stat.zspages, 0);
	assert_int_equal(stat.used_bytes, 0);
	assert_int_equal(fixture_resident(f), 0);
	uz_pool_destroy(f->pool);
	close(f->fd);
}

static inline struct uz_pool_stat fixture_stat(struct fixture *f)
{
	struct uz_pool_stat stat;

	uz_pool_stat(f->pool, &stat);
	return stat;
}

/* A store of that size is refused, and nothing has changed. */
static inline void fixture_refused(struct fixture *f, uint32_t size)
{
	struct uz_pool_stat before = fixture_stat(f), after;
	uz_ref_t ref = 12345;

	assert_int_equal(uz_pool_alloc(f->pool, size, 0, 0, &ref), -ENOSPC);
	assert_int_equal(ref, 12345);
	after = fixture_stat(f);
	assert_int_equal(after.used_bytes, before.used_bytes);
	assert_int_equal(after.max_used_bytes, before.max_used_bytes);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.zspages, before.zspages);
	fixture_check(f);
}

static inline uint8_t fixture_byte(uint32_t owner, uint32_t at)
{
	return (uint8_t)(owner * 131 + at * 7);
}

static inline uz_ref_t fixture_alloc(struct fixture *f, uint32_t size,
				     uint32_t owner)
{
	uz_ref_t ref = UINT64_MAX;
	uint8_t bytes[UZ_POOL_MAX_OBJECT];
	uint32_t i;

	assert_int_equal(uz_pool_alloc(f->pool, size, owner, 0, &ref), 0);
	assert_int_equal((uintptr_t)uz_pool_bytes(f->pool, ref) % 8, 0);
	for (i = 0; i < size; i++)
		bytes[i] = fixture_byte(owner, i);
	/* In two parts that meet anywhere. */
	uz_pool_write(f->pool, ref, 0, bytes, size / 3);
	uz_pool_write(f->pool, ref, size / 3, bytes + size / 3,
		      size - size / 3);
	return ref;
}

/* So many objects of a size; each has its number for an owner. */
static inline void fixture_fill(struct fixture *f, uz_ref_t *refs,
				unsigned int nr, uint32_t size)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		refs[i] = fixture_alloc(f, size, i);
}

static inline void fixture_free(struct fixture *f, const uz_ref_t *refs,
				unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		uz_pool_free(f->pool, refs[i]);
}

/* The bytes of a mapped object are as they were written. */
static inline void fixture_same_mapped(struct fixture *f,
				       const struct uz_map *map, uint32_t size,
				       uint32_t owner)
{
	uint8_t copy[UZ_POOL_MAX_OBJECT];
	const uint8_t *bytes = uz_pool_view(f->pool, map, size, copy);
	uint32_t i;

	for (i = 0; i < size; i++)
		assert_int_equal(bytes[i], fixture_byte(owner, i));
}

static inline void fixture_same(struct fixture *f, uz_ref_t ref, uint32_t size,
				uint32_t owner)
{
	struct uz_map map;

	uz_pool_map(f->pool, ref, &map);
	fixture_same_mapped(f, &map, size, owner);
	uz_pool_unmap(f->pool, &map);
}

/* What fixture_fill() has stored is as it was. */
static inline void fixture_same_all(struct fixture *f, const uz_ref_t *refs,
				    unsigned int nr, uint32_t size)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		fixture_same(f, refs[i], size, i);
}

static inline bool fixture_can(const struct fixture *f, unsigned int caps)
{
	return (uz_pool_caps(f->pool) & caps) == caps;
}

/*
 * The size of the largest object of which each takes a page and no more,
 * when there are no others.
 */
static inline uint32_t fixture_page(const struct fixture *f)
{
	/* Fragments of 256 bytes have a link of 8 bytes. */
	return fixture_can(f, UZ_POOL_LINEAR) ? 4096 : 16 * 248;
}

/* Which window a ref lies in. */
static inline uint64_t fixture_window(uz_ref_t ref)
{
	return ref * UZ_REF_UNIT / PAGES(WINDOW_PAGES);
}

static inline bool fixture_stay(void *arg, uint32_t owner, uz_ref_t from,
				uz_ref_t to)
{
	(void)arg;
	(void)owner;
	(void)from;
	(void)to;
	return false;
}

/* What compaction gains when no owner lets an object go. */
static inline void fixture_gain(struct fixture *f)
{
	struct uz_pool_compaction done = { 0 };

	uz_pool_compact(f->pool, UZ_POOL_COMPACT_ALL, 256, fixture_stay, NULL,
			&done);
}

#endif
