// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/attr.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
int uz_attr_ctx_create(struct uz_attr_ctx **ctx, struct uz_device *dev,
		       unsigned int streams, void (*resized)(void *arg),
		       void *arg)
{
	return -ENOTSUP;
}
void uz_attr_ctx_destroy(struct uz_attr_ctx *ctx)
{
}
const struct uz_attr *uz_attr_at(unsigned int i)
{
	return 0;
}
int uz_attr_show(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		 struct uz_strbuf *out)
{
	return -ENOTSUP;
}
int uz_attr_store(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		  const void *text, size_t len)
{
	return -ENOTSUP;
}
