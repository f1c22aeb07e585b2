// SPDX-License-Identifier: MIT
/*
 * The front ends of this build, by name. A new one is a directory beside this
 * file and a line in the table.
 */
#include <string.h>

#include "config.h"
#include "fuse/fuse_frontend.h"

static const struct uz_frontend_ops *const frontends[] = {
#if UZ_HAVE_FUSE
	&uz__fuse_frontend,
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
