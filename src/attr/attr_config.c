// SPDX-License-Identifier: MIT
/*
 * Attributes that set the device up: disksize, initstate, reset,
 * comp_algorithm, max_comp_streams, mem_limit.
 *
 * What is accepted and how it is refused follows kernel zram, number by
 * number. Three things go beyond it: the chosen codec is shown with its
 * parameters when they are not the default ones, reset takes "force", and a
 * disksize may be written again, to make the device larger.
 * State (set already? held?) is judged by the device, under its own lock; the
 * checks here are of the text only.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <uzram/util/size.h>

#include "attr_priv.h"

/* Longest codec text; kernel zram refuses longer ones with E2BIG. */
#define ALGORITHM_TEXT_MAX 127

/* How long a reset waits for a close that is still under way. */
#define RESET_WAIT_MS 1000
#define RESET_STEP_MS 2

static bool text_is(const char *text, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(text, word, n) && (!text[n] || !strcmp(text + n, "\n"));
}

int uz__attr_disksize_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_strbuf_add(out, "%" PRIu64 "\n", uz_device_disksize(ctx->dev));
	return 0;
}

/*
 * First the device, then the disk that stands on it: it must not offer what is
 * not there. Where the size is right already the disk may not have heard of it,
 * since the process that made the device grow may have died.
 */
static int grow(struct uz_attr_ctx *ctx, uint64_t size, struct uz_err *err)
{
	const struct uz_attr_disk *disk = ctx->disk;
	const uint64_t now = uz_device_disksize(ctx->dev);
	int can = disk ? disk->can_grow(disk->arg, err) : 0;
	int ret;

	if (can && size > now)
		return can;
	ret = uz_device_grow(ctx->dev, size, err);
	if (!ret && !can && disk)
		ret = disk->grow(disk->arg, uz_device_disksize(ctx->dev), err);
	return ret;
}

int uz__attr_disksize_store(struct uz_attr_ctx *ctx, const char *text,
			    size_t len, struct uz_err *err)
{
	uint64_t size;

	(void)len;
	if (uz_size_memparse(text, &size) || !size)
		return uz_err_set(err, -EINVAL,
				  "not a size; write bytes, or a number with "
				  "K, M, G or T after it");
	if (uz_device_disksize(ctx->dev))
		return grow(ctx, size, err);
	return uz_device_set_disksize(ctx->dev, size, err);
}

int uz__attr_initstate_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_strbuf_add(out, "%d\n", uz_device_disksize(ctx->dev) != 0);
	return 0;
}

/*
 * A front end may hear of a close(2) only after it has returned: who closes
 * the file and then resets the device shall not be told that it is busy.
 */
static void wait_for_close(const struct uz_device *dev)
{
	const struct timespec step = { .tv_nsec = RESET_STEP_MS * 1000000L };
	int left;

	for (left = RESET_WAIT_MS; left > 0; left -= RESET_STEP_MS) {
		if (!uz_device_holders(dev))
			return;
		nanosleep(&step, NULL);
	}
}

static int reset(struct uz_attr_ctx *ctx, bool force, struct uz_err *err)
{
	int ret = uz_device_reset(ctx->dev, force, err);

	if (!ret)
		uz__attr_params_forget(ctx);
	return ret;
}

int uz__attr_reset_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	uint64_t n;
	int ret;

	(void)len;
	if (ctx->disk)
		return uz_err_set(err, -EBUSY,
				  "a disk is not reset, not even by \"force\"; "
				  "remove it and add it anew");
	if (text_is(text, "force"))
		return reset(ctx, true, err);
	ret = uz__attr_number(text, &n);
	if (ret || !n)
		return uz_err_set(
			err, ret ? ret : -EINVAL,
			"write 1, or \"force\" although it is in use");
	if (n > UINT16_MAX)
		return uz_err_set(err, -ERANGE, "write 1");
	wait_for_close(ctx->dev);
	return reset(ctx, false, err);
}

void uz__attr_codec_list(const struct uz_codec *codec, struct uz_strbuf *out)
{
	char chosen[UZ_CODEC_TEXT_MAX + 1];
	const char *name;
	unsigned int i;

	uz_codec_format(codec, chosen);
	for (i = 0; (name = uz_codec_known(i)); i++) {
		if (!strcmp(name, uz_codec_name(codec)))
			uz_strbuf_add(out, "[%s] ", chosen);
		else
			uz_strbuf_add(out, "%s ", name);
	}
	uz_strbuf_add(out, "\n");
}

int uz__attr_algorithm_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_codec codec;

	uz_device_codec(ctx->dev, &codec);
	uz__attr_codec_list(&codec, out);
	return 0;
}

int uz__attr_algorithm_store(struct uz_attr_ctx *ctx, const char *text,
			     size_t len, struct uz_err *err)
{
	struct uz_codec codec;
	int ret;

	if (text[len - 1] == '\n')
		len--;
	if (len > ALGORITHM_TEXT_MAX)
		return uz_err_set(err, -E2BIG, "longer than %d bytes",
				  ALGORITHM_TEXT_MAX);
	/* As in the kernel: an unknown name is EINVAL though it comes late. */
	ret = uz_codec_parse(text, &codec, err);
	if (!ret)
		ret = uz_device_set_codec(ctx->dev, text, err);
	/* Longer than any codec's text can be, so it names none. */
	return ret == -E2BIG ? -EINVAL : ret;
}

int uz__attr_streams_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_strbuf_add(out, "%u\n", ctx->streams);
	return 0;
}

int uz__attr_streams_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err)
{
	uint64_t n;
	int ret = uz__attr_number(text, &n);

	(void)ctx;
	(void)len;
	if (!ret && n > INT32_MAX)
		ret = -ERANGE;
	if (!ret && !n)
		ret = -EINVAL;
	if (ret)
		return uz_err_set(err, ret, "not a number above 0");
	return 0;
}

int uz__attr_limit_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	uint64_t bytes;

	(void)len;
	/* Rounding up to a page must not turn a huge limit into none. */
	if (uz_size_memparse(text, &bytes) || bytes > UINT64_MAX - UZ_PAGE_SIZE)
		return uz_err_set(
			err, -EINVAL,
			"not a size; write bytes, a number with K, M, "
			"G or T after it, or 0 for no limit");
	uz_device_set_limit(ctx->dev, bytes);
	return 0;
}
