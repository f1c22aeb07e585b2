// SPDX-License-Identifier: MIT
/*
 * mount: a file system if the device is empty, and a mount, on its disk or on a
 * loop device on the block file. Unmounted, by whomever, that one is gone.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/spawn.h>
#include <uzram/util/users.h>

#define FSTYPE_DEFAULT "ext4"

/* Nothing was ever stored, or everything was dropped again. */
static int device_is_empty(const struct ctl_device *dev, bool *empty,
			   struct uz_err *err)
{
	uz_autofree char *stat = NULL;
	int rc = ctl_device_read(dev, "stat", &stat, err);

	if (!rc)
		*empty = !ctl_stat_number(stat, "orig_data_size");
	return rc;
}

static int run_mkfs(const struct ctl_device *dev, const struct ctl_disk *disk,
		    const char *fstype, struct uz_err *err)
{
	char program[64];
	const char *argv[] = { program, disk->path, NULL };
	int rc;

	if (strchr(fstype, '/'))
		return uz_err_set(err, -EINVAL, "-t '%.40s' is no file system",
				  fstype);
	snprintf(program, sizeof(program), "mkfs.%s", fstype);
	/* Some report progress on stderr; their status says enough. */
	rc = uz_spawn_wait(argv, true);
	if (rc == -ENOENT)
		return uz_err_set(err, -ENOTSUP, "%s: %s is not installed",
				  dev->name, program);
	if (rc)
		return uz_err_set(err, rc < 0 ? rc : -EIO,
				  "%s: %s failed; is the device too small for "
				  "it, or its mem_limit?",
				  dev->name, program);
	return 0;
}

/* With discard where the file system can, so that freed space becomes RAM. */
static int run_mount(const struct ctl_device *dev, const struct ctl_disk *disk,
		     const char *fstype, const char *dir, struct uz_err *err)
{
	const char *argv[] = { "mount", "-o",	    "discard", "-t", fstype,
			       "--",	disk->path, dir,       NULL };
	int rc = uz_spawn_wait(argv, true);

	if (!rc)
		return 0;
	argv[2] = "rw";
	rc = uz_spawn_wait(argv, false); /* if it fails, mount says why */
	if (rc)
		return uz_err_set(err, rc < 0 ? rc : -EIO,
				  "%s: mount on %s failed", dev->name, dir);
	return 0;
}

static int check_target(const struct ctl_device *dev, const char *dir,
			struct uz_err *err)
{
	struct uz_users users = { 0 };
	struct stat st;
	char text[160];
	int rc;

	if (geteuid())
		return uz_err_set(err, -EPERM,
				  "mount needs root; without it use mkfs.ext4 "
				  "and fuse2fs on %s/block, or the file itself",
				  dev->dir);
	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return uz_err_set(err, -ENOENT, "%s is not a directory", dir);
	rc = ctl_device_sized(dev, err);
	if (rc)
		return rc;
	/* Two loop devices on one block file would ruin each other. */
	rc = ctl_users(dev, false, &users, err);
	if (!rc && users.count) {
		uz_users_text(&users, text, sizeof(text));
		rc = uz_err_set(err, -EBUSY, "%s is in use: %s", dev->name,
				text);
	}
	uz_users_free(&users);
	return rc;
}

int ctl_mount(const char *name, const char *dir, const char *fstype,
	      struct uz_err *err)
{
	struct ctl_disk disk = { .fd = -1 };
	struct ctl_device dev;
	bool empty;
	int rc;

	rc = ctl_device_open(&dev, name, err);
	if (!rc)
		rc = check_target(&dev, dir, err);
	if (!rc)
		rc = device_is_empty(&dev, &empty, err);
	if (!rc)
		rc = ctl_disk_attach(&disk, &dev, err);
	if (!rc && empty)
		rc = run_mkfs(&dev, &disk, fstype ? fstype : FSTYPE_DEFAULT,
			      err);
	if (!rc)
		rc = run_mount(&dev, &disk, fstype ? fstype : "auto", dir, err);
	/* Mounted, it stays; otherwise the last close detaches it. */
	if (disk.fd >= 0)
		close(disk.fd);
	return rc;
}

enum uz_exit ctl_verb_mount(int argc, char **argv)
{
	static const struct option options[] = {
		{ "types", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *fstype = NULL;
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "t:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("mount");
		if (c == '?')
			return UZ_EXIT_USAGE;
		fstype = optarg;
	}
	if (argc - optind != 2)
		return ctl_usage("mount");
	if (ctl_mount(argv[optind], argv[optind + 1], fstype, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
