// SPDX-License-Identifier: MIT
/*
 * Errors with a sentence. The text is for a person, so it is made one line
 * whatever was formatted into it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <uzram/util/err.h>

int uz_err_set(struct uz_err *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	char *p;

	if (err) {
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		for (p = err->text; *p; p++)
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				*p = '?';
	}
	errno = saved;
	return code;
}
