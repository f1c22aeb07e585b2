// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/compress.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
int uz_codec_parse(const char *text, struct uz_codec *codec, struct uz_err *err)
{
	return -ENOTSUP;
}
void uz_codec_format(const struct uz_codec *codec,
		     char text[UZ_CODEC_TEXT_MAX + 1])
{
}
const char *uz_codec_name(const struct uz_codec *codec)
{
	return 0;
}
const char *uz_codec_known(unsigned int i)
{
	return 0;
}
int uz_codec_ctx_create(const struct uz_codec *codec, struct uz_codec_ctx **ctx)
{
	return -ENOTSUP;
}
void uz_codec_ctx_destroy(struct uz_codec_ctx *ctx)
{
}
int uz_codec_compress(struct uz_codec_ctx *ctx, const void *src, void *dst,
		      size_t cap, size_t *len)
{
	return -ENOTSUP;
}
int uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src, size_t len,
			void *dst)
{
	return -ENOTSUP;
}
