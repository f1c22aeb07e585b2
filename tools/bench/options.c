// SPDX-License-Identifier: MIT
/*
 * Values of options that more than one verb takes.
 */
#include <errno.h>
#include <stdlib.h>

#include <uzram/compress.h>

#include "bench.h"

int options_list(struct list *l, const char *item, struct uz_err *err)
{
	if (l->n == LIST_MAX)
		return uz_err_set(err, -EINVAL, "\"%s\": more than %d of them",
				  item, LIST_MAX);
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

int options_seconds(const char *what, const char *text, double *seconds,
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
