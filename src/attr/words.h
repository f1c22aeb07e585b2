/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_ATTR_WORDS_H
#define UZRAM_ATTR_WORDS_H

#include <inttypes.h>

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * uz__words_take - takes a word, key=value
 *
 * Return: 0, or why it is refused, with the reason in @err.
 */
typedef int uz__words_take(void *arg, const char *key, const char *value,
			   struct uz_err *err);

/**
 * uz__words_each() - have each word of a text taken, until one is refused
 * @copy: at least as large as @text with its zero; taken words lie there
 * @text: words between blanks
 * @take: called for each, with @arg
 * @arg:  whatever @take needs
 * @err:  the reason
 *
 * Return: 0; -EINVAL a word has no value; what @take returns.
 */
uz_must_check int uz__words_each(char *copy, const char *text,
				 uz__words_take *take, void *arg,
				 struct uz_err *err);

/**
 * uz__words_number() - a value that is a number
 * @key:    named when it is refused
 * @value:  its text
 * @max:    the largest that is taken
 * @number: set on success
 * @err:    the reason
 *
 * Return: 0; -EINVAL no number; -ERANGE too large.
 */
uz_must_check int uz__words_number(const char *key, const char *value,
				   uint64_t max, uint64_t *number,
				   struct uz_err *err);

/* Likewise that of a codec; whether there is such a one is not looked at. */
uz_must_check int uz__words_priority(const char *value, unsigned int *priority,
				     struct uz_err *err);

/**
 * struct uz__choice - which codec a text is about, and what about it
 * @algo:     its name, or NULL
 * @level:    or NULL
 * @dict:     path of a dictionary, or NULL
 * @priority: or that of the codec
 */
struct uz__choice {
	const char *algo;
	const char *level;
	const char *dict;
	unsigned int priority;
};

/* Takes algo= and priority= into a uz__choice, and passes others over. */
int uz__words_choice(void *arg, const char *key, const char *value,
		     struct uz_err *err);

#endif
