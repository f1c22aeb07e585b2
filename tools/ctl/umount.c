// SPDX-License-Identifier: MIT
/*
 * umount: the other half of mount, by the device's name or by the directory.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include <uzram/util/users.h>

/*
 * struct wanted - which mount is looked for
 * @dir:   mounted there; NULL: anywhere
 * @dev:   the device that it stands on, once found
 * @found: it was
 */
struct wanted {
	const char *dir;
	struct ctl_device dev;
	bool found;
};

static int find_mount(const struct ctl_device *dev, void *arg,
		      struct uz_err *err)
{
	struct wanted *wanted = arg;
	struct uz_users users = { 0 };
	size_t i;

	if (ctl_users(dev, false, &users, err))
		return -ENOMEM;
	for (i = 0; i < users.count && !wanted->found; i++)
		wanted->found = users.list[i].kind == UZ_USER_MOUNT &&
				(!wanted->dir ||
				 !strcmp(users.list[i].path, wanted->dir));
	if (wanted->found)
		wanted->dev = *dev;
	uz_users_free(&users);
	return 0;
}

static int find_and_stop(const struct ctl_device *dev, void *arg,
			 struct uz_err *err)
{
	const struct wanted *wanted = arg;

	return wanted->found ? 0 : find_mount(dev, arg, err);
}

static int umount_device(const char *arg, struct uz_err *err)
{
	struct wanted wanted = { 0 };
	char dir[CTL_PATH_MAX];
	struct ctl_device dev;
	int rc;

	rc = ctl_device_open(&dev, arg, err);
	if (!rc) {
		rc = find_mount(&dev, &wanted, err);
	} else if (rc == -ENOENT && strchr(arg, '/') && realpath(arg, dir)) {
		wanted.dir = dir;
		rc = ctl_device_each(find_and_stop, &wanted, err);
	}
	if (rc)
		return rc;
	if (!wanted.found)
		return uz_err_set(err, -ENOENT,
				  "%s: no file system of a device is mounted",
				  arg);
	return ctl_release(&wanted.dev, CTL_RELEASE_MOUNTS, wanted.dir, err);
}

enum uz_exit ctl_verb_umount(int argc, char **argv)
{
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 1, 1, &status))
		return status;
	if (umount_device(argv[optind], &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
