/* SPDX-License-Identifier: MIT */
#ifndef SNAPSHOT_FIXTURE_H
#define SNAPSHOT_FIXTURE_H

/*
 * What the tests of snapshots share: one that is begun, and a device made from
 * it. Include after device_fixture.h.
 */
#include <uzram/device/snapshot.h>

static inline struct uz_snapshot *snapshot_begin(struct fixture *from,
						 struct uz_snapshot_info *info)
{
	struct uz_snapshot *snap;
	struct uz_err err = { 0 };

	if (uz_snapshot_begin(from->dev, &snap, info, &err))
		fail_msg("%s", err.text);
	return snap;
}

/* A device without a size, with the snapshot's codecs at the same places. */
static inline void snapshot_target(struct fixture *to,
				   const struct uz_snapshot_info *info,
				   unsigned int codecs[UZ_SLOT_CODECS])
{
	unsigned int i;

	memset(to, 0, sizeof(*to));
	assert_int_equal(uz_device_mem_create(&to->mem), 0);
	assert_int_equal(uz_device_open(&to->dev, "copy", &to->mem, NULL), 0);
	fixture_zpool(to->dev);
	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (*info->codecs[i])
			assert_int_equal(
				uz_device_add_codec(to->dev, info->codecs[i],
						    NULL, &codecs[i], NULL),
				0);
	assert_int_equal(uz_device_set_disksize(to->dev, info->disksize, NULL),
			 0);
	assert_int_equal(uz_io_create(to->dev, &to->io), 0);
}

/* Puts a page that was taken out there; @codecs are from snapshot_target(). */
static inline void snapshot_put(struct fixture *to, struct uz_page_image page,
				const unsigned int codecs[UZ_SLOT_CODECS])
{
	page.codec = page.form == UZ_PAGE_CODED ? codecs[page.codec] : 0;
	assert_int_equal(uz_page_restore(to->io, &page), 0);
}

/* All of a snapshot as a device of its own; returns the pages there were. */
static inline uint64_t snapshot_copy(struct uz_snapshot *snap,
				     const struct uz_snapshot_info *info,
				     struct fixture *to)
{
	unsigned int codecs[UZ_SLOT_CODECS] = { 0 };
	struct uz_page_image page;
	struct uz_err err = { 0 };
	uint64_t pages = 0;
	int ret;

	snapshot_target(to, info, codecs);
	while ((ret = uz_snapshot_next(snap, &page, &err)) == 1) {
		snapshot_put(to, page, codecs);
		pages++;
	}
	if (ret)
		fail_msg("%s", err.text);
	return pages;
}

#endif
