// SPDX-License-Identifier: MIT
/*
 * A file, read whole, as the dictionary of a codec. The device copies it, so
 * the file may go afterwards.
 *
 * A path means what it means to the daemon. Only a regular file is read, and it
 * is opened so that nothing else can keep the daemon waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/worker/dict_file.h>

static int dict_cannot(const char *path, const char *why, struct uz_err *err)
{
	/* EINVAL whatever it is, as in the kernel. */
	return uz_err_set(err, -EINVAL, "cannot read the dictionary %s: %s",
			  path, why);
}

static int dict_open(const char *path, size_t *size, struct uz_err *err)
{
	struct stat st;
	int fd;

	if (*path != '/')
		return dict_cannot(
			path,
			"the path does not begin with '/', and the daemon has a directory of its own",
			err);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return dict_cannot(path, strerror(errno), err);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return dict_cannot(path, "it is no regular file", err);
	}
	if (st.st_size < UZ_CODEC_DICT_MIN || st.st_size > UZ_CODEC_DICT_MAX) {
		close(fd);
		return uz_err_set(err, -EINVAL,
				  "the dictionary %s has %" PRIdMAX
				  " bytes: it must have %d to %" PRIu32,
				  path, (intmax_t)st.st_size, UZ_CODEC_DICT_MIN,
				  UZ_CODEC_DICT_MAX);
	}
	*size = (size_t)st.st_size;
	return fd;
}

static int dict_fill(int fd, char *bytes, size_t size, const char *path,
		     struct uz_err *err)
{
	size_t got = 0;
	ssize_t n;

	while (got < size) {
		n = pread(fd, bytes + got, size - got, (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dict_cannot(path, strerror(errno), err);
		if (!n)
			return dict_cannot(path, "it has become shorter", err);
		got += (size_t)n;
	}
	return 0;
}

int uz_dict_file_read(const char *path, char **bytes, size_t *size,
		      struct uz_err *err)
{
	uz_autofree char *mine = NULL;
	uz_autoclose int fd = -1;
	int ret;

	fd = dict_open(path, size, err);
	if (fd < 0)
		return fd;
	mine = malloc(*size);
	if (!mine)
		return uz_err_set(err, -ENOMEM,
				  "no memory to read the dictionary %s", path);
	ret = dict_fill(fd, mine, *size, path, err);
	if (ret)
		return ret;
	*bytes = mine;
	mine = NULL;
	return 0;
}

int uz_dict_file_use(struct uz_device *dev, unsigned int priority,
		     const char *codec, const char *path, struct uz_err *err)
{
	uz_autofree char *bytes = NULL;
	struct uz_device_dict dict;
	size_t size = 0;
	int ret;

	ret = uz_dict_file_read(path, &bytes, &size, err);
	if (ret)
		return ret;
	dict = (struct uz_device_dict){ .bytes = bytes, .size = size };
	return uz_device_set_dict(dev, priority, codec, &dict, err);
}
