// SPDX-License-Identifier: MIT
/*
 * zstd: the smallest result, several times slower than lz4. Negative levels
 * lie between the two; level 0 is libzstd's word for its default.
 *
 * One page is one frame without checksum (the device has its own), content
 * size and dictionary id. The four bytes of magic stay: leaving them out takes
 * libzstd's unstable interface, and would win a quarter of a percent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "compress_priv.h"

struct zstd_ctx {
	struct uz_codec_ctx base;
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
};

static void zstd_destroy(struct uz_codec_ctx *base)
{
	struct zstd_ctx *ctx = (struct zstd_ctx *)base;

	ZSTD_freeCCtx(ctx->cctx);
	ZSTD_freeDCtx(ctx->dctx);
	free(ctx);
}

static int zstd_compress(struct uz_codec_ctx *base, const void *src, void *dst,
			 size_t cap, size_t *len)
{
	struct zstd_ctx *ctx = (struct zstd_ctx *)base;
	size_t n = ZSTD_compress2(ctx->cctx, dst, cap, src, UZ_PAGE_SIZE);

	/* With valid parameters and all memory there, no room is all it lacks. */
	if (ZSTD_isError(n))
		return -E2BIG;
	*len = n;
	return 0;
}

/*
 * libzstd allocates its tables when it compresses for the first time. With one
 * page size and one set of parameters they then serve for good.
 */
static bool zstd_warm_up(struct zstd_ctx *ctx)
{
	static const unsigned char page[UZ_PAGE_SIZE];
	unsigned char out[UZ_PAGE_SIZE];
	size_t len;

	return !zstd_compress(&ctx->base, page, out, sizeof(out), &len);
}

static bool zstd_set(struct zstd_ctx *ctx, ZSTD_cParameter key, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(ctx->cctx, key, value));
}

static struct uz_codec_ctx *zstd_create(int level)
{
	struct zstd_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->cctx = ZSTD_createCCtx();
	ctx->dctx = ZSTD_createDCtx();
	if (!ctx->cctx || !ctx->dctx)
		goto fail;
	if (!zstd_set(ctx, ZSTD_c_compressionLevel, level) ||
	    !zstd_set(ctx, ZSTD_c_checksumFlag, 0) ||
	    !zstd_set(ctx, ZSTD_c_contentSizeFlag, 0) ||
	    !zstd_set(ctx, ZSTD_c_dictIDFlag, 0) || !zstd_warm_up(ctx))
		goto fail;
	ctx->base.bytes = sizeof(*ctx) + ZSTD_sizeof_CCtx(ctx->cctx) +
			  ZSTD_sizeof_DCtx(ctx->dctx);
	return &ctx->base;
fail:
	zstd_destroy(&ctx->base);
	return NULL;
}

/*
 * Only what zstd_compress() makes is let through: one frame of today's format
 * and nothing after it. libzstd would also take frames of formats from before
 * 1.0, with decoders that few have looked at since and that allocate.
 */
static bool is_one_frame(const void *src, size_t len)
{
	const unsigned char *p = src;
	uint32_t magic;

	if (len < sizeof(magic))
		return false;
	magic = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		(uint32_t)p[3] << 24;
	return magic == ZSTD_MAGICNUMBER &&
	       ZSTD_findFrameCompressedSize(src, len) == len;
}

static int zstd_decompress(struct uz_codec_ctx *base, const void *src,
			   size_t len, void *dst)
{
	struct zstd_ctx *ctx = (struct zstd_ctx *)base;
	size_t n;

	if (!is_one_frame(src, len))
		return -EIO;
	n = ZSTD_decompressDCtx(ctx->dctx, dst, UZ_PAGE_SIZE, src, len);
	return n == UZ_PAGE_SIZE ? 0 : -EIO;
}

const struct uz_codec_ops uz__codec_zstd = {
	.name = "zstd",
	.level_key = "level",
	.level_min = -100, /* most pages do not compress there any more */
	.level_max = 22,
	.level_default = ZSTD_CLEVEL_DEFAULT,
	.ctx_create = zstd_create,
	.ctx_destroy = zstd_destroy,
	.compress = zstd_compress,
	.decompress = zstd_decompress,
};
