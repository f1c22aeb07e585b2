// SPDX-License-Identifier: MIT
/*
 * The codec that copies. It is there for tests, which can then tell what a
 * device does from what a codec does, and has no context beyond the common one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compress_priv.h"

static struct uz_codec_ctx *store_create(int level,
					 const struct uz_codec_dict *dict)
{
	struct uz_codec_ctx *ctx = calloc(1, sizeof(*ctx));

	(void)level;
	(void)dict;
	if (ctx)
		ctx->bytes = sizeof(*ctx);
	return ctx;
}

static void store_destroy(struct uz_codec_ctx *ctx)
{
	free(ctx);
}

static int store_compress(struct uz_codec_ctx *ctx, const void *src, void *dst,
			  size_t cap, size_t *len)
{
	(void)ctx;
	if (cap < UZ_PAGE_SIZE)
		return -E2BIG;
	memcpy(dst, src, UZ_PAGE_SIZE);
	*len = UZ_PAGE_SIZE;
	return 0;
}

static int store_decompress(struct uz_codec_ctx *ctx, const void *src,
			    size_t len, void *dst)
{
	(void)ctx;
	if (len != UZ_PAGE_SIZE)
		return -EIO;
	memcpy(dst, src, UZ_PAGE_SIZE);
	return 0;
}

const struct uz_codec_ops uz__codec_store = {
	.name = "store",
	.level_key = "level",
	.ctx_create = store_create,
	.ctx_destroy = store_destroy,
	.compress = store_compress,
	.decompress = store_decompress,
};
