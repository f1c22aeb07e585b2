/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_COMPRESS_PRIV_H
#define UZRAM_COMPRESS_PRIV_H

#include <stdbool.h>

#include <uzram/compress.h>

/**
 * struct uz_codec_ctx - the part of a context that every codec has
 * @ops:     the codec it belongs to, set by uz_codec_ctx_create()
 * @bytes:   that it takes, set by @ctx_create of the codec
 * @checked: its compressed bytes end in a checksum of the page, likewise
 *
 * First member of the codec's own context.
 */
struct uz_codec_ctx {
	const struct uz_codec_ops *ops;
	size_t bytes;
	bool checked;
};

/**
 * struct uz_codec_dict - the part of a dictionary that every codec has
 * @ops:   the codec it was made for, set by uz_codec_dict_create()
 * @data:  borrowed
 * @size:  of @data, likewise
 * @bytes: that it takes beside @data, set by @dict_create of the codec
 *
 * First member of the codec's own. Nobody changes it once it is made.
 */
struct uz_codec_dict {
	const struct uz_codec_ops *ops;
	const void *data;
	size_t size;
	size_t bytes;
};

/**
 * struct uz_codec_ops - what one codec is
 * @name:          at most UZ_CODEC_NAME_MAX bytes
 * @level_key:     how its level is written; "level" is understood as well
 * @level_min:     the lowest level
 * @level_max:     the highest level
 * @level_default: the level when none is given
 *
 * Constant and the same for all contexts. A codec without levels has the range
 * 0 ... 0. No pointer is ever NULL but those for dictionaries.
 */
struct uz_codec_ops {
	const char *name;
	const char *level_key;
	int level_min;
	int level_max;
	int level_default;

	/**
	 * @ctx_create: allocate all that @compress and @decompress will use
	 *
	 * The level is within the range; the dictionary is one of this codec
	 * and level, or NULL. Returns the context with @bytes set, or NULL
	 * when there is no memory.
	 */
	struct uz_codec_ctx *(*ctx_create)(int level,
					   const struct uz_codec_dict *dict);

	/** @ctx_destroy: free a context; never called with NULL */
	void (*ctx_destroy)(struct uz_codec_ctx *ctx);

	/** @compress: as uz_codec_compress() */
	int (*compress)(struct uz_codec_ctx *ctx, const void *src, void *dst,
			size_t cap, size_t *len);

	/** @decompress: as uz_codec_decompress() */
	int (*decompress)(struct uz_codec_ctx *ctx, const void *src, size_t len,
			  void *dst);

	/**
	 * @dict_create: make a dictionary ready; as uz_codec_dict_create()
	 *
	 * Its size is within the range. Sets @bytes of what it makes.
	 */
	int (*dict_create)(int level, const void *data, size_t size,
			   struct uz_codec_dict **dict);

	/** @dict_destroy: free one; never called with NULL */
	void (*dict_destroy)(struct uz_codec_dict *dict);

	/**
	 * @dict_reach: bytes of a dictionary, counted from its end, that it
	 * makes use of; 0: it has no use for any
	 */
	size_t dict_reach;

	/** @dict_head: most that @dict_finish puts before the contents */
	size_t dict_head;

	/**
	 * @dict_finish: make a dictionary of mere contents a better one
	 *
	 * The contents are @size bytes at @dict, where there is room for @cap;
	 * @nr pages are what it was made of. Returns its size; @size if it has
	 * stayed as it was. NULL: there is nothing to be made better.
	 */
	size_t (*dict_finish)(int level, const void *pages, size_t nr,
			      void *dict, size_t size, size_t cap);
};

/* lz4.c: what both lz4 and lz4hc have made; @dict: or NULL */
int uz__lz4_decompress(const struct uz_codec_dict *dict, const void *src,
		       size_t len, void *dst);

extern const struct uz_codec_ops uz__codec_lz4;
extern const struct uz_codec_ops uz__codec_lz4hc;
extern const struct uz_codec_ops uz__codec_zstd;
extern const struct uz_codec_ops uz__codec_lzo;
extern const struct uz_codec_ops uz__codec_lzo_rle;
extern const struct uz_codec_ops uz__codec_deflate;
extern const struct uz_codec_ops uz__codec_store;

#endif
