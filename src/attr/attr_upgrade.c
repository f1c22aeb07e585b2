// SPDX-License-Identifier: MIT
/*
 * The attribute upgrade: written to, the device goes on with another program;
 * read, how that went. Who keeps the processes apart does it, the daemon; here
 * are the words. The write returns before anything has happened, since the
 * process that carries it out is the one that has to go.
 */
#include <errno.h>
#include <string.h>

#include "attr_priv.h"

int uz__attr_upgrade_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err)
{
	char path[UZ_ATTR_TEXT_MAX + 1];
	struct uz_save_progress save;

	memcpy(path, text, len + 1);
	if (path[len - 1] == '\n')
		path[len - 1] = '\0';
	if (!strcmp(path, "1"))
		path[0] = '\0';
	else if (*path != '/')
		return uz_err_set(err, -EINVAL,
				  "write 1, or the whole path of a program");
	if (!ctx->process.upgrade)
		return uz_err_set(err, -ENOTSUP,
				  "this front end cannot go on with another "
				  "program; remove the device and add it anew");
	uz_saver_progress(ctx->saver, &save);
	if (save.state == UZ_SAVE_RUNNING)
		return uz_err_set(err, -EBUSY,
				  "the device is being saved to %.150s, which "
				  "would end; wait for that",
				  save.path);
	return ctx->process.upgrade->ask(ctx->process.upgrade->arg, path,
					 ctx->again, err);
}

int uz__attr_upgrade_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	if (ctx->process.upgrade)
		ctx->process.upgrade->show(ctx->process.upgrade->arg, out);
	else
		uz_strbuf_add(out, "state none\n");
	return 0;
}
