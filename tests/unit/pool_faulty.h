/* SPDX-License-Identifier: MIT */
#ifndef POOL_FAULTY_H
#define POOL_FAULTY_H

/*
 * A system that refuses: to populate, to take memory back, to malloc. The
 * calls are replaced by the linker (--wrap), and a hook in the middle of them
 * does what another thread might do just then: no lock is held there. For one
 * file of a program; include after <cmocka.h>.
 */
#include <errno.h>

#include "pool_fixture.h"

static int populate_fails; /* so many calls; negative: after one page */
static int punch_fails;
static int punch_error = -ENOMEM;
static int malloc_fails;
static void (*in_populate)(struct fixture *f);
static void (*in_punch)(struct fixture *f);
static struct fixture fix;

int __real_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __real_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len)
{
	void (*hook)(struct fixture *) = in_populate;
	bool fails = populate_fails > 0;

	populate_fails -= fails;
	in_populate = NULL;
	if (hook)
		hook(&fix);
	if (fails)
		return -ENOMEM;
	if (populate_fails < 0) {
		populate_fails++;
		if (__real_uz_shm_populate(shm, off, UZ_PAGE_SIZE))
			fail();
		return -ENOMEM;
	}
	return __real_uz_shm_populate(shm, off, len);
}

int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	void (*hook)(struct fixture *) = in_punch;

	in_punch = NULL;
	if (hook)
		hook(&fix);
	if (punch_fails) {
		punch_fails--;
		return punch_error;
	}
	return __real_uz_shm_punch(shm, off, len);
}

void *__wrap_malloc(size_t size)
{
	if (!malloc_fails)
		return __real_malloc(size);
	malloc_fails--;
	return NULL;
}

static inline void open_fixture(unsigned int keep_windows)
{
	fixture_open(&fix, 16);
	if (!keep_windows)
		return;
	uz_pool_destroy(fix.pool);
	fix.config.keep_empty = PAGES(keep_windows * WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&fix.pool, fix.fd, &fix.config), 0);
}

static inline void refused(uint32_t size)
{
	uz_ref_t ref = 12345;

	assert_int_equal(uz_pool_alloc(fix.pool, size, 0, 0, &ref), -ENOSPC);
	assert_int_equal(ref, 12345);
}

#endif
