// SPDX-License-Identifier: MIT
/*
 * lz4hc: lz4's format, made with far more effort. Decodes as fast as lz4.
 *
 * Clearing the 256 KiB state would take 7 % of the time of a page, so each page
 * begins with the fast reset, which only moves the positions of the new page
 * past all that the tables remember. It is safe because the state was
 * initialised once and never passed through any other function; after a page
 * that did not fit, liblz4 itself clears all.
 *
 * At levels 10 to 12 liblz4 allocates 64 KiB for each page, in most builds of
 * it, and no interface lets us bring them. Without memory the page is reported
 * as one that does not fit. On system libraries these levels win at most 0.2 %
 * over level 9; they are offered because kernel zram takes them.
 *
 * With a dictionary each page begins with a copy of a state that has read it.
 * liblz4 could refer to such a state instead, but Debian's exports no function
 * for that.
 */
#include <errno.h>
#include <lz4hc.h>
#include <stdlib.h>

#include "compress_priv.h"

struct lz4hc_ctx {
	struct uz_codec_ctx base;
	int level;
	const struct lz4hc_dict *dict;
	LZ4_streamHC_t *state;
};

struct lz4hc_dict {
	struct uz_codec_dict base;
	LZ4_streamHC_t *loaded;
};

static void lz4hc_dict_destroy(struct uz_codec_dict *base)
{
	struct lz4hc_dict *dict = (struct lz4hc_dict *)base;

	LZ4_freeStreamHC(dict->loaded);
	free(dict);
}

static int lz4hc_dict_create(int level, const void *data, size_t size,
			     struct uz_codec_dict **made)
{
	struct lz4hc_dict *dict = calloc(1, sizeof(*dict));

	if (!dict)
		return -ENOMEM;
	dict->loaded = LZ4_createStreamHC();
	if (!dict->loaded) {
		lz4hc_dict_destroy(&dict->base);
		return -ENOMEM;
	}
	LZ4_resetStreamHC_fast(dict->loaded, level);
	LZ4_loadDictHC(dict->loaded, data, (int)size);
	dict->base.bytes = sizeof(*dict) + sizeof(*dict->loaded);
	*made = &dict->base;
	return 0;
}

static void lz4hc_destroy(struct uz_codec_ctx *base)
{
	struct lz4hc_ctx *ctx = (struct lz4hc_ctx *)base;

	LZ4_freeStreamHC(ctx->state);
	free(ctx);
}

static struct uz_codec_ctx *lz4hc_create(int level,
					 const struct uz_codec_dict *dict)
{
	struct lz4hc_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->level = level;
	ctx->dict = (const struct lz4hc_dict *)dict;
	ctx->state = LZ4_createStreamHC();
	if (!ctx->state)
		goto fail;
	ctx->base.bytes = sizeof(*ctx) + sizeof(*ctx->state);
	return &ctx->base;
fail:
	lz4hc_destroy(&ctx->base);
	return NULL;
}

static int lz4hc_compress(struct uz_codec_ctx *base, const void *src, void *dst,
			  size_t cap, size_t *len)
{
	struct lz4hc_ctx *ctx = (struct lz4hc_ctx *)base;
	int n;

	if (ctx->dict)
		*ctx->state = *ctx->dict->loaded;
	else
		LZ4_resetStreamHC_fast(ctx->state, ctx->level);
	n = LZ4_compress_HC_continue(ctx->state, src, dst, UZ_PAGE_SIZE,
				     (int)cap);
	if (n <= 0)
		return -E2BIG;
	*len = (size_t)n;
	return 0;
}

static int lz4hc_decompress(struct uz_codec_ctx *base, const void *src,
			    size_t len, void *dst)
{
	const struct lz4hc_ctx *ctx = (struct lz4hc_ctx *)base;

	return uz__lz4_decompress((const struct uz_codec_dict *)ctx->dict, src,
				  len, dst);
}

const struct uz_codec_ops uz__codec_lz4hc = {
	.name = "lz4hc",
	.level_key = "level",
	.level_min = 1,
	.level_max = LZ4HC_CLEVEL_MAX,
	.level_default = LZ4HC_CLEVEL_DEFAULT,
	.ctx_create = lz4hc_create,
	.ctx_destroy = lz4hc_destroy,
	.compress = lz4hc_compress,
	.decompress = lz4hc_decompress,
	.dict_create = lz4hc_dict_create,
	.dict_destroy = lz4hc_dict_destroy,
	.dict_reach = UINT32_C(1) << 16,
};
