// SPDX-License-Identifier: MIT
/*
 * Options of the verbs: each has a table of rules, which say what an option's
 * value is and where in the verb's struct it goes.
 *
 * The tables are constant and right, so they are not checked.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include <uzram/compress.h>
#include <uzram/util/size.h>

#include "bench.h"

int options_list(struct list *l, const char *item, unsigned int max,
		 struct uz_err *err)
{
	if (l->n == max)
		return uz_err_set(err, -EINVAL, "\"%s\": more than %u of them",
				  item, max);
	l->item[l->n++] = item;
	return 0;
}

int options_number(const char *what, const char *text, unsigned int min,
		   unsigned int max, unsigned int *value, struct uz_err *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max)
		return uz_err_set(err, -EINVAL,
				  "%s \"%s\": is not a number from %u to %u",
				  what, text, min, max);
	*value = (unsigned int)n;
	return 0;
}

static int take_seconds(const char *what, const char *text, double *seconds,
			struct uz_err *err)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.01 && s <= 3600))
		return uz_err_set(err, -EINVAL,
				  "%s \"%s\": is not a number from 0.01 "
				  "to 3600",
				  what, text);
	*seconds = s;
	return 0;
}

int options_size(const char *what, const char *text, uint64_t min,
		 uint64_t *size, struct uz_err *err)
{
	char least[UZ_SIZE_TEXT];
	uint64_t bytes;

	if (uz_size_parse(text, uz_size_ram(), &bytes) || bytes < min ||
	    bytes > UZ_DISKSIZE_MAX) {
		uz_size_format(min, least);
		return uz_err_set(err, -EINVAL,
				  "%s \"%s\": is not a size of %s or more",
				  what, text, least);
	}
	*size = bytes & ~((uint64_t)CORPUS_WRAP - 1);
	return 0;
}

static int take(const struct option_rule *rule, void *options,
		struct uz_err *err)
{
	void *value = (char *)options + rule->at;
	struct output *output = value;

	switch (rule->kind) {
	case OPTION_SET:
		*(bool *)value = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)value = optarg;
		return 0;
	case OPTION_LIST:
		return options_list(value, optarg, (unsigned int)rule->max,
				    err);
	case OPTION_NUMBER:
		return options_number(rule->name, optarg,
				      (unsigned int)rule->min,
				      (unsigned int)rule->max, value, err);
	case OPTION_SECONDS:
		return take_seconds(rule->name, optarg, value, err);
	case OPTION_SIZE:
		return options_size(rule->name, optarg, rule->min, value, err);
	case OPTION_JSON:
		output->json = true;
		output->json_path = optarg;
		return 0;
	case OPTION_SVG:
		output->svg_path = optarg;
		return 0;
	case OPTION_CALL:
		break;
	}
	return rule->take(options, optarg, err);
}

static int argument(enum option_kind kind)
{
	if (kind == OPTION_SET)
		return no_argument;
	return kind == OPTION_JSON ? optional_argument : required_argument;
}

/* For getopt: each option by the number of its rule, after all letters. */
#define BY_NUMBER 256

/* @letters: two for each rule, "h" and the end. */
static void make_tables(const struct option_set *set, char *letters,
			struct option *longs)
{
	for (unsigned int i = 0; i < set->nr; i++) {
		const struct option_rule *rule = &set->rule[i];

		*longs++ = (struct option){ rule->name, argument(rule->kind),
					    NULL, BY_NUMBER + (int)i };
		if (rule->letter) {
			*letters++ = rule->letter;
			*letters++ = ':';
		}
	}
	*letters++ = 'h';
	*letters = '\0';
	*longs++ = (struct option){ "help", no_argument, NULL, 'h' };
	*longs = (struct option){ 0 };
}

static const struct option_rule *find(const struct option_set *set, int c)
{
	unsigned int i = 0;

	if (c >= BY_NUMBER)
		return &set->rule[c - BY_NUMBER];
	while (set->rule[i].letter != c)
		i++;
	return &set->rule[i];
}

int options_take(const struct option_set *set, void *options, int argc,
		 char **argv, struct uz_err *err)
{
	struct option longs[RULES_MAX + 2];
	char letters[2 * RULES_MAX + 2];
	int c, ret;

	make_tables(set, letters, longs);
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			set->usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? EXIT_DONE : EXIT_USAGE);
		}
		ret = take(find(set, c), options, err);
		if (ret)
			return ret;
	}
	if (optind < argc)
		return uz_err_set(err, -EINVAL,
				  "\"%s\": %s takes options only; see --help",
				  argv[optind], set->verb);
	return 0;
}
