// SPDX-License-Identifier: MIT
/*
 * Targets, by what the user wrote: "KIND", "KIND:OPTIONS", the path of
 * something that exists, and any of these after "loop:".
 *
 * A kind is one file and one entry in the list below.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <uzram/util/cleanup.h>

#include "device.h"

static const struct target_kind *const kinds[] = {
	&target_uzram,
	&target_zram,
	&target_nbdkit,
};

/* Something that exists, and whose contents will be lost. */
static int open_path(struct target *t, const char *path, bool overwrite,
		     struct uz_err *err)
{
	uz_autoclose int fd = -1;
	uint64_t size;
	struct stat st;

	if (stat(path, &st) < 0)
		return uz_err_set(err, -errno,
				  "target %s: %m; give uzram, zram, nbdkit or "
				  "the path of a file or block device",
				  path);
	if (!overwrite)
		return uz_err_set(err, -EINVAL,
				  "target %s: its contents would be lost; give "
				  "--overwrite if that is meant",
				  path);
	/* O_EXCL: refuses a block device that is mounted or otherwise used. */
	fd = open(path,
		  O_RDWR | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (fd < 0)
		return uz_err_set(err, -errno, "target %s: %m", path);
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return uz_err_set(err, -errno, "target %s: %m", path);
	if (size < t->size)
		return uz_err_set(err, -EINVAL,
				  "target %s: is smaller than what is to be "
				  "used; give a smaller --size",
				  path);
	snprintf(t->path, sizeof(t->path), "%s", path);
	return 0;
}

static const struct target_kind *find_kind(const char *spec)
{
	size_t len = strcspn(spec, ":");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i]->name) == len &&
		    !strncmp(kinds[i]->name, spec, len))
			return kinds[i];
	return NULL;
}

int target_is_ours(const char *spec, struct uz_err *err)
{
	if (find_kind(spec) == &target_uzram)
		return 0;
	return uz_err_set(err, -EINVAL,
			  "target \"%s\": is no device of ours; give "
			  "uzram[:KEY=VALUE,...]",
			  spec);
}

int target_open(struct target *t, const char *spec, uint64_t size,
		bool overwrite, struct uz_err *err)
{
	bool loop = !strncmp(spec, "loop:", 5);
	const char *inner = loop ? spec + 5 : spec;
	const struct target_kind *kind = find_kind(inner);
	int ret;

	memset(t, 0, sizeof(*t));
	snprintf(t->name, sizeof(t->name), "%s", spec);
	output_printable(t->name);
	t->size = size;
	t->fd = -1;
	if (kind) {
		inner += strlen(kind->name);
		ret = kind->open(t, inner + (*inner == ':'), err);
	} else {
		ret = open_path(t, inner, overwrite, err);
	}
	if (!ret && loop)
		ret = target_loop(t, err);
	return ret;
}
