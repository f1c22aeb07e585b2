// SPDX-License-Identifier: MIT
/*
 * The front ends of this build, by name. A new one is a directory beside this
 * file and a line in the table.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "fuse/fuse_frontend.h"
#include "ublk/ublk_frontend.h"

static const struct uz_frontend_ops *const frontends[] = {
#if UZ_HAVE_FUSE
	&uz__fuse_frontend,
#endif
#if UZ_HAVE_UBLK
	&uz__ublk_frontend,
#endif
	NULL,
};

const struct uz_frontend_ops *uz_frontend_find(const char *name)
{
	unsigned int i;

	for (i = 0; frontends[i]; i++)
		if (!strcmp(frontends[i]->name, name))
			return frontends[i];
	return NULL;
}

const char *uz_frontend_auto(bool sized)
{
	return sized && UZ_HAVE_UBLK && !access(UZ__UBLK_CONTROL, R_OK | W_OK)
		       ? "ublk"
		       : "fuse";
}

unsigned int uz_frontend_reap(void)
{
#if UZ_HAVE_UBLK
	return uz__ublk_clear_up();
#else
	return 0;
#endif
}

int uz_frontend_probe_disks(char *text, size_t size, struct uz_err *err)
{
#if UZ_HAVE_UBLK
	return uz__ublk_probe(text, size, err);
#else
	(void)text;
	(void)size;
	return uz_err_set(err, -ENOTSUP,
			  "not in this build: it needs liburing and libfuse3");
#endif
}
