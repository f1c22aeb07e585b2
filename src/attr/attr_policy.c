// SPDX-License-Identifier: MIT
/*
 * The attribute policy, and what stat says of what was done unasked.
 */
#include <inttypes.h>

#include "attr_priv.h"

int uz__attr_policy_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_policy_format(ctx->dev, out);
	uz_strbuf_add(out, "\n");
	return 0;
}

int uz__attr_policy_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	int ret = uz_policy_apply(ctx->dev, text, err);

	(void)len;
	return ret ? ret : uz_policy_follow(ctx->policy, err);
}

void uz__attr_policy_stat(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	static const struct {
		const char *name;
		enum uz_policy_number which;
	} fields[] = {
		{ "policy_marked", UZ_POLICY_MARKED },
		{ "policy_recompressed", UZ_POLICY_RECOMPRESSED },
		{ "policy_saved", UZ_POLICY_SAVED },
		{ "policy_written_back", UZ_POLICY_WRITTEN },
		{ "policy_cpu_ns", UZ_POLICY_CPU_NS },
	};
	unsigned int i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		uz_strbuf_add(out, "%s %" PRIu64 "\n", fields[i].name,
			      uz_device_policy(ctx->dev, fields[i].which));
	uz_strbuf_add(out, "policy %s\n", uz_policy_rests(ctx->policy));
}
