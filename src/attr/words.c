// SPDX-License-Identifier: MIT
/*
 * Words of the form key=value between blanks, as kernel zram takes them: a key
 * without a value is refused, and who takes the words passes those over that he
 * does not know.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr_priv.h"
#include "words.h"

/*
 * The next word from *@at on; 1 there is one, 0 not, -EINVAL it has no value.
 */
static int words_next(char **at, const char **key, const char **value,
		      struct uz_err *err)
{
	char *word, *equals, *end = *at;

	while (isspace((unsigned char)*end))
		end++;
	if (!*end)
		return 0;
	word = end;
	while (*end && !isspace((unsigned char)*end))
		end++;
	if (*end)
		*end++ = 0;
	*at = end;
	equals = strchr(word, '=');
	if (!equals || !equals[1])
		return uz_err_set(err, -EINVAL, "'%.40s' has no value", word);
	*equals = 0;
	*key = word;
	*value = equals + 1;
	return 1;
}

int uz__words_each(char *copy, const char *text, uz__words_take *take,
		   void *arg, struct uz_err *err)
{
	const char *key = NULL, *value = NULL;
	int ret;

	strcpy(copy, text);
	while ((ret = words_next(&copy, &key, &value, err)) > 0) {
		ret = take(arg, key, value, err);
		if (ret)
			break;
	}
	return ret;
}

int uz__words_number(const char *key, const char *value, uint64_t max,
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

int uz__words_priority(const char *value, unsigned int *priority,
		       struct uz_err *err)
{
	uint64_t n;
	int ret = uz__words_number("priority", value, INT_MAX, &n, err);

	if (!ret)
		*priority = (unsigned int)n;
	return ret;
}

int uz__words_choice(void *arg, const char *key, const char *value,
		     struct uz_err *err)
{
	struct uz__choice *choice = arg;

	if (!strcmp(key, "algo"))
		choice->algo = value;
	else if (!strcmp(key, "priority"))
		return uz__words_priority(value, &choice->priority, err);
	return 0;
}
