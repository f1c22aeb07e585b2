// SPDX-License-Identifier: MIT
/*
 * Users of a mount: a process that has a file open or mapped, and one that has
 * not; how users are put in words. Loop devices and mounts need root and are
 * tried end to end.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/users.h>

/* memfds lie in a file system of their own, and a child can inherit one. */
static int memfd;
static dev_t memfd_fs;

static int setup(void **state)
{
	struct stat st;

	(void)state;
	memfd = memfd_create("users", 0);
	if (memfd < 0 || fstat(memfd, &st) || ftruncate(memfd, 4096))
		return -1;
	memfd_fs = st.st_dev;
	return 0;
}

static bool is_user(pid_t pid)
{
	struct uz_users users = { 0 };
	bool found = false;
	size_t i;

	assert_int_equal(uz_users_find(&users, memfd_fs, 0, true), 0);
	for (i = 0; i < users.count; i++) {
		const struct uz_user *user = &users.list[i];

		if (user->pid != pid)
			continue;
		assert_int_equal(user->kind, UZ_USER_PROCESS);
		assert_int_equal(user->loop, -1);
		assert_string_equal(user->type, "test_util_users");
		found = true;
	}
	uz_users_free(&users);
	assert_null(users.list);
	return found;
}

/* A child that holds @memfd in the way that @how says. */
static void child(char how, int ready)
{
	void *map = MAP_FAILED;

	if (how == 'm')
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd, 0);
	if (how != 'o')
		close(memfd);
	if (how != 'm' || map != MAP_FAILED)
		if (write(ready, "r", 1) == 1)
			pause();
	_exit(1);
}

static bool is_user_by(char how)
{
	int ready[2];
	pid_t pid;
	bool found;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(how, ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	found = is_user(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	assert_false(is_user(pid));
	return found;
}

static void test_processes(void **state)
{
	struct uz_users users = { 0 };
	size_t i;

	(void)state;
	assert_true(is_user_by('o'));
	assert_true(is_user_by('m'));
	assert_false(is_user_by('-'));
	/* We have it open ourselves, and do not count. */
	assert_false(is_user(getpid()));
	/* Not asked for, not looked for. */
	assert_int_equal(uz_users_find(&users, memfd_fs, 0, false), 0);
	for (i = 0; i < users.count; i++)
		assert_int_not_equal(users.list[i].kind, UZ_USER_PROCESS);
	uz_users_free(&users);
	uz_users_free(&users);
}

/* Neither a mount nor a disk: it has no users, whatever processes there are. */
static void test_nothing_asked(void **state)
{
	struct uz_users users = { 0 };
	pid_t pid = fork();
	int ret;

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		pause();
		_exit(1);
	}
	ret = uz_users_find(&users, 0, 0, true);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(ret, 0);
	assert_int_equal(users.count, 0);
	uz_users_free(&users);
}

static void test_text(void **state)
{
	struct uz_user list[] = {
		{ .kind = UZ_USER_LOOP, .loop = 3 },
		{ .kind = UZ_USER_LOOP, .loop = 4 },
		{ .kind = UZ_USER_LOOP, .loop = 5 },
		{ .kind = UZ_USER_MOUNT,
		  .loop = 3,
		  .type = "ext4",
		  .path = "/mnt/x" },
		{ .kind = UZ_USER_SWAP, .loop = 4 },
		{ .kind = UZ_USER_PROCESS,
		  .loop = -1,
		  .pid = 1234,
		  .type = "fio" },
	};
	struct uz_users users = { .list = list, .count = 6 };
	char text[128];

	(void)state;
	uz_users_text(&users, text, sizeof(text));
	assert_string_equal(text, "/dev/loop3 (ext4 on /mnt/x), /dev/loop4 "
				  "(swap), /dev/loop5, process 1234 (fio)");
	uz_users_text(&users, text, 79);
	assert_string_equal(text, "/dev/loop3 (ext4 on /mnt/x), /dev/loop4 "
				  "(swap) and 2 more");
	/* The first is named however little room there is. */
	uz_users_text(&users, text, 16);
	assert_string_equal(text, "/dev/loop3 (ext");
	strcpy(list[3].path, "/mnt/a\nb\x7f");
	uz_users_text(&users, text, 40);
	assert_string_equal(text, "/dev/loop3 (ext4 on /mnt/a?b?) and 3 mo");
	users.list = &list[5];
	users.count = 1;
	uz_users_text(&users, text, sizeof(text));
	assert_string_equal(text, "process 1234 (fio)");
}

static void test_text_of_disk(void **state)
{
	struct uz_user list[] = {
		{ .kind = UZ_USER_LOOP, .loop = 3 },
		{ .kind = UZ_USER_HOLDER, .loop = -1, .type = "dm-0" },
		{ .kind = UZ_USER_MOUNT,
		  .loop = -1,
		  .type = "ext4",
		  .path = "/mnt/x" },
		{ .kind = UZ_USER_MOUNT,
		  .loop = 3,
		  .type = "xfs",
		  .path = "/mnt/y" },
		{ .kind = UZ_USER_SWAP, .loop = -1, .path = "/dev/ublkb0p2" },
	};
	const struct uz_users users = { .list = list, .count = 5 };
	char text[128];

	(void)state;
	uz_users_text(&users, text, sizeof(text));
	assert_string_equal(text, "/dev/loop3 (xfs on /mnt/y), /dev/dm-0, "
				  "ext4 on /mnt/x, swap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_processes, setup),
		cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_of_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
