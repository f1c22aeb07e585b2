// SPDX-License-Identifier: MIT
/*
 * zstd: the smallest result, several times slower than lz4. Negative levels
 * lie between the two; level 0 is libzstd's word for its default.
 *
 * One page is one frame without checksum (the device has its own), content
 * size and dictionary id. The four bytes of magic stay: leaving them out takes
 * libzstd's unstable interface, and would win a quarter of a percent.
 *
 * A dictionary is prepared once, for all threads, so a page pays nothing for it
 * but what it gains. libzstd 1.5.4 does not look whether it got the memory for
 * that, so a process that may not overcommit can die there; its successor finds
 * the codec as it was before.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

#include "compress_priv.h"

/* Its tables take about half of that (ZDICT's HBUFFSIZE is 256 bytes). */
#define ZSTD_DICT_HEAD 512

struct zstd_ctx {
	struct uz_codec_ctx base;
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	const struct zstd_dict *dict;
};

struct zstd_dict {
	struct uz_codec_dict base;
	ZSTD_CDict *cdict;
	ZSTD_DDict *ddict;
};

static void zstd_dict_destroy(struct uz_codec_dict *base)
{
	struct zstd_dict *dict = (struct zstd_dict *)base;

	ZSTD_freeCDict(dict->cdict);
	ZSTD_freeDDict(dict->ddict);
	free(dict);
}

static int zstd_dict_create(int level, const void *data, size_t size,
			    struct uz_codec_dict **made)
{
	struct zstd_dict *dict = calloc(1, sizeof(*dict));
	uint32_t magic;

	if (!dict)
		return -ENOMEM;
	dict->cdict = ZSTD_createCDict(data, size, level);
	dict->ddict = ZSTD_createDDict(data, size);
	if (!dict->cdict || !dict->ddict) {
		zstd_dict_destroy(&dict->base);
		/* libzstd does not say why: any text would have done. */
		memcpy(&magic, data, sizeof(magic));
		return le32toh(magic) == ZSTD_MAGIC_DICTIONARY ? -EINVAL
							       : -ENOMEM;
	}
	dict->base.bytes = sizeof(*dict) + ZSTD_sizeof_CDict(dict->cdict) +
			   ZSTD_sizeof_DDict(dict->ddict);
	*made = &dict->base;
	return 0;
}

#if ZSTD_VERSION_NUMBER >= 10500
/* Tables of how often what comes, in front of the contents. */
static size_t zstd_dict_finish(int level, const void *pages, size_t nr,
			       void *dict, size_t size, size_t cap)
{
	const ZDICT_params_t params = { .compressionLevel = level };
	size_t *sizes = calloc(nr, sizeof(*sizes));
	void *content = malloc(size);
	size_t i, made = 0;

	for (i = 0; sizes && i < nr; i++)
		sizes[i] = UZ_PAGE_SIZE;
	if (sizes && content) {
		memcpy(content, dict, size);
		made = ZDICT_finalizeDictionary(dict, cap, content, size, pages,
						sizes, (unsigned int)nr,
						params);
		/* Contents alone are a dictionary, too. */
		if (ZDICT_isError(made)) {
			memcpy(dict, content, size);
			made = 0;
		}
	}
	free(content);
	free(sizes);
	return made ? made : size;
}
#endif

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

	/*
	 * With valid parameters and all memory there, no room is all it lacks.
	 */
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

static struct uz_codec_ctx *zstd_create(int level,
					const struct uz_codec_dict *dict)
{
	struct zstd_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->dict = (const struct zstd_dict *)dict;
	ctx->cctx = ZSTD_createCCtx();
	ctx->dctx = ZSTD_createDCtx();
	if (!ctx->cctx || !ctx->dctx)
		goto fail;
	if (!zstd_set(ctx, ZSTD_c_compressionLevel, level) ||
	    !zstd_set(ctx, ZSTD_c_checksumFlag, 0) ||
	    !zstd_set(ctx, ZSTD_c_contentSizeFlag, 0) ||
	    !zstd_set(ctx, ZSTD_c_dictIDFlag, 0))
		goto fail;
	if (ctx->dict &&
	    ZSTD_isError(ZSTD_CCtx_refCDict(ctx->cctx, ctx->dict->cdict)))
		goto fail;
	if (!zstd_warm_up(ctx))
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
	if (ctx->dict)
		n = ZSTD_decompress_usingDDict(ctx->dctx, dst, UZ_PAGE_SIZE,
					       src, len, ctx->dict->ddict);
	else
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
	.dict_create = zstd_dict_create,
	.dict_destroy = zstd_dict_destroy,
	.dict_reach = UZ_CODEC_DICT_MAX,
#if ZSTD_VERSION_NUMBER >= 10500
	.dict_head = ZSTD_DICT_HEAD,
	.dict_finish = zstd_dict_finish,
#endif
};
