/* SPDX-License-Identifier: MIT */
#ifndef POOL_DAMAGE_H
#define POOL_DAMAGE_H

/*
 * Damage that is planted in a pool, for uz_pool_check() to find. Include after
 * <cmocka.h>.
 */
#include <errno.h>

#include "pool_fixture.h"

/* There is damage, and it is named so. */
static inline void found(struct fixture *f, const char *what)
{
	struct uz_err err = { 0 };

	assert_int_equal(uz_pool_check(f->pool, &err), -EUCLEAN);
	assert_int_equal(err.code, -EUCLEAN);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" where \"%s\" was expected", err.text, what);
	assert_int_equal(uz_pool_check(f->pool, NULL), -EUCLEAN);
}

/* Change a field, have it found, put it back. */
#define PLANT(f, field, value, what)                   \
	do {                                           \
		__typeof__(field) right_value = field; \
		field = (value);                       \
		found(f, what);                        \
		field = right_value;                   \
		fixture_check(f);                      \
	} while (0)

#endif
