/* SPDX-License-Identifier: MIT */
#ifndef BACKING_FIXTURE_H
#define BACKING_FIXTURE_H

/*
 * A device on a backing store in a file of its own. Include after <cmocka.h>.
 */
#include <stdio.h>
#include <unistd.h>

#include "device_fixture.h"

#ifndef STORE_DIR
#define STORE_DIR "/tmp"
#endif

static char store_path[64];

static inline void store_make(uint64_t bytes)
{
	int fd;

	strcpy(store_path, STORE_DIR "/uz-store-XXXXXX");
	fd = mkstemp(store_path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static inline void backed_open(struct fixture *f, uint64_t size, uint64_t bytes)
{
	struct uz_err err = { 0 };

	store_make(bytes);
	fixture_open(f, NULL, size);
	if (uz_device_set_backing(f->dev, store_path, &err))
		fail_msg("%s", err.text);
}

static inline void backed_close(struct fixture *f)
{
	fixture_close(f);
	unlink(store_path);
}

static const struct uz_writeback_want want_any = { .largest = UZ_PAGE_SIZE };

/* All pages of the kind; the first error ends it, or what was skipped. */
static inline int write_back(struct fixture *f, unsigned int kinds,
			     struct uz_writeback_done *done)
{
	struct uz_writeback_want want = { kinds, 0, UZ_PAGE_SIZE };
	uint64_t next = 0, end = UINT64_MAX;
	struct uz_writeback *wb;
	int ret = 0;

	memset(done, 0, sizeof(*done));
	assert_int_equal(uz_writeback_create(&wb, f->dev, NULL), 0);
	while (!ret && next < end)
		ret = uz_writeback_some(wb, &want, &next, end, done);
	uz_writeback_destroy(wb);
	return ret ? ret : done->skipped;
}

static inline struct uz_backing_stat backing_stat(struct fixture *f)
{
	struct uz_backing_stat stat;

	uz_device_backing_stat(f->dev, &stat);
	return stat;
}

#endif
