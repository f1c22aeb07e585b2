// SPDX-License-Identifier: MIT
/*
 * The policy's setting as a text. One grammar for the attribute and for the
 * daemon's option: what the attribute shows can be written back, and be given
 * to the next device.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_priv.h"

#define BLANKS " ,\t\n"

/*
 * struct number - one word with a number
 * @word:     before the equals sign
 * @which:    where it is kept
 * @max:      the least is 1
 * @fallback: if it is not set. Chosen, not measured: a minute is short enough
 *            to see something of it, a quarter of a CPU is not much on a
 *            machine that has nothing else to do
 */
static const struct number {
	const char *word;
	enum uz_policy_number which;
	uint32_t max;
	uint32_t fallback;
} numbers[] = {
	{ "idle", UZ_POLICY_IDLE, UINT32_MAX, 60 },
	{ "share", UZ_POLICY_SHARE, 100, 25 },
	{ "near", UZ_POLICY_NEAR, 100, 90 },
	{ "busy", UZ_POLICY_BUSY, 100, 50 },
};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/*
 * struct setting - a text that was taken apart
 * @set:   which of the device's numbers it names
 * @value: of each
 */
struct setting {
	bool set[UZ_POLICY_NUMBERS];
	uint64_t value[UZ_POLICY_NUMBERS];
};

static int take_number(struct setting *s, const char *word, const char *value,
		       struct uz_err *err)
{
	uint64_t n;
	size_t i;
	char *end;

	for (i = 0; i < NUMBERS && strcmp(word, numbers[i].word); i++)
		;
	if (i == NUMBERS)
		return uz_err_set(
			err, -EINVAL,
			"unknown word '%.40s'; known are off, auto, idle=SECONDS, share=PERCENT, near=PERCENT and busy=PERCENT",
			word);
	errno = 0;
	n = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || !n ||
	    n > numbers[i].max)
		return uz_err_set(
			err, -EINVAL,
			"%s '%.40s' is not a number from 1 to %" PRIu32, word,
			value, numbers[i].max);
	s->set[numbers[i].which] = true;
	s->value[numbers[i].which] = n;
	return 0;
}

static int take_word(struct setting *s, char *word, struct uz_err *err)
{
	char *value = strchr(word, '=');

	if (value) {
		*value++ = '\0';
		return take_number(s, word, value, err);
	}
	if (strcmp(word, "off") && strcmp(word, "auto"))
		return take_number(s, word, "", err);
	s->set[UZ_POLICY_ON] = true;
	s->value[UZ_POLICY_ON] = !strcmp(word, "auto");
	return 0;
}

static int parse(struct setting *s, const char *text, struct uz_err *err)
{
	char copy[UZ_POLICY_TEXT_MAX + 1], *rest, *word;
	int ret = 0;

	*s = (struct setting){ 0 };
	if (strlen(text) > UZ_POLICY_TEXT_MAX)
		return uz_err_set(err, -EINVAL, "longer than %d bytes",
				  UZ_POLICY_TEXT_MAX);
	snprintf(copy, sizeof(copy), "%s", text);
	word = strtok_r(copy, BLANKS, &rest);
	if (!word)
		return uz_err_set(err, -EINVAL, "write off or auto");
	for (; word && !ret; word = strtok_r(NULL, BLANKS, &rest))
		ret = take_word(s, word, err);
	return ret;
}

int uz_policy_check(const char *text, struct uz_err *err)
{
	struct setting s;

	return parse(&s, text, err);
}

int uz_policy_apply(struct uz_device *dev, const char *text, struct uz_err *err)
{
	struct setting s;
	unsigned int i;
	int ret = parse(&s, text, err);

	if (ret)
		return ret;
	for (i = 0; i < UZ_POLICY_NUMBERS; i++)
		if (s.set[i])
			uz_device_set_policy(dev, (enum uz_policy_number)i,
					     s.value[i]);
	return 0;
}

uint64_t uz__policy_setting(const struct uz_device *dev,
			    enum uz_policy_number which)
{
	uint64_t n = uz_device_policy(dev, which);
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (numbers[i].which == which)
			/* Memory that was adopted may hold anything. */
			return n && n <= numbers[i].max ? n
							: numbers[i].fallback;
	return n;
}

void uz_policy_format(const struct uz_device *dev, struct uz_strbuf *out)
{
	size_t i;

	uz_strbuf_add(out, "%s",
		      uz_device_policy(dev, UZ_POLICY_ON) ? "auto" : "off");
	for (i = 0; i < NUMBERS; i++)
		uz_strbuf_add(out, " %s=%" PRIu64, numbers[i].word,
			      uz__policy_setting(dev, numbers[i].which));
}
