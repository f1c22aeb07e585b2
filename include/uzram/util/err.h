/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_ERR_H
#define UZRAM_UTIL_ERR_H

#include <uzram/types.h>

/**
 * DOC: errors with a sentence, for the control path
 *
 * The data path returns -errno and nothing else. Where a person waits for the
 * answer (configuration, attributes, start-up) the callee also says in one
 * line: what failed, on what, why, and what to do.
 */

#define UZ_ERR_TEXT 256

/**
 * struct uz_err - what went wrong, for a person
 * @code: negative errno, 0 when nothing went wrong
 * @text: one line without a line feed; empty when @code is 0
 */
struct uz_err {
	int code;
	char text[UZ_ERR_TEXT];
};

/**
 * uz_err_set() - fill an error
 * @err:  to be filled; NULL is allowed, the text is then dropped
 * @code: negative errno
 * @fmt:  the sentence; longer than UZ_ERR_TEXT - 1 bytes is cut
 *
 * Context: any thread; takes no lock and allocates nothing. Keeps errno.
 * Return:  @code, so that ``return uz_err_set(err, -EBUSY, ...)`` reads well.
 */
int uz_err_set(struct uz_err *err, int code, const char *fmt, ...)
	uz_printf(3, 4);

#endif
