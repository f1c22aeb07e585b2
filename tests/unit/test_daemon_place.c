// SPDX-License-Identifier: MIT
/*
 * A place that the daemon before removes at any step while it is claimed: what
 * is claimed in the end is there, and locked. Nobody is asked with a lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/mountpoint.h>

#include <daemon_priv.h>

static char rundir[] = "/tmp/uzram-place.XXXXXX";
static struct uz_daemon_config config;

/* What is removed when the next lock but @after is taken. */
static const char *doomed;
static unsigned int after;

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
	if (doomed && !after--) {
		assert_int_equal(rmdir(doomed), 0);
		doomed = NULL;
	}
	return __real_flock(fd, how);
}

/* A device is mounted there; to ask it may take any time. */
static bool live;

int __real_uz_mountpoint_state(const char *path, enum uz_mountpoint *state);
int __wrap_uz_mountpoint_state(const char *path, enum uz_mountpoint *state);
int __wrap_uz_mountpoint_state(const char *path, enum uz_mountpoint *state)
{
	if (!live)
		return __real_uz_mountpoint_state(path, state);
	*state = UZ_MOUNTPOINT_LIVE;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(rundir))
		return -1;
	snprintf(config.name, sizeof(config.name), "uz");
	snprintf(config.dir, sizeof(config.dir), "%s/uz", rundir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(rundir);
}

static void claimed(struct uz__place *place)
{
	struct stat there, locked;
	uz_autoclose int fd = -1;

	assert_int_equal(stat(config.dir, &there), 0);
	assert_int_equal(fstat(place->fd, &locked), 0);
	assert_int_equal(there.st_ino, locked.st_ino);
	fd = open(config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(__real_flock(fd, LOCK_EX | LOCK_NB), -1);
	place->made = true;
	uz__place_release(place);
	assert_int_equal(stat(config.dir, &there), -1);
}

static void test_removed_meanwhile(void **state)
{
	struct uz__place place;
	struct uz_err err = { 0 };

	(void)state;
	for (after = 0; after < 2; after++) {
		const unsigned int step = after;

		assert_int_equal(mkdir(config.dir, 0700), 0);
		doomed = config.dir;
		assert_int_equal(uz__place_claim(&place, &config, &err), 0);
		assert_null(doomed);
		claimed(&place);
		after = step;
	}
}

/* Those who want another one in the same directory do not wait for it. */
static void test_asked_without_lock(void **state)
{
	struct uz__place place;
	struct uz_err err = { 0 };

	(void)state;
	assert_int_equal(mkdir(config.dir, 0700), 0);
	live = true;
	assert_int_equal(uz__place_claim(&place, &config, &err), -EBUSY);
	live = false;
	assert_non_null(strstr(err.text, "is taken"));
	assert_int_equal(place.parent, -1);
	rmdir(config.dir);
}

/* It has no end, and no directory. */
static void test_never_there(void **state)
{
	struct uz__place place;
	struct uz_err err = { 0 };

	(void)state;
	assert_int_equal(symlink("/nowhere/at/all", config.dir), 0);
	assert_int_equal(uz__place_claim(&place, &config, &err), -ENOENT);
	assert_non_null(strstr(err.text, config.dir));
	uz__place_settled(&place);
	unlink(config.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removed_meanwhile),
		cmocka_unit_test(test_asked_without_lock),
		cmocka_unit_test(test_never_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
