/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_CTL_CENSUS_H
#define UZRAM_CTL_CENSUS_H

#include "ctl.h"

#define CENSUS_CODECS 8
#define CENSUS_AGES   8

/* Most seconds since the last use, of each group of ages. */
extern const uint64_t census_ages[CENSUS_AGES];

/*
 * struct census_class - a size class of the allocator
 * @size:     bytes of an object's place
 * @places:   of them
 * @objects:  in these
 * @memory:   bytes that it holds
 * @freeable: bytes of these that no object needs
 */
struct census_class {
	uint64_t size;
	uint64_t places;
	uint64_t objects;
	uint64_t memory;
	uint64_t freeable;
};

/*
 * struct census_codec - a codec
 * @name:  with its parameters
 * @pages: stored by it
 * @bytes: that these take
 */
struct census_codec {
	char name[72];
	uint64_t pages;
	uint64_t bytes;
};

/*
 * struct census - what the pages of a device are
 * @pages:        stored
 * @same:         of these, filled with one word
 * @huge:         stored as they are
 * @backed:       on the backing store
 * @sized:        the classes tell of the objects' sizes
 * @looked:       the following were counted, page by page
 * @seen:         pages then
 * @idle:         marked as idle
 * @recompressed: encoded by a secondary codec
 * @aged:         whose last use was noted
 * @ages:         how many of these are in which group
 * @classes:      from malloc
 */
struct census {
	uint64_t pages;
	uint64_t same;
	uint64_t huge;
	uint64_t backed;
	bool sized;
	bool looked;
	uint64_t seen;
	uint64_t idle;
	uint64_t recompressed;
	uint64_t aged;
	uint64_t ages[CENSUS_AGES];
	struct census_class *classes;
	size_t nr_classes;
	struct census_codec codecs[CENSUS_CODECS];
	size_t nr_codecs;
};

/* Ranges of sizes: of so many bytes each, and what takes more than a page. */
#define CENSUS_ROW_BYTES 256u
#define CENSUS_ROWS	 (UZ_PAGE_SIZE / CENSUS_ROW_BYTES + 1)

/*
 * struct census_row - the classes of a range of sizes
 * @range:    of bytes, as text
 * @objects:  in them
 * @memory:   bytes that they hold
 * @freeable: bytes of these that no object needs
 */
struct census_row {
	char range[32];
	uint64_t objects;
	uint64_t memory;
	uint64_t freeable;
};

/*
 * struct census_sizes - all ranges
 * @rows: the ranges
 * @all:  objects in all of them
 * @most: in one of them
 */
struct census_sizes {
	struct census_row rows[CENSUS_ROWS];
	uint64_t all;
	uint64_t most;
};

#define CENSUS_KINDS 6

/*
 * struct census_kind - pages of a kind
 * @name:  of the kind
 * @pages: of it
 * @of:    out of so many
 */
struct census_kind {
	const char *name;
	uint64_t pages;
	uint64_t of;
};

struct census_age_name {
	char text[72];
};

/* Reads them; to be freed also after a failure. */
uz_must_check int census_take(struct census *c, const struct ctl_device *dev,
			      struct uz_err *err);
void census_free(struct census *c);

/* Sums of the classes. */
void census_sizes(const struct census *c, struct census_sizes *sizes);

/* Returns how many kinds there are: those that were counted. */
size_t census_kinds(const struct census *c,
		    struct census_kind kinds[CENSUS_KINDS]);

/* "10 s to 60 s ago" */
struct census_age_name census_age_name(int group);

/* ---- picture.c ---- */

/* Prints all of it as an SVG document. */
void census_picture(const struct census *c, const char *name);

#endif
