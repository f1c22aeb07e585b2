// SPDX-License-Identifier: MIT
/*
 * A build without libseccomp, or with a sanitizer, whose calls nobody has
 * listed: no filter.
 */
#include <errno.h>

#include "daemon_priv.h"

bool uz_daemon_can_filter(void)
{
	return false;
}

int uz__filter(void)
{
	return -ENOTSUP;
}

int uz__filter_heir(void)
{
	return -ENOTSUP;
}
