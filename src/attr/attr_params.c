// SPDX-License-Identifier: MIT
/*
 * The attribute algorithm_params: a level or a dictionary for the codec of a
 * priority, 0 being that for new stores.
 *
 * As in kernel zram they may come before the codec does: for a priority that
 * has none they are kept, a dictionary's bytes with them, until
 * recomp_algorithm names one by its bare name, and a reset forgets them. They
 * are kept in this process only: who chooses the codec after its death has to
 * give them again.
 *
 * What is kept is looked at under the lock of stores.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/worker/dict_file.h>

#include "attr_priv.h"
#include "words.h"

unsigned int uz__attr_find_priority(struct uz_attr_ctx *ctx, const char *algo,
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

int uz__attr_any_priority(struct uz_attr_ctx *ctx, const char *algo,
			  unsigned int *priority, struct uz_err *err)
{
	if (algo)
		*priority = uz__attr_find_priority(ctx, algo, 0);
	if (*priority >= UZ_PRIORITIES && algo)
		return uz_err_set(err, -EINVAL,
				  "no priority has the codec '%.40s'", algo);
	if (*priority >= UZ_PRIORITIES)
		return uz_err_set(err, -EINVAL, "the priority is not 0 to %d",
				  UZ_PRIORITIES - 1);
	return 0;
}

/* The text of a codec with its level, if one is given. */
static void codec_text(char *text, size_t size, const char *name,
		       const char *level)
{
	snprintf(text, size, "%s%s%s", name, *level ? ":level=" : "", level);
}

static int choose(struct uz_device *dev, unsigned int priority,
		  const char *text, struct uz_err *err)
{
	return priority ? uz_device_set_secondary(dev, priority, text, err)
			: uz_device_set_codec(dev, text, err);
}

/* As in the kernel, of level and dict the one that is not given is none. */
static int use_now(struct uz_attr_ctx *ctx, const struct uz__choice *choice,
		   const struct uz_codec *codec, struct uz_err *err)
{
	char text[UZ_CODEC_TEXT_MAX + UZ__ATTR_LEVEL_MAX + 16];
	int ret;

	if (!choice->level && !choice->dict)
		return 0;
	codec_text(text, sizeof(text), uz_codec_name(codec),
		   choice->level ? choice->level : "");
	if (choice->dict)
		ret = uz_dict_file_use(ctx->dev, choice->priority, text,
				       choice->dict, err);
	else
		ret = choose(ctx->dev, choice->priority, text, err);
	return ret == -ERANGE ? -EINVAL : ret;
}

static void forget(struct uz__attr_waiting *w)
{
	free(w->dict);
	*w = (struct uz__attr_waiting){ 0 };
}

void uz__attr_params_forget(struct uz_attr_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < UZ_PRIORITIES; i++)
		forget(&ctx->waiting[i]);
}

/* For the codec that this priority is yet to have. */
static int keep(struct uz__attr_waiting *w, const struct uz__choice *choice,
		struct uz_err *err)
{
	struct uz__attr_waiting next = { 0 };
	int ret;

	if (choice->level)
		strcpy(next.level, choice->level);
	if (choice->dict) {
		ret = uz_dict_file_read(choice->dict, &next.dict, &next.size,
					err);
		if (ret)
			return ret;
	}
	forget(w);
	*w = next;
	return 0;
}

int uz__attr_params_choose(struct uz_attr_ctx *ctx, unsigned int priority,
			   const char *algo, struct uz_err *err)
{
	char text[UZ_CODEC_TEXT_MAX + UZ__ATTR_LEVEL_MAX + 16];
	struct uz__attr_waiting *w;
	struct uz_device_dict dict;
	int ret;

	/* What is out of range is refused there; options of its own win. */
	if (priority >= UZ_PRIORITIES || strchr(algo, ':') ||
	    strlen(algo) > UZ_CODEC_TEXT_MAX)
		return uz_device_set_secondary(ctx->dev, priority, algo, err);
	w = &ctx->waiting[priority];
	codec_text(text, sizeof(text), algo, w->level);
	if (w->dict) {
		dict = (struct uz_device_dict){ .bytes = w->dict,
						.size = w->size };
		ret = uz_device_set_dict(ctx->dev, priority, text, &dict, err);
	} else {
		ret = uz_device_set_secondary(ctx->dev, priority, text, err);
	}
	if (!ret)
		forget(w);
	return ret == -ERANGE ? -EINVAL : ret;
}

/* A whole number of either sign, as the kernel's kstrtoint() takes it. */
static int check_level(const char *value, struct uz_err *err)
{
	uint64_t n;

	if (strlen(value) > UZ__ATTR_LEVEL_MAX)
		return uz_err_set(err, -EINVAL,
				  "level '%.40s' is longer than %d bytes",
				  value, UZ__ATTR_LEVEL_MAX);
	return uz__words_number("level", value + (*value == '-'), INT_MAX, &n,
				err);
}

static int take_param(void *arg, const char *key, const char *value,
		      struct uz_err *err)
{
	struct uz__choice *choice = arg;
	uint64_t bits;

	if (!strcmp(key, "level")) {
		choice->level = value;
		return check_level(value, err);
	}
	if (!strcmp(key, "dict"))
		choice->dict = value;
	else if (!strcmp(key, "deflate.winbits")) /* a page fits any */
		return uz__words_number(key, value + (*value == '-'), INT_MAX,
					&bits, err);
	return uz__words_choice(arg, key, value, err);
}

int uz__attr_params_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	struct uz__choice c = { 0 };
	char copy[UZ_ATTR_TEXT_MAX + 1];
	struct uz_codec codec;
	int ret;

	(void)len;
	ret = uz__words_each(copy, text, take_param, &c, err);
	if (ret)
		return ret;
	ret = uz__attr_any_priority(ctx, c.algo, &c.priority, err);
	if (ret)
		return ret;
	if (!uz_device_codec_of(ctx->dev, c.priority, &codec))
		return keep(&ctx->waiting[c.priority], &c, err);
	return use_now(ctx, &c, &codec, err);
}
