// SPDX-License-Identifier: MIT
/*
 * Which cgroup a process is charged to and how it joins another, in trees that
 * look like those of v1, v2 and both; joining is the writing of a file.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/cgroup.h>

#include "root_fixture.h"

static void own_is(const char *root, const char *groups, const char *wanted)
{
	char path[64];

	put_file(root, "proc/self/cgroup", groups);
	uz_cgroup_own(root, path, sizeof(path));
	assert_string_equal(path, wanted);
}

static void test_own(void **state)
{
	const char *root = *state;
	char path[8];

	own_is(root, "", "");
	own_is(root, "0::/\n", "/");
	own_is(root, "0::/user.slice/a b\n", "/user.slice/a b");
	own_is(root, "4:memory:/one/two\n0::/\n", "/one/two");
	own_is(root, "0::/\n4:cpu,memory:/one\n", "/one");
	own_is(root, "3:cpu:/one\n", "");
	/* Cut, not written past. */
	put_file(root, "proc/self/cgroup", "0::/a/very/long/path\n");
	uz_cgroup_own(root, path, sizeof(path));
	assert_string_equal(path, "/a/very");
}

static void joins(const char *root, const char *path, const char *file)
{
	char text[8] = "", full[512];
	struct uz_err err = { 0 };
	FILE *f;

	put_file(root, file, "");
	assert_int_equal(uz_cgroup_join(root, path, &err), 0);
	snprintf(full, sizeof(full), "%s/%s", root, file);
	f = fopen(full, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "0");
	assert_int_equal(unlink(full), 0);
}

static void test_join(void **state)
{
	const char *root = *state;
	struct uz_err err = { 0 };

	joins(root, "/sys/fs/cgroup/v2/dir",
	      "sys/fs/cgroup/v2/dir/cgroup.procs");
	joins(root, "/group", "sys/fs/cgroup/group/cgroup.procs");
	joins(root, "group", "sys/fs/cgroup/memory/group/cgroup.procs");
	joins(root, "/g/h", "sys/fs/cgroup/unified/g/h/cgroup.procs");
	assert_int_equal(uz_cgroup_join(root, "/none", &err), -ENOENT);
	assert_non_null(strstr(err.text, "'/none'"));
	assert_non_null(strstr(err.text, "mkdir"));
	/* A directory cannot be written to. */
	put_file(root, "sys/fs/cgroup/odd/cgroup.procs/x", "");
	assert_int_equal(uz_cgroup_join(root, "odd", &err), -EISDIR);
	assert_non_null(strstr(err.text, "cannot join"));
}

static void test_refused(void **state)
{
	const char *root = *state;
	struct uz_err err = { 0 };
	char path[512];

	if (!geteuid())
		return; /* root is refused nothing here */
	put_file(root, "sys/fs/cgroup/shut/cgroup.procs", "");
	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/shut/cgroup.procs",
		 root);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(uz_cgroup_join(root, "/shut", &err), -EPERM);
	assert_non_null(strstr(err.text, "systemd-run"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		root_test(test_own),
		root_test(test_join),
		root_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
