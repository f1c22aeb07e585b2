/* SPDX-License-Identifier: MIT */
#ifndef ATTR_FIXTURE_H
#define ATTR_FIXTURE_H

/*
 * What the tests of the attributes share: a context on a fake device, and
 * attributes by name. Include after <cmocka.h>.
 */
#include <stdlib.h>
#include <string.h>

#include <uzram/attr.h>

#include "fake_device.h"

#define STREAMS 3

struct fixture {
	struct uz_device dev;
	struct uz_attr_ctx *ctx;
	unsigned int resized;
};

static inline void count_resized(void *arg)
{
	((struct fixture *)arg)->resized++;
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	*state = f;
	return uz_attr_ctx_create(&f->ctx, &f->dev, STREAMS, count_resized, f);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	uz_attr_ctx_destroy(f->ctx);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

static inline const struct uz_attr *attr_named(const char *name)
{
	const struct uz_attr *attr;
	unsigned int i;

	for (i = 0; (attr = uz_attr_at(i)); i++)
		if (!strcmp(attr->name, name))
			return attr;
	fail_msg("no attribute %s", name);
	return NULL;
}

static inline int store(struct fixture *f, const char *name, const char *text)
{
	return uz_attr_store(f->ctx, attr_named(name), text, strlen(text),
			     false);
}

static inline void assert_shows(struct fixture *f, const char *name,
				const char *text)
{
	struct uz_strbuf out = { 0 };

	assert_int_equal(uz_attr_show(f->ctx, attr_named(name), &out), 0);
	assert_string_equal(out.data ? out.data : "", text);
	uz_strbuf_free(&out);
}

#define fixture_test(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
