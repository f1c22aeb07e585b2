// SPDX-License-Identifier: MIT
/*
 * The codecs that a configuration wants, in one value: the first word is the
 * codec for new stores, others are those for recompression, by priority. A word
 * is as comp_algorithm has it, "zstd:level=3", or as zram-generator does,
 * "zstd(level=3)". A dictionary is the path of a file, which is not looked at
 * here: who starts a device later may find another one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"

static int set_text(struct uz_daemon_codec *codec, const char *begin,
		    const char *sep, const char *more, struct uz_err *err)
{
	char text[sizeof(codec->text)];
	int n = snprintf(text, sizeof(text), "%s%s%s", begin, sep, more);

	if (n < 0 || (size_t)n >= sizeof(text))
		return uz_err_set(err, -EINVAL,
				  "codec '%.20s...' is longer than %d bytes",
				  *begin ? begin : more, UZ_CODEC_TEXT_MAX);
	memcpy(codec->text, text, sizeof(text));
	return 0;
}

static int set_dict(struct uz_daemon_codec *codec, const char *path,
		    struct uz_err *err)
{
	if (*path != '/')
		return uz_err_set(
			err, -EINVAL,
			"%s: dict '%.80s': must begin with '/'; it is a file",
			codec->text, path);
	if (strlen(path) >= sizeof(codec->dict))
		return uz_err_set(err, -EINVAL, "%s: dict: path too long",
				  codec->text);
	snprintf(codec->dict, sizeof(codec->dict), "%s", path);
	return 0;
}

/* What is behind @key and an equals sign, or NULL: it is another one. */
static const char *value_of(const char *param, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(param, key, len) && param[len] == '=' ? param + len + 1
							      : NULL;
}

/* All but a dictionary is for the codec to understand. */
static int take_param(struct uz_daemon_codec *codec, const char *param,
		      struct uz_err *err)
{
	const char *path = value_of(param, "dict");

	if (!path)
		path = value_of(param, "dictionary");
	if (path)
		return set_dict(codec, path, err);
	return set_text(codec, codec->text,
			strchr(codec->text, ':') ? "," : ":", param, err);
}

/* Ends the name and returns the parameters; NULL: there are none. */
static int cut_params(char *word, char **params, struct uz_err *err)
{
	char *at = word + strcspn(word, ":("), *last;
	char sign = *at;

	*params = NULL;
	if (!sign)
		return 0;
	if (sign == '(' && at == word)
		return uz_err_set(
			err, -EINVAL,
			"'%.40s': what is to be recompressed is said to the attribute recompress, or left to policy=auto",
			word);
	last = at + strlen(at) - 1;
	if (sign == '(' && *last != ')')
		return uz_err_set(err, -EINVAL, "'%.40s' has no ')' at its end",
				  word);
	if (sign == '(')
		*last = '\0';
	*at = '\0';
	*params = at + 1;
	return 0;
}

static int take_word(struct uz_daemon_codec *codec, char *word,
		     struct uz_err *err)
{
	char *params, *param;
	struct uz_codec parsed;
	int rc = cut_params(word, &params, err);

	if (!rc)
		rc = set_text(codec, "", "", word, err);
	while (!rc && (param = strsep(&params, ",")))
		rc = take_param(codec, param, err);
	if (!rc)
		rc = uz_codec_parse(codec->text, &parsed, err);
	if (!rc && *codec->dict && !uz_codec_dict_reach(&parsed))
		rc = uz_err_set(
			err, -EINVAL,
			"%s has no use for dictionaries: lz4, lz4hc and zstd have",
			uz_codec_name(&parsed));
	return rc;
}

int uz__config_codecs(struct uz_daemon_codec codecs[UZ_PRIORITIES],
		      const char *value, struct uz_err *err)
{
	struct uz_daemon_codec said[UZ_PRIORITIES] = { 0 };
	uz_autofree char *copy = strdup(value);
	char *rest = copy, *word;
	unsigned int nr = 0;
	int rc = 0;

	if (!copy)
		return uz_err_set(err, -ENOMEM, "out of memory");
	while (!rc && (word = strsep(&rest, " \t"))) {
		/* An empty value is one word, which is no codec's name. */
		if (!*word && (nr || rest))
			continue;
		if (nr == UZ_PRIORITIES)
			return uz_err_set(
				err, -EINVAL,
				"'%.40s': more than one codec and %d for recompression",
				word, UZ_PRIORITIES - 1);
		rc = take_word(&said[nr++], word, err);
	}
	if (!rc)
		memcpy(codecs, said, sizeof(said));
	return rc;
}
