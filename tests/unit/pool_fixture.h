/* SPDX-License-Identifier: MIT */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

/*
 * What the tests of the pool share: a pool on a new memfd, objects whose
 * bytes tell whose they are. Include after <cmocka.h>.
 */
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/pool.h>
#include <uzram/util/shm.h>

#define PAGES(n)     ((uint64_t)(n)*UZ_PAGE_SIZE)
#define WINDOW_PAGES 32

struct fixture {
	struct uz_pool_config config;
	struct uz_pool *pool;
	int fd;
};

/* @windows of 32 pages, nothing kept when they empty, 8 bytes a class. */
static inline void fixture_open(struct fixture *f, unsigned int windows)
{
	uz_pool_config_default(&f->config, 0);
	f->config.arena_size = windows * PAGES(WINDOW_PAGES);
	f->config.window_size = PAGES(WINDOW_PAGES);
	f->config.class_fine = 0;
	f->config.class_step = 8;
	f->config.keep_empty = 0;
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

static inline uint64_t fixture_resident(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* The pool agrees with itself, and with the kernel about its memory. */
static inline void fixture_check(struct fixture *f)
{
	struct uz_err err = { 0 };

	if (uz_pool_check(f->pool, &err))
		fail_msg("%s", err.text);
	assert_int_equal(uz_pool_used_bytes(f->pool), fixture_resident(f));
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

static inline uint8_t fixture_byte(uint32_t owner, uint32_t at)
{
	return (uint8_t)(owner * 131 + at * 7);
}

static inline uz_ref_t fixture_alloc(struct fixture *f, uint32_t size,
				     uint32_t owner)
{
	uz_ref_t ref = UINT64_MAX;
	uint8_t *bytes;
	uint32_t i;

	assert_int_equal(uz_pool_alloc(f->pool, size, owner, 0, &ref), 0);
	bytes = uz_pool_bytes(f->pool, ref);
	assert_int_equal((uintptr_t)bytes % 8, 0);
	for (i = 0; i < size; i++)
		bytes[i] = fixture_byte(owner, i);
	return ref;
}

static inline void fixture_same(struct fixture *f, uz_ref_t ref, uint32_t size,
				uint32_t owner)
{
	const uint8_t *bytes = uz_pool_bytes(f->pool, ref);
	uint32_t i;

	for (i = 0; i < size; i++)
		assert_int_equal(bytes[i], fixture_byte(owner, i));
}

/* Which window a ref lies in. */
static inline uint64_t fixture_window(uz_ref_t ref)
{
	return ref * UZ_REF_UNIT / PAGES(WINDOW_PAGES);
}

#endif
