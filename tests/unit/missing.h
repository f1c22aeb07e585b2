/* SPDX-License-Identifier: MIT */
#ifndef MISSING_H
#define MISSING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * What this machine lacks: the caller returns, after a line that says so, or
 * the test has failed where UZ_MUST_WORK says that such things are there.
 * cmocka's skip() is no help: as TAP it is "not ok", and Meson fails it.
 */
static inline void missing(const char *kind, const char *what)
{
	const char *must = getenv("UZ_MUST_WORK");

	if (must && strstr(must, kind))
		fail_msg("%s (UZ_MUST_WORK=%s)", what, must);
	fprintf(stderr, "skipped: %s\n", what);
}

#endif
