// SPDX-License-Identifier: MIT
/*
 * Paths that are handed to another process, whose working directory is not
 * ours. Links and dots in them stay as they are.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/path.h>

int uz_path_absolute(const char *file, char *path, size_t size)
{
	size_t len = 0, more = strlen(file) + 1;

	if (!*file)
		return -EINVAL;
	if (*file != '/') {
		if (!getcwd(path, size))
			return errno == ERANGE ? -ENAMETOOLONG : -errno;
		len = strlen(path);
		if (path[len - 1] != '/' && len + 1 < size)
			path[len++] = '/';
	}
	if (len + more > size)
		return -ENAMETOOLONG;
	memcpy(path + len, file, more);
	return 0;
}
