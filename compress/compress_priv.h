/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_COMPRESS_PRIV_H
#define UZRAM_COMPRESS_PRIV_H

#include <uzram/compress.h>

/**
 * struct uz_codec_ctx - the part of a context that every codec has
 * @ops:   the codec it belongs to, set by uz_codec_ctx_create()
 * @bytes: that it takes, set by @ctx_create of the codec
 *
 * First member of the codec's own context.
 */
struct uz_codec_ctx {
	const struct uz_codec_ops *ops;
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
 * Constant and the same for all contexts. No pointer is ever NULL; a codec
 * without levels has the range 0 ... 0.
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
	 * The level is within the range. Returns the context with @bytes set,
	 * or NULL when there is no memory.
	 */
	struct uz_codec_ctx *(*ctx_create)(int level);

	/** @ctx_destroy: free a context; never called with NULL */
	void (*ctx_destroy)(struct uz_codec_ctx *ctx);

	/** @compress: as uz_codec_compress() */
	int (*compress)(struct uz_codec_ctx *ctx, const void *src, void *dst,
			size_t cap, size_t *len);

	/** @decompress: as uz_codec_decompress() */
	int (*decompress)(struct uz_codec_ctx *ctx, const void *src, size_t len,
			  void *dst);
};

extern const struct uz_codec_ops uz__codec_lz4;
extern const struct uz_codec_ops uz__codec_lz4hc;
extern const struct uz_codec_ops uz__codec_zstd;
extern const struct uz_codec_ops uz__codec_lzo;
extern const struct uz_codec_ops uz__codec_lzo_rle;
extern const struct uz_codec_ops uz__codec_deflate;
extern const struct uz_codec_ops uz__codec_store;

#endif
