// SPDX-License-Identifier: MIT
/*
 * reset: drop what a device holds, its size and its settings. The users are
 * looked for first so that the refusal can name them; the daemon refuses again
 * by itself, so nothing slips through between the two.
 */
#include "ctl.h"

int ctl_reset_device(const char *name, bool force, struct uz_err *err)
{
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	/* One with a disk is never reset, and says so itself. */
	if (!rc && !dev.disk)
		rc = force ? ctl_release(&dev, CTL_RELEASE_ALL, NULL, err)
			   : ctl_refuse_used(&dev, err);
	if (rc)
		return rc;
	return ctl_device_write(&dev, "reset", force ? "force" : "1", err);
}

enum uz_exit ctl_verb_reset(int argc, char **argv)
{
	return ctl_forced("reset", ctl_reset_device, argc, argv);
}
