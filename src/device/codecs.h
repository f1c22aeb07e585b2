/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_CODECS_H
#define UZ_DEVICE_CODECS_H

#include <uzram/device/snapshot.h>

/* ---- codecs.c ---- */

/* What uz__secondary() returns where there is no codec. */
#define UZ__NO_CODEC UZ_SLOT_CODECS

/* Index of the codec of a priority from 1 on, out of the word of all three. */
static inline unsigned int uz__secondary(uint32_t word, unsigned int priority)
{
	unsigned int one_more = word >> (8 * (priority - 1)) & 0xff;

	return one_more ? one_more - 1 : UZ__NO_CODEC;
}

/* The default codec and no secondary one. Configuration lock held. */
int uz__codecs_default(struct uz_device *dev);

/*
 * Codecs and dictionaries for a snapshot; @info's other members stay. -EIO: a
 * dictionary is lost. Configuration lock held.
 */
int uz__codecs_describe(struct uz_device *dev, struct uz_snapshot_info *info,
			struct uz_err *err);

#endif
