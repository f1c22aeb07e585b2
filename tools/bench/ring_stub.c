// SPDX-License-Identifier: MIT
/*
 * Built instead of ring.c where liburing is not there: depth 1 only.
 */
#include <errno.h>

#include "device.h"

bool ring_supported(void)
{
	return false;
}

int ring_run(struct load_job *j)
{
	(void)j;
	return -ENOTSUP;
}
