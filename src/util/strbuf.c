// SPDX-License-Identifier: MIT
/*
 * Text that grows. A failed allocation sticks, so that callers check once.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <uzram/util/strbuf.h>

static bool strbuf_reserve(struct uz_strbuf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	while (cap - b->len <= more)
		cap *= 2;
	if (cap == b->cap)
		return true;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void uz_strbuf_add(struct uz_strbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (b->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !strbuf_reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

int uz_strbuf_error(const struct uz_strbuf *b)
{
	return b->failed ? -ENOMEM : 0;
}

void uz_strbuf_free(struct uz_strbuf *b)
{
	free(b->data);
	*b = (struct uz_strbuf){ 0 };
}
