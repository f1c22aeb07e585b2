// SPDX-License-Identifier: MIT
/*
 * deflate, by libdeflate: between lz4hc and zstd in size, slow to make. One
 * page is one raw deflate stream; nothing is around it, since the device has
 * its own checksum and knows the length.
 *
 * libdeflate looks for matches in the 32 KiB before each byte and a page has
 * four, so there is no size of window to choose. Its levels 0 (all is stored)
 * to 12 begin as zlib's, and -1 is zlib's word for its default.
 *
 * How much a compressor takes is 60 KiB at level 1 and 9 MiB from 10 on, and
 * no function tells. So libdeflate allocates through us, and what one thread
 * has got while it makes a context is counted. That is set once for the
 * process, before its first allocation.
 */
#include <errno.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>

#include "compress_priv.h"

#define LEVEL_ZLIB_DEFAULT (-1)
#define LEVEL_DEFAULT	   6

struct deflate_ctx {
	struct uz_codec_ctx base;
	struct libdeflate_compressor *compressor;
	struct libdeflate_decompressor *decompressor;
};

static __thread size_t allocated;

static void *count_malloc(size_t size)
{
	void *p = malloc(size);

	if (p)
		allocated += size;
	return p;
}

static void set_allocator(void)
{
	libdeflate_set_memory_allocator(count_malloc, free);
}

static void deflate_destroy(struct uz_codec_ctx *base)
{
	struct deflate_ctx *ctx = (struct deflate_ctx *)base;

	libdeflate_free_compressor(ctx->compressor);
	libdeflate_free_decompressor(ctx->decompressor);
	free(ctx);
}

static struct uz_codec_ctx *deflate_create(int level,
					   const struct uz_codec_dict *dict)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct deflate_ctx *ctx = calloc(1, sizeof(*ctx));

	(void)dict;
	if (!ctx)
		return NULL;
	if (level == LEVEL_ZLIB_DEFAULT)
		level = LEVEL_DEFAULT;
	pthread_once(&once, set_allocator);
	allocated = 0;
	ctx->compressor = libdeflate_alloc_compressor(level);
	ctx->decompressor = libdeflate_alloc_decompressor();
	if (!ctx->compressor || !ctx->decompressor)
		goto fail;
	ctx->base.bytes = sizeof(*ctx) + allocated;
	return &ctx->base;
fail:
	deflate_destroy(&ctx->base);
	return NULL;
}

static int deflate_compress(struct uz_codec_ctx *base, const void *src,
			    void *dst, size_t cap, size_t *len)
{
	struct deflate_ctx *ctx = (struct deflate_ctx *)base;
	size_t n = libdeflate_deflate_compress(ctx->compressor, src,
					       UZ_PAGE_SIZE, dst, cap);

	if (!n)
		return -E2BIG;
	*len = n;
	return 0;
}

static int deflate_decompress(struct uz_codec_ctx *base, const void *src,
			      size_t len, void *dst)
{
	struct deflate_ctx *ctx = (struct deflate_ctx *)base;
	enum libdeflate_result ret;
	size_t used;

	/* Without a place for the length, it has to be the page's. */
	ret = libdeflate_deflate_decompress_ex(ctx->decompressor, src, len, dst,
					       UZ_PAGE_SIZE, &used, NULL);
	return ret == LIBDEFLATE_SUCCESS && used == len ? 0 : -EIO;
}

const struct uz_codec_ops uz__codec_deflate = {
	.name = "deflate",
	.level_key = "level",
	.level_min = LEVEL_ZLIB_DEFAULT,
	.level_max = 12,
	.level_default = LEVEL_DEFAULT,
	.ctx_create = deflate_create,
	.ctx_destroy = deflate_destroy,
	.compress = deflate_compress,
	.decompress = deflate_decompress,
};
