// SPDX-License-Identifier: MIT
/*
 * lzo and lzo-rle: LZO1X by liblzo2. It has no levels.
 *
 * The kernel's lzo-rle is LZO1X with one more instruction, for runs of zeroes.
 * Nobody but us ever reads what we compress, so that name need not mean that
 * format. Both names do the same here; they are two entries, not an alias, so
 * that a script finds in brackets the name that it has written.
 *
 * liblzo2 does not ask how much room there is: a page is compressed to where
 * its worst case fits, and copied if it fits the caller's room.
 */
#include <errno.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>

#include "compress_priv.h"

/* What liblzo2's manual says a block that does not compress can grow to. */
#define WORST_CASE (UZ_PAGE_SIZE + UZ_PAGE_SIZE / 16 + 64 + 3)

struct lzo_ctx {
	struct uz_codec_ctx base;
	unsigned char out[WORST_CASE];
	/* Pointers, for their alignment: what liblzo2 asks for. */
	void *work[LZO1X_1_12_MEM_COMPRESS / sizeof(void *)];
};

static void lzo_destroy(struct uz_codec_ctx *base)
{
	free(base);
}

static struct uz_codec_ctx *lzo_create(int level,
				       const struct uz_codec_dict *dict)
{
	struct lzo_ctx *ctx;

	(void)level;
	(void)dict;
	/* Compares the header's sizes of types with the library's. */
	if (lzo_init() != LZO_E_OK)
		return NULL;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return NULL;
	ctx->base.bytes = sizeof(*ctx);
	return &ctx->base;
}

static int lzo_compress(struct uz_codec_ctx *base, const void *src, void *dst,
			size_t cap, size_t *len)
{
	struct lzo_ctx *ctx = (struct lzo_ctx *)base;
	lzo_uint n = 0;

	/*
	 * The variant with the smallest table that has a place for each byte
	 * of a page: it is cleared for each page.
	 */
	if (lzo1x_1_12_compress(src, UZ_PAGE_SIZE, ctx->out, &n, ctx->work) !=
		    LZO_E_OK ||
	    n > cap)
		return -E2BIG;
	memcpy(dst, ctx->out, n);
	*len = n;
	return 0;
}

static int lzo_decompress(struct uz_codec_ctx *base, const void *src,
			  size_t len, void *dst)
{
	lzo_uint n = UZ_PAGE_SIZE;

	(void)base;
	/* Also fails where not all of @src was used. */
	if (lzo1x_decompress_safe(src, len, dst, &n, NULL) != LZO_E_OK)
		return -EIO;
	return n == UZ_PAGE_SIZE ? 0 : -EIO;
}

#define LZO_OPS(as)                                                         \
	{                                                                   \
		.name = as, .level_key = "level", .ctx_create = lzo_create, \
		.ctx_destroy = lzo_destroy, .compress = lzo_compress,       \
		.decompress = lzo_decompress,                               \
	}

const struct uz_codec_ops uz__codec_lzo = LZO_OPS("lzo");
const struct uz_codec_ops uz__codec_lzo_rle = LZO_OPS("lzo-rle");
