// SPDX-License-Identifier: MIT
/*
 * Whether a set-user-ID program would get root's rights if it were run. An
 * ordinary user's mounts all go through one, fusermount3, which says no more
 * than "Operation not permitted" where it does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/suid.h>

/* As execvp(3) goes about it. */
static bool find_program(const char *program, char *path, size_t size)
{
	const char *value = getenv("PATH");
	uz_autofree char *copy = strdup(value ? value : "/bin:/usr/bin");
	char *rest = copy;
	const char *dir;

	while ((dir = strsep(&rest, ":"))) {
		snprintf(path, size, "%s/%s", *dir ? dir : ".", program);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

enum uz_suid uz_suid_check(const char *program)
{
	char path[4096];
	struct statvfs fs;
	struct stat st;

	if (!find_program(program, path, sizeof(path)) || stat(path, &st))
		return UZ_SUID_MISSING;
	if (!(st.st_mode & S_ISUID))
		return UZ_SUID_PLAIN;
	if (st.st_uid)
		return UZ_SUID_STRANGER;
	if (!statvfs(path, &fs) && fs.f_flag & ST_NOSUID)
		return UZ_SUID_NOSUID;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return UZ_SUID_NO_NEW;
	return UZ_SUID_WORKS;
}

const char *uz_suid_advice(enum uz_suid suid)
{
	static const char *const advice[] = {
		[UZ_SUID_WORKS] = "works",
		[UZ_SUID_MISSING] = "is missing; install the package fuse3",
		[UZ_SUID_PLAIN] = "is not set-user-ID root; install the "
				  "package fuse3 again",
		[UZ_SUID_STRANGER] =
			"is not root's in this user namespace; be root of the "
			"namespace ('unshare -Urm'), or add the device outside",
		[UZ_SUID_NOSUID] = "is mounted nosuid here; be root, or add "
				   "the device where it is not",
		[UZ_SUID_NO_NEW] = "may gain no rights here (no_new_privs); "
				   "add the device where it may",
	};

	return advice[suid];
}
