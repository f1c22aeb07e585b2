// SPDX-License-Identifier: MIT
/*
 * The codecs of this build: the table, the text form, and the way into each.
 * A new codec is its file and a line in the table here.
 *
 * Nothing here has state, so nothing here takes a lock. Whether compressing a
 * page pays, and what to do when it does not, is for the caller to decide.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "compress_priv.h"
#include "config.h"

/* The first is the default. */
static const struct uz_codec_ops *const codecs[] = {
#if UZ_HAVE_LZ4
	&uz__codec_lz4,	    &uz__codec_lz4hc,
#endif
#if UZ_HAVE_ZSTD
	&uz__codec_zstd,
#endif
#if UZ_HAVE_LZO
	&uz__codec_lzo,	    &uz__codec_lzo_rle,
#endif
#if UZ_HAVE_DEFLATE
	&uz__codec_deflate,
#endif
	&uz__codec_store,
};

/* Of the number of a dictionary, which has 64 bits. */
#define DICT_DIGITS 16

/* The longest text: both parameters, with the largest values. */
_Static_assert(UZ_CODEC_NAME_MAX + sizeof(":acceleration=-65537,dict=") +
			       DICT_DIGITS <=
		       UZ_CODEC_TEXT_MAX,
	       "room for every codec");

#define N_CODECS (sizeof(codecs) / sizeof(codecs[0]))

static const struct uz_codec_ops *codec_find(const char *name)
{
	for (size_t i = 0; i < N_CODECS; i++)
		if (!strcmp(codecs[i]->name, name))
			return codecs[i];
	return NULL;
}

static int codec_unknown(const char *name, struct uz_err *err)
{
	char known[N_CODECS * (UZ_CODEC_NAME_MAX + 2)];
	size_t at = 0;

	for (size_t i = 0; i < N_CODECS; i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
				       i ? ", " : "", codecs[i]->name);
	return uz_err_set(err, -EINVAL, "codec '%s' is unknown: use one of %s",
			  name, known);
}

/* strtol() alone would take "", " 1", "+1" and the beginning of "1x". */
static int parse_level(const struct uz_codec_ops *ops, const char *value,
		       int *level, struct uz_err *err)
{
	const char *digits = value + (*value == '-');
	long n;

	if (!*digits || digits[strspn(digits, "0123456789")])
		return uz_err_set(err, -EINVAL,
				  "%s: %s '%s' is not a number: use %d ... %d",
				  ops->name, ops->level_key, value,
				  ops->level_min, ops->level_max);
	n = strtol(value, NULL, 10); /* too long a number is LONG_MAX or _MIN */
	if (n < ops->level_min || n > ops->level_max)
		return uz_err_set(err, -ERANGE,
				  "%s: %s %s is out of range: use %d ... %d",
				  ops->name, ops->level_key, value,
				  ops->level_min, ops->level_max);
	*level = (int)n;
	return 0;
}

static int parse_dict(const struct uz_codec_ops *ops, const char *value,
		      uint64_t *dict, struct uz_err *err)
{
	size_t len = strlen(value);

	if (!ops->dict_create)
		return uz_err_set(err, -EINVAL,
				  "%s has no use for dictionaries", ops->name);
	if (!len || len > DICT_DIGITS ||
	    value[strspn(value, "0123456789abcdef")])
		return uz_err_set(
			err, -EINVAL,
			"%s: dict '%.40s' is not the number of a dictionary: use up to %d of 0-9 and a-f",
			ops->name, value, DICT_DIGITS);
	*dict = strtoull(value, NULL, 16);
	return 0;
}

static int parse_param(struct uz_codec *codec, char *param, struct uz_err *err)
{
	const struct uz_codec_ops *ops = codec->ops;
	char *value = strchr(param, '=');

	if (value)
		*value++ = '\0';
	if (value && !strcmp(param, "dict"))
		return parse_dict(ops, value, &codec->dict, err);
	if (strcmp(param, "level") && strcmp(param, ops->level_key))
		return uz_err_set(err, -EINVAL,
				  "%s: parameter '%s' is unknown: use %s=N",
				  ops->name, param, ops->level_key);
	return parse_level(ops, value ? value : "", &codec->level, err);
}

int uz_codec_parse(const char *text, struct uz_codec *codec, struct uz_err *err)
{
	char copy[UZ_CODEC_TEXT_MAX + 1];
	struct uz_codec parsed = { 0 };
	char *params, *param;
	size_t len;
	int ret;

	len = strnlen(text, UZ_CODEC_TEXT_MAX + 2);
	if (len && text[len - 1] == '\n')
		len--;
	if (len > UZ_CODEC_TEXT_MAX)
		return uz_err_set(err, -E2BIG,
				  "codec '%.20s...' is longer than %d bytes",
				  text, UZ_CODEC_TEXT_MAX);
	memcpy(copy, text, len);
	copy[len] = '\0';

	params = strchr(copy, ':');
	if (params)
		*params++ = '\0';
	parsed.ops = codec_find(copy);
	if (!parsed.ops)
		return codec_unknown(copy, err);
	parsed.level = parsed.ops->level_default;
	while ((param = strsep(&params, ","))) {
		ret = parse_param(&parsed, param, err);
		if (ret)
			return ret;
	}
	*codec = parsed;
	return 0;
}

void uz_codec_format(const struct uz_codec *codec,
		     char text[UZ_CODEC_TEXT_MAX + 1])
{
	const struct uz_codec_ops *ops = codec->ops;
	char *at = stpcpy(text, ops->name);
	char sign = ':';

	if (codec->level != ops->level_default) {
		at += sprintf(at, "%c%s=%d", sign, ops->level_key,
			      codec->level);
		sign = ',';
	}
	if (codec->dict)
		sprintf(at, "%cdict=%" PRIx64, sign, codec->dict);
}

const char *uz_codec_name(const struct uz_codec *codec)
{
	return codec->ops->name;
}

const char *uz_codec_known(unsigned int i)
{
	return i < N_CODECS ? codecs[i]->name : NULL;
}

int uz_codec_dict_create(const struct uz_codec *codec, const void *bytes,
			 size_t size, struct uz_codec_dict **dict)
{
	struct uz_codec_dict *made;
	int ret;

	if (!codec->ops->dict_create)
		return -ENOTSUP;
	if (size < UZ_CODEC_DICT_MIN || size > UZ_CODEC_DICT_MAX)
		return -ERANGE;
	ret = codec->ops->dict_create(codec->level, bytes, size, &made);
	if (ret)
		return ret;
	made->ops = codec->ops;
	made->data = bytes;
	made->size = size;
	*dict = made;
	return 0;
}

void uz_codec_dict_destroy(struct uz_codec_dict *dict)
{
	if (dict)
		dict->ops->dict_destroy(dict);
}

size_t uz_codec_dict_bytes(const struct uz_codec_dict *dict)
{
	return dict ? dict->bytes : 0;
}

int uz_codec_ctx_create(const struct uz_codec *codec,
			const struct uz_codec_dict *dict,
			struct uz_codec_ctx **ctx)
{
	struct uz_codec_ctx *made;

	if (!codec->dict != !dict)
		return -EINVAL;
	assert(!dict || dict->ops == codec->ops);
	made = codec->ops->ctx_create(codec->level, dict);
	if (!made)
		return -ENOMEM;
	made->ops = codec->ops;
	made->checked = dict;
	*ctx = made;
	return 0;
}

void uz_codec_ctx_destroy(struct uz_codec_ctx *ctx)
{
	if (ctx)
		ctx->ops->ctx_destroy(ctx);
}

size_t uz_codec_ctx_bytes(const struct uz_codec_ctx *ctx)
{
	return ctx ? ctx->bytes : 0;
}

/*
 * What a dictionary has made ends in a checksum of the page. Nobody else could
 * tell when the dictionary is damaged: whoever keeps the compressed bytes sees
 * that they are the same, and they decode to a page, only to another one.
 */
static uint32_t page_sum(const void *page)
{
	return (uint32_t)XXH3_64bits(page, UZ_PAGE_SIZE);
}

static int compress_checked(struct uz_codec_ctx *ctx, const void *src,
			    void *dst, size_t cap, size_t *len)
{
	const uint32_t sum = page_sum(src);
	size_t n;
	int ret;

	if (cap <= sizeof(sum))
		return -E2BIG;
	ret = ctx->ops->compress(ctx, src, dst, cap - sizeof(sum), &n);
	if (ret)
		return ret;
	memcpy((char *)dst + n, &sum, sizeof(sum));
	*len = n + sizeof(sum);
	return 0;
}

static int decompress_checked(struct uz_codec_ctx *ctx, const void *src,
			      size_t len, void *dst)
{
	uint32_t sum;
	int ret;

	if (len <= sizeof(sum))
		return -EIO;
	len -= sizeof(sum);
	memcpy(&sum, (const char *)src + len, sizeof(sum));
	ret = ctx->ops->decompress(ctx, src, len, dst);
	return ret || sum == page_sum(dst) ? ret : -EIO;
}

int uz_codec_compress(struct uz_codec_ctx *ctx, const void *src, void *dst,
		      size_t cap, size_t *len)
{
	assert(cap && cap <= UZ_PAGE_SIZE);
	if (ctx->checked)
		return compress_checked(ctx, src, dst, cap, len);
	return ctx->ops->compress(ctx, src, dst, cap, len);
}

int uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src, size_t len,
			void *dst)
{
	assert(len && len <= UZ_PAGE_SIZE);
	if (ctx->checked)
		return decompress_checked(ctx, src, len, dst);
	return ctx->ops->decompress(ctx, src, len, dst);
}
