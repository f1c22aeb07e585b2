// SPDX-License-Identifier: MIT
/*
 * swapon and swapoff: the system swaps to the device's disk, or to a loop
 * device on the block file. The kernel discards what it no longer needs there,
 * so that it costs no memory.
 *
 * What is stored on a device is not made into swap space unless that is what
 * it is already, or --force is given. A device without swap=on is swapped to
 * after a warning: it serves as long as memory is not short, and who forces
 * something must not have to give up the look at what is stored for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/spawn.h>
#include <uzram/util/users.h>

/* mkswap(8) writes it to the end of the first page. */
#define SIGNATURE "SWAPSPACE2"

/* As swapon(2) has it. */
#define PRIORITY_MAX 32767

/*
 * struct swap - what to swap to, and how
 * @name:     device
 * @priority: 0 ... PRIORITY_MAX, or -1: the system chooses
 * @force:    whatever is stored
 */
struct swap {
	const char *name;
	int priority;
	bool force;
};

static int read_signature(const struct ctl_device *dev, bool *found,
			  struct uz_err *err)
{
	char path[CTL_PATH_MAX], text[sizeof(SIGNATURE) - 1];
	uz_autoclose int fd = -1;
	ssize_t n = -1;

	ctl_device_path(dev, "block", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = pread(fd, text, sizeof(text),
			  UZ_PAGE_SIZE - (off_t)sizeof(text));
	if (n != (ssize_t)sizeof(text))
		return uz_err_set(err, n < 0 ? -errno : -EIO,
				  "%s: cannot be read: %s", path,
				  strerror(n < 0 ? errno : EIO));
	*found = !memcmp(text, SIGNATURE, sizeof(text));
	return 0;
}

static int check_unused(const struct ctl_device *dev, struct uz_err *err)
{
	int rc;

	if (geteuid())
		return uz_err_set(err, -EPERM,
				  "swapon needs root, and a device of root's: "
				  "sudo uzramctl add, sudo uzramctl swapon");
	rc = ctl_device_sized(dev, err);
	return rc ? rc : ctl_refuse_used(dev, err);
}

/* Whether mkswap is wanted; -EBUSY: something else is stored. */
static int check_content(const struct ctl_device *dev, const struct swap *swap,
			 const char *stat, bool *make, struct uz_err *err)
{
	bool is_swap = false;
	int rc = read_signature(dev, &is_swap, err);

	if (rc)
		return rc;
	*make = !is_swap;
	if (is_swap || swap->force || !ctl_stat_number(stat, "orig_data_size"))
		return 0;
	return uz_err_set(
		err, -EBUSY,
		"%s holds something that is not swap space; reset it, "
		"or use --force",
		dev->name);
}

static int run_mkswap(const struct ctl_device *dev, const struct ctl_disk *disk,
		      struct uz_err *err)
{
	const char *argv[] = { "mkswap", "-f", disk->path, NULL };
	int rc = uz_spawn_wait(argv, true);

	if (rc == -ENOENT)
		return uz_err_set(err, -ENOTSUP, "mkswap is not installed");
	if (rc)
		return uz_err_set(err, rc < 0 ? rc : -EIO,
				  "%s: mkswap failed; is the device too small?",
				  dev->name);
	return 0;
}

static int swap_flags(const struct swap *swap)
{
	int flags = SWAP_FLAG_DISCARD;

	if (swap->priority >= 0)
		flags |= SWAP_FLAG_PREFER |
			 (swap->priority << SWAP_FLAG_PRIO_SHIFT &
			  SWAP_FLAG_PRIO_MASK);
	return flags;
}

/* "no" is all that stat says: neither asked for nor got. */
static void warn_unprotected(const struct ctl_device *dev, const char *stat)
{
	const char *line = strstr(stat, "\nprotection ");
	char word[8] = "";

	if (!line || sscanf(line, " protection %7s", word) != 1 ||
	    strcmp(word, "no"))
		return;
	ctl_note("%s: swapped to, but its daemon may wait for itself when "
		 "memory is short, and the system with it; "
		 "add the device with -o swap=on",
		 dev->name);
}

static int swap_on(const struct swap *swap, struct uz_err *err)
{
	struct ctl_disk disk = { .fd = -1 };
	uz_autofree char *stat = NULL;
	struct ctl_device dev;
	bool make;
	int rc;

	rc = ctl_device_open(&dev, swap->name, err);
	if (!rc)
		rc = check_unused(&dev, err);
	if (!rc)
		rc = ctl_device_read(&dev, "stat", &stat, err);
	if (!rc)
		rc = check_content(&dev, swap, stat, &make, err);
	if (!rc)
		rc = ctl_disk_attach(&disk, &dev, err);
	if (!rc && make)
		rc = run_mkswap(&dev, &disk, err);
	if (!rc && swapon(disk.path, swap_flags(swap)))
		rc = uz_err_set(err, -errno, "%s: swapon %s: %s", dev.name,
				disk.path, strerror(errno));
	/* Swapped to, it stays; otherwise the last close detaches it. */
	if (disk.fd >= 0)
		close(disk.fd);
	if (rc)
		return rc;
	warn_unprotected(&dev, stat);
	puts(disk.path);
	return 0;
}

static int parse_priority(struct swap *swap, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0 || n > PRIORITY_MAX)
		return -EINVAL;
	swap->priority = (int)n;
	return 0;
}

enum uz_exit ctl_verb_swapon(int argc, char **argv)
{
	static const struct option options[] = {
		{ "priority", required_argument, NULL, 'p' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct swap swap = { .priority = -1 };
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "p:fh", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("swapon");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (c == 'f') {
			swap.force = true;
		} else if (parse_priority(&swap, optarg)) {
			ctl_note("-p '%.40s': a priority is 0 to %d", optarg,
				 PRIORITY_MAX);
			return UZ_EXIT_USAGE;
		}
	}
	if (argc - optind != 1)
		return ctl_usage("swapon");
	swap.name = argv[optind];
	if (swap_on(&swap, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}

/* ---- swapoff ---- */

static int swap_off(const char *name, struct uz_err *err)
{
	struct uz_users users = { 0 };
	struct ctl_device dev;
	bool found = false;
	size_t i;
	int rc;

	rc = ctl_device_open(&dev, name, err);
	if (!rc)
		rc = ctl_users(&dev, false, &users, err);
	if (rc)
		return rc;
	for (i = 0; i < users.count; i++)
		found |= users.list[i].kind == UZ_USER_SWAP;
	uz_users_free(&users);
	if (!found)
		return uz_err_set(err, -ENOENT, "%s: nothing swaps to it",
				  dev.name);
	/* What else stands on a disk's partitions stays there. */
	return ctl_release(&dev, CTL_RELEASE_SWAP, NULL, err);
}

enum uz_exit ctl_verb_swapoff(int argc, char **argv)
{
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 1, 1, &status))
		return status;
	if (swap_off(argv[optind], &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
