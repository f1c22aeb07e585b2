/* SPDX-License-Identifier: MIT */
#ifndef ROOT_FIXTURE_H
#define ROOT_FIXTURE_H

/*
 * A directory that stands for / to those who look at /proc and /sys/fs/cgroup:
 * *state is its path. Include after <cmocka.h>.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Makes the file @name with all directories above it, below @root. */
static inline void put_file(const char *root, const char *name,
			    const char *text)
{
	char path[512], *p;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			fail_msg("%s: %s", path, strerror(errno));
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline int make_root(void **state)
{
	static char root[64];

	strcpy(root, "/tmp/uzram-root.XXXXXX");
	*state = mkdtemp(root);
	return *state ? 0 : -1;
}

static inline int remove_root(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	return system(command);
}

#define root_test(name) \
	cmocka_unit_test_setup_teardown(name, make_root, remove_root)

#endif
