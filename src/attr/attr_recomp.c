// SPDX-License-Identifier: MIT
/*
 * Attributes of secondary codecs: recomp_algorithm, algorithm_params, train and
 * recompress. Words, units and refusals are kernel zram's: words of the form
 * key=value between blanks, a key without a value is refused, one that is not
 * known is passed over. A codec is found by its name, priority 0 being that
 * for new stores.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/size.h>
#include <uzram/worker/dict_file.h>

#include "attr_priv.h"

/* Kernel zram refuses longer names with E2BIG. */
#define NAME_MAX_LEN 127

/*
 * struct words - a text that is being taken apart
 * @copy: of the text, cut into words
 * @at:   what is left of it
 */
struct words {
	char copy[UZ_ATTR_TEXT_MAX + 1];
	char *at;
};

static void words_begin(struct words *w, const char *text)
{
	snprintf(w->copy, sizeof(w->copy), "%s", text);
	w->at = w->copy;
}

/* The next word; 1 there is one, 0 not, -EINVAL it has no value. */
static int words_next(struct words *w, const char **key, const char **value,
		      struct uz_err *err)
{
	char *word, *equals;

	while (isspace((unsigned char)*w->at))
		w->at++;
	if (!*w->at)
		return 0;
	word = w->at;
	while (*w->at && !isspace((unsigned char)*w->at))
		w->at++;
	if (*w->at)
		*w->at++ = 0;
	equals = strchr(word, '=');
	if (!equals || !equals[1])
		return uz_err_set(err, -EINVAL, "'%.40s' has no value", word);
	*equals = 0;
	*key = word;
	*value = equals + 1;
	return 1;
}

/* Has each word taken, until one is refused. */
static int words_each(struct words *w, const char *text,
		      int (*take)(void *arg, const char *key, const char *value,
				  struct uz_err *err),
		      void *arg, struct uz_err *err)
{
	const char *key = NULL, *value = NULL;
	int ret;

	words_begin(w, text);
	while ((ret = words_next(w, &key, &value, err)) > 0) {
		ret = take(arg, key, value, err);
		if (ret)
			break;
	}
	return ret;
}

static int parse_number(const char *key, const char *value, uint64_t max,
			uint64_t *number, struct uz_err *err)
{
	int ret = uz__attr_number(value, number);

	if (!ret && *number > max)
		ret = -ERANGE;
	if (ret)
		return uz_err_set(
			err, ret,
			"%s '%.40s' is not a number from 0 to %" PRIu64, key,
			value, max);
	return 0;
}

static int parse_priority(const char *value, unsigned int *priority,
			  struct uz_err *err)
{
	uint64_t n;
	int ret = parse_number("priority", value, INT_MAX, &n, err);

	if (!ret)
		*priority = (unsigned int)n;
	return ret;
}

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

/*
 * struct choice - which codec a text is about, and what about it
 * @algo:     its name, or NULL
 * @level:    or NULL
 * @dict:     path of a dictionary, or NULL
 * @priority: or that of the codec
 */
struct choice {
	const char *algo;
	const char *level;
	const char *dict;
	unsigned int priority;
};

static int take_choice(void *arg, const char *key, const char *value,
		       struct uz_err *err)
{
	struct choice *choice = arg;

	if (!strcmp(key, "algo"))
		choice->algo = value;
	else if (!strcmp(key, "priority"))
		return parse_priority(value, &choice->priority, err);
	return 0;
}

int uz__attr_recomp_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	struct choice c = { .priority = 1 };
	struct words w;
	int ret;

	(void)len;
	ret = words_each(&w, text, take_choice, &c, err);
	if (ret)
		return ret;
	if (!c.algo)
		return uz_err_set(err, -EINVAL,
				  "write algo=NAME priority=1, 2 or 3");
	if (strlen(c.algo) > NAME_MAX_LEN)
		return uz_err_set(err, -E2BIG, "longer than %d bytes",
				  NAME_MAX_LEN);
	ret = uz_device_set_secondary(ctx->dev, c.priority, c.algo, err);
	/* Longer than any codec's text can be, so it names none. */
	return ret == -E2BIG ? -EINVAL : ret;
}

/* ---- algorithm_params ---- */

/* The first priority from @from on whose codec has that name. */
static unsigned int find_priority(struct uz_attr_ctx *ctx, const char *algo,
				  unsigned int from)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_codec codec;
	unsigned int i;

	for (i = from; i < UZ_PRIORITIES; i++) {
		if (!uz_device_codec_of(ctx->dev, i, &codec))
			continue;
		uz_codec_format(&codec, text);
		if (!strcmp(uz_codec_name(&codec), algo) || !strcmp(text, algo))
			break;
	}
	return i;
}

/* As in the kernel, of level and dict the one that is not given is none. */
static int set_params(struct uz_attr_ctx *ctx, const struct choice *choice,
		      struct uz_err *err)
{
	unsigned int priority = choice->priority;
	char text[UZ_CODEC_TEXT_MAX + 64];
	struct uz_codec codec;
	int ret;

	if (!uz_device_codec_of(ctx->dev, priority, &codec))
		return uz_err_set(err, -EINVAL,
				  "there is no codec of priority %u", priority);
	if (!choice->level && !choice->dict)
		return 0;
	snprintf(text, sizeof(text), "%s%s%.40s", uz_codec_name(&codec),
		 choice->level ? ":level=" : "",
		 choice->level ? choice->level : "");
	if (choice->dict)
		ret = uz_dict_file_use(ctx->dev, priority, text, choice->dict,
				       err);
	else if (priority)
		ret = uz_device_set_secondary(ctx->dev, priority, text, err);
	else
		ret = uz_device_set_codec(ctx->dev, text, err);
	return ret == -ERANGE ? -EINVAL : ret;
}

static int take_param(void *arg, const char *key, const char *value,
		      struct uz_err *err)
{
	struct choice *choice = arg;
	uint64_t bits;

	if (!strcmp(key, "level"))
		choice->level = value;
	else if (!strcmp(key, "dict"))
		choice->dict = value;
	else if (!strcmp(key, "deflate.winbits")) /* a page fits any */
		return parse_number(key, value + (*value == '-'), INT_MAX,
				    &bits, err);
	return take_choice(arg, key, value, err);
}

/* That of a codec's name, if there is one. */
static int any_priority(struct uz_attr_ctx *ctx, const char *algo,
			unsigned int *priority, struct uz_err *err)
{
	if (algo)
		*priority = find_priority(ctx, algo, 0);
	if (*priority >= UZ_PRIORITIES && algo)
		return uz_err_set(err, -EINVAL,
				  "no priority has the codec '%.40s'", algo);
	if (*priority >= UZ_PRIORITIES)
		return uz_err_set(err, -EINVAL, "the priority is not 0 to %d",
				  UZ_PRIORITIES - 1);
	return 0;
}

int uz__attr_params_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	struct choice c = { 0 };
	struct words w;
	int ret;

	(void)len;
	ret = words_each(&w, text, take_param, &c, err);
	if (ret)
		return ret;
	ret = any_priority(ctx, c.algo, &c.priority, err);
	if (ret)
		return ret;
	return set_params(ctx, &c, err);
}

/* ---- train ---- */

/*
 * struct lesson - a text that was written to train
 * @choice: which codec
 * @size:   of the dictionary; 0: the default
 */
struct lesson {
	struct choice choice;
	uint64_t size;
};

static int take_lesson(void *arg, const char *key, const char *value,
		       struct uz_err *err)
{
	struct lesson *lesson = arg;

	if (!strcmp(key, "algo") || !strcmp(key, "priority"))
		return take_choice(&lesson->choice, key, value, err);
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
	struct words w;
	int ret;

	ret = words_each(&w, text, take_lesson, &l, err);
	if (!ret)
		ret = any_priority(ctx, l.choice.algo, &l.choice.priority, err);
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
		return parse_priority(value, &order->priority, err);
	if (!strcmp(key, "max_pages"))
		return parse_number(key, value, UINT64_MAX, &order->max_pages,
				    err);
	if (strcmp(key, "threshold"))
		return 0;
	ret = parse_number(key, value, UINT32_MAX, &n, err);
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
	unsigned int found = find_priority(ctx, algo, from);

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
	struct request r = { 0 };
	struct words w;
	int ret;

	ret = words_each(&w, text, take_order, &r, err);
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
