// SPDX-License-Identifier: MIT
/*
 * Attributes of secondary codecs: recomp_algorithm, train and recompress. Words
 * (words.h), units and refusals are kernel zram's. A codec is found by its
 * name, priority 0 being that for new stores.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/size.h>

#include "attr_priv.h"
#include "words.h"

/* Kernel zram refuses longer names with E2BIG. */
#define NAME_MAX_LEN 127

/* ---- recomp_algorithm ---- */

int uz__attr_recomp_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_codec codec;
	unsigned int i;

	for (i = 1; i < UZ_PRIORITIES; i++) {
		if (!uz_device_codec_of(ctx->dev, i, &codec))
			continue;
		uz_strbuf_add(out, "#%u: ", i);
		uz__attr_codec_list(&codec, out);
	}
	return 0;
}

int uz__attr_recomp_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	struct uz__choice c = { .priority = 1 };
	char copy[UZ_ATTR_TEXT_MAX + 1];
	int ret;

	(void)len;
	ret = uz__words_each(copy, text, uz__words_choice, &c, err);
	if (ret)
		return ret;
	if (!c.algo)
		return uz_err_set(err, -EINVAL,
				  "write algo=NAME priority=1, 2 or 3");
	if (strlen(c.algo) > NAME_MAX_LEN)
		return uz_err_set(err, -E2BIG, "longer than %d bytes",
				  NAME_MAX_LEN);
	ret = uz__attr_params_choose(ctx, c.priority, c.algo, err);
	/* Longer than any codec's text can be, so it names none. */
	return ret == -E2BIG ? -EINVAL : ret;
}

/* ---- train ---- */

/*
 * struct lesson - a text that was written to train
 * @choice: which codec
 * @size:   of the dictionary; 0: the default
 */
struct lesson {
	struct uz__choice choice;
	uint64_t size;
};

static int take_lesson(void *arg, const char *key, const char *value,
		       struct uz_err *err)
{
	struct lesson *lesson = arg;

	if (!strcmp(key, "algo") || !strcmp(key, "priority"))
		return uz__words_choice(&lesson->choice, key, value, err);
	if (strcmp(key, "size") != 0)
		return uz_err_set(err, -EINVAL,
				  "'%.40s' is none of algo, priority and size",
				  key);
	if (uz_size_memparse(value, &lesson->size) || !lesson->size)
		return uz_err_set(err, -EINVAL,
				  "size '%.40s' is not a size, as in 64K",
				  value);
	return 0;
}

int uz__attr_train(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
		   struct uz_err *err)
{
	struct lesson l = { 0 };
	char copy[UZ_ATTR_TEXT_MAX + 1];
	int ret;

	ret = uz__words_each(copy, text, take_lesson, &l, err);
	if (!ret)
		ret = uz__attr_any_priority(ctx, l.choice.algo,
					    &l.choice.priority, err);
	if (ret)
		return ret;
	return uz_trainer_run(ctx->trainer, l.choice.priority, l.size, id, err);
}

int uz__attr_train_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	(void)len;
	return uz__attr_train(ctx, text, 0, err);
}

int uz__attr_train_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_trained t;

	if (uz_trainer_last(ctx->trainer, &t))
		uz_strbuf_add(out, "state running\n");
	else
		uz_strbuf_add(out, "state %s\n", *t.codec ? "trained" : "none");
	if (!*t.codec)
		return 0;
	uz_strbuf_add(out,
		      "codec %s\nsize %" PRIu64 "\nstored %" PRIu64
		      "\nlearnt %" PRIu64 "\nheld_back %" PRIu64
		      "\nbytes_without %" PRIu64 "\nbytes_with %" PRIu64 "\n",
		      t.codec, t.size, t.stored, t.learnt, t.held, t.without,
		      t.with);
	return 0;
}

/* ---- recompress ---- */

static int parse_type(const char *value, struct uz_recompress_order *order,
		      struct uz_err *err)
{
	order->idle = !strcmp(value, "idle") || !strcmp(value, "huge_idle");
	order->huge = !strcmp(value, "huge") || !strcmp(value, "huge_idle");
	if (order->idle || order->huge)
		return 0;
	return uz_err_set(err, -EINVAL,
			  "type '%.40s' is not idle, huge or huge_idle", value);
}

/*
 * struct request - a text that was written to recompress
 * @algo:  a codec's name, or NULL
 * @order: the rest
 */
struct request {
	const char *algo;
	struct uz_recompress_order order;
};

static int take_order(void *arg, const char *key, const char *value,
		      struct uz_err *err)
{
	struct request *request = arg;
	struct uz_recompress_order *order = &request->order;
	uint64_t n;
	int ret;

	if (!strcmp(key, "algo"))
		request->algo = value;
	if (!strcmp(key, "type"))
		return parse_type(value, order, err);
	if (!strcmp(key, "priority"))
		return uz__words_priority(value, &order->priority, err);
	if (!strcmp(key, "max_pages"))
		return uz__words_number(key, value, UINT64_MAX,
					&order->max_pages, err);
	if (strcmp(key, "threshold"))
		return 0;
	ret = uz__words_number(key, value, UINT32_MAX, &n, err);
	if (ret)
		return ret;
	if (n >= UZ_HUGE_SIZE)
		return uz_err_set(
			err, -EINVAL,
			"threshold %" PRIu64
			" is too large: pages of %u bytes and more are stored as they are; use type=huge",
			n, UZ_HUGE_SIZE);
	order->threshold = (uint32_t)n;
	return 0;
}

/* A name and a priority have to agree. */
static int choose_algo(struct uz_attr_ctx *ctx, const char *algo,
		       struct uz_recompress_order *order, struct uz_err *err)
{
	unsigned int from = order->priority ? order->priority : 1;
	unsigned int found = uz__attr_find_priority(ctx, algo, from);

	if (found >= UZ_PRIORITIES ||
	    (order->priority && found != order->priority))
		return uz_err_set(
			err, -EINVAL,
			"'%.40s' is not the codec of %s; see recomp_algorithm",
			algo,
			order->priority ? "that priority"
					: "a priority from 1 to 3");
	order->priority = found;
	return 0;
}

int uz__attr_recompress(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
			struct uz_err *err)
{
	struct request r = { .order.max_pages = UINT64_MAX };
	char copy[UZ_ATTR_TEXT_MAX + 1];
	int ret;

	ret = uz__words_each(copy, text, take_order, &r, err);
	if (!ret && !uz_device_disksize(ctx->dev))
		ret = uz_err_set(err, -EINVAL, "the device has no size");
	if (!ret && r.algo)
		ret = choose_algo(ctx, r.algo, &r.order, err);
	if (ret)
		return ret;
	return uz_recompressor_run(ctx->recompressor, &r.order, id, err);
}

int uz__attr_recompress_store(struct uz_attr_ctx *ctx, const char *text,
			      size_t len, struct uz_err *err)
{
	(void)len;
	return uz__attr_recompress(ctx, text, 0, err);
}
