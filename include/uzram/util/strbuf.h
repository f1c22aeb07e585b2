/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_STRBUF_H
#define UZRAM_UTIL_STRBUF_H

#include <uzram/types.h>

/**
 * struct uz_strbuf - text that grows
 * @data:   the text, always zero-terminated once something was added
 * @len:    its length in bytes, without the terminator
 * @cap:    bytes allocated
 * @failed: an allocation failed; further additions do nothing
 *
 * All zeroes is an empty buffer. So that callers need not check each
 * addition, a failure sticks: ask uz_strbuf_error() once at the end.
 */
struct uz_strbuf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

/**
 * uz_strbuf_add() - append formatted text
 * @b:   the buffer
 * @fmt: printf format
 *
 * Context: one thread at a time on one buffer; may allocate.
 */
void uz_strbuf_add(struct uz_strbuf *b, const char *fmt, ...) uz_printf(2, 3);

/**
 * uz_strbuf_error() - did all additions succeed?
 * @b: the buffer
 *
 * Context: as uz_strbuf_add(); allocates nothing.
 * Return:  0, or -ENOMEM.
 */
uz_must_check int uz_strbuf_error(const struct uz_strbuf *b);

/**
 * uz_strbuf_free() - give the memory back and be empty again
 * @b: the buffer
 *
 * Context: as uz_strbuf_add().
 */
void uz_strbuf_free(struct uz_strbuf *b);

#endif
