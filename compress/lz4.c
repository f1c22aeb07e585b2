// SPDX-License-Identifier: MIT
/*
 * lz4: the fastest to decode and the default. Its level is lz4's
 * acceleration: higher is faster and larger.
 *
 * Each page clears the 16 KiB table anew. liblz4's way around that (a fast
 * reset, then compression as a stream) measured slower on 4 KiB pages, 9.0
 * against 6.5 us on system binaries, and larger: a stream cannot use the table
 * of two-byte positions, which has twice the entries.
 *
 * With a dictionary there is no way around a stream. Each page begins with a
 * copy of one that has read the dictionary, which costs as much as clearing;
 * to have it read anew would cost more than the page.
 */
#include <errno.h>
#include <lz4.h>
#include <stdlib.h>

#include "compress_priv.h"

struct lz4_ctx {
	struct uz_codec_ctx base;
	int acceleration;
	const struct lz4_dict *dict;
	LZ4_stream_t *state;
};

struct lz4_dict {
	struct uz_codec_dict base;
	LZ4_stream_t *loaded;
};

static void lz4_dict_destroy(struct uz_codec_dict *base)
{
	struct lz4_dict *dict = (struct lz4_dict *)base;

	LZ4_freeStream(dict->loaded);
	free(dict);
}

static int lz4_dict_create(int level, const void *data, size_t size,
			   struct uz_codec_dict **made)
{
	struct lz4_dict *dict = calloc(1, sizeof(*dict));

	(void)level;
	if (!dict)
		return -ENOMEM;
	dict->loaded = LZ4_createStream();
	if (!dict->loaded) {
		lz4_dict_destroy(&dict->base);
		return -ENOMEM;
	}
	LZ4_loadDict(dict->loaded, data, (int)size);
	dict->base.bytes = sizeof(*dict) + sizeof(*dict->loaded);
	*made = &dict->base;
	return 0;
}

static void lz4_destroy(struct uz_codec_ctx *base)
{
	struct lz4_ctx *ctx = (struct lz4_ctx *)base;

	LZ4_freeStream(ctx->state);
	free(ctx);
}

static struct uz_codec_ctx *lz4_create(int level,
				       const struct uz_codec_dict *dict)
{
	struct lz4_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->acceleration = level;
	ctx->dict = (const struct lz4_dict *)dict;
	ctx->state = LZ4_createStream();
	if (!ctx->state)
		goto fail;
	ctx->base.bytes = sizeof(*ctx) + sizeof(*ctx->state);
	return &ctx->base;
fail:
	lz4_destroy(&ctx->base);
	return NULL;
}

static int lz4_compress(struct uz_codec_ctx *base, const void *src, void *dst,
			size_t cap, size_t *len)
{
	struct lz4_ctx *ctx = (struct lz4_ctx *)base;
	int n;

	if (ctx->dict) {
		*ctx->state = *ctx->dict->loaded;
		n = LZ4_compress_fast_continue(ctx->state, src, dst,
					       UZ_PAGE_SIZE, (int)cap,
					       ctx->acceleration);
	} else {
		n = LZ4_compress_fast_extState(ctx->state, src, dst,
					       UZ_PAGE_SIZE, (int)cap,
					       ctx->acceleration);
	}
	if (n <= 0)
		return -E2BIG;
	*len = (size_t)n;
	return 0;
}

int uz__lz4_decompress(const struct uz_codec_dict *dict, const void *src,
		       size_t len, void *dst)
{
	int n;

	if (dict)
		n = LZ4_decompress_safe_usingDict(src, dst, (int)len,
						  UZ_PAGE_SIZE, dict->data,
						  (int)dict->size);
	else
		n = LZ4_decompress_safe(src, dst, (int)len, UZ_PAGE_SIZE);
	return n == UZ_PAGE_SIZE ? 0 : -EIO;
}

static int lz4_decompress(struct uz_codec_ctx *base, const void *src,
			  size_t len, void *dst)
{
	const struct lz4_ctx *ctx = (struct lz4_ctx *)base;

	return uz__lz4_decompress((const struct uz_codec_dict *)ctx->dict, src,
				  len, dst);
}

const struct uz_codec_ops uz__codec_lz4 = {
	.name = "lz4",
	.level_key = "acceleration",
	.level_min = 1,
	.level_max = 65537, /* liblz4 takes anything above as this */
	.level_default = 1,
	.ctx_create = lz4_create,
	.ctx_destroy = lz4_destroy,
	.compress = lz4_compress,
	.decompress = lz4_decompress,
	.dict_create = lz4_dict_create,
	.dict_destroy = lz4_dict_destroy,
	.dict_reach = UINT32_C(1) << 16,
};
