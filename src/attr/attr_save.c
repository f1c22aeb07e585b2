// SPDX-License-Identifier: MIT
/*
 * The attribute save: a path is written to it, and how that goes is read from
 * it. The write returns when the moment that is saved is over; a thread of the
 * worker layer's goes on.
 *
 * A path means what it means to the daemon, who has a directory, a mount
 * namespace and rights of its own; hence absolute ones only.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "attr_priv.h"

int uz__attr_save_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			struct uz_err *err)
{
	char path[UZ_ATTR_TEXT_MAX + 1];

	memcpy(path, text, len + 1);
	if (path[len - 1] == '\n')
		path[len - 1] = '\0';
	return uz_saver_start(ctx->saver, path, err);
}

int uz__attr_save_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_save_progress p;

	uz_saver_progress(ctx->saver, &p);
	switch (p.state) {
	case UZ_SAVE_NONE:
		uz_strbuf_add(out, "none\n");
		break;
	case UZ_SAVE_RUNNING:
		uz_strbuf_add(out,
			      "saving %" PRIu64 " / %" PRIu64 " pages to %s\n",
			      p.done, p.all, p.path);
		break;
	case UZ_SAVE_DONE:
		uz_strbuf_add(out,
			      "saved %" PRIu64 " pages in %" PRIu64
			      " bytes to %s\n",
			      p.all, p.bytes, p.path);
		break;
	case UZ_SAVE_FAILED:
		uz_strbuf_add(out, "failed: %s\n", p.err.text);
		break;
	}
	return 0;
}
