// SPDX-License-Identifier: MIT
/*
 * The life of a ublk disk against a driver that is played here: it is born,
 * served, taken over, stopped and deleted, over and over, and at each step
 * something fails. Then there is one line that says what, and no disk, thread,
 * descriptor, ring or memory is left. Where the driver does not answer, nothing
 * more is asked of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <fuse_frontend.h>
#include <session_priv.h>
#include <ublk_priv.h>

#include "fake_device.h"
#include "fake_ublk.h"
#include "soon.h"

/* ---- what is left ---- */

static unsigned int count(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Lines of the memory's map: buffers and descriptions. */
static unsigned int count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	int c;

	assert_non_null(file);
	while ((c = getc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* Threads of a disk; a sanitizer has one of its own. */
static unsigned int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[300], name[16] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		n += fgets(name, sizeof(name), file) &&
		     !strncmp(name, "uz-ublk", 7);
		fclose(file);
	}
	closedir(dir);
	return n;
}

static struct {
	unsigned int fds, maps;
} before;

static void look_before(void)
{
	before.fds = count("/proc/self/fd");
	before.maps = count_maps();
}

/* A thread that was joined may be in /proc for a moment yet. */
static void nothing_is_left(void)
{
	assert_true(SOON(!count_threads()));
	assert_int_equal(count("/proc/self/fd"), before.fds);
	assert_false(driver.exists);
	assert_int_equal(driver.controls, 0);
	assert_int_equal(driver.rings, 0);
}

/* ---- the tests ---- */

static struct uz_device dev;
static struct uz_frontend_config config;
static struct uz__ublk_disk disk;
static struct uz_err err;

static int setup(void **state)
{
	(void)state;
	fake_driver_init();
	fake_device_init(&dev);
	assert_int_equal(uz_device_set_disksize(&dev, 1 << 20, NULL), 0);
	config = (struct uz_frontend_config){
		.dev = &dev,
		.session = { .fd = -1, .mem = uz__fuse_session_create("/") },
		.threads = 8,
		.buffer_budget = 8 << 20,
		.supervisor = getpid(),
	};
	return config.session.mem < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(config.session.mem);
	fake_device_end(&dev);
	return 0;
}

static void test_comes_and_goes(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		if (i == 1) /* stacks of threads and the like are kept */
			look_before();
		assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
		assert_true(disk.live);
		assert_true(uz__ublk_disk_recovers(&disk));
		assert_string_equal(disk.path, "/dev/ublkb7");
		if (i % 2)
			assert_int_equal(uz__ublk_disk_try_stop(&disk), 0);
		uz__ublk_disk_end(&disk);
		if (i)
			nothing_is_left();
	}
	/* Less than one a turn; a sanitizer needs some now and then. */
	assert_in_range(count_maps(), 1, before.maps + i / 2);
}

static const struct {
	struct fake_fault fault;
	const char *text;
} faults[] = {
	{ { CONTROL, 0, -EPERM }, "ublk: no control" },
	{ { COMMAND, UBLK_CMD_ADD_DEV, -EPERM },
	  "add a disk: Operation not per" },
	{ { COMMAND, UBLK_CMD_ADD_DEV, -EEXIST }, "add a disk: File exists" },
	{ { COMMAND, UBLK_CMD_ADD_DEV, -EACCES }, "ublks_max" },
	{ { COMMAND, UBLK_CMD_ADD_DEV, -ECANCELED }, "no more threads" },
	{ { WORD, 0, -EBADF }, "memory of the session: Bad file" },
	{ { THREAD, 0, EAGAIN }, "set up its queues: Resource temp" },
	{ { THREAD, 1, EAGAIN }, "no more threads are allowed" },
	{ { THREAD, QUEUES - 1, EAGAIN }, "set up its queues" },
	{ { RING, 0, -EMFILE }, "too many open files are not allowed" },
	{ { RING, QUEUES - 1, -ENOMEM }, "set up its queues: Cannot allocate" },
	{ { NODE, 0, EBUSY }, "open its /dev/ublkcN: Device or resource busy" },
	{ { COMMAND, UBLK_CMD_SET_PARAMS, -EINVAL },
	  "set its limits: Invalid" },
	{ { MAP, 0, -ENODEV }, "begin with its queues: No such device" },
	{ { TAGS, 0, -EINVAL }, "begin with its queues: Invalid argument" },
	{ { TAGS, QUEUES - 1, -ENOMEM },
	  "begin with its queues: Cannot alloc" },
	{ { COMMAND, UBLK_CMD_START_DEV, -EEXIST },
	  "start the disk: File exists" },
};

static void test_fails_to_come(void **state)
{
	const int mem = config.session.mem;
	unsigned int i, round;

	(void)state;
	for (round = 0; round < 10; round++)
		for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
			look_before();
			fault = faults[i].fault;
			driver.threads = 0;
			config.session.mem = fault.what == WORD ? -1 : mem;
			err.text[0] = '\0';
			assert_int_not_equal(
				uz__ublk_disk_start(&disk, &config, &err), 0);
			assert_non_null(strstr(err.text, faults[i].text));
			assert_null(strchr(err.text, '\n'));
			nothing_is_left();
		}
	config.session.mem = mem;
	fault.what = NOTHING;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

/* In a process of its own, which has to end then. */
static void no_answer_to(unsigned int nr)
{
	int status;
	pid_t pid;

	/* The one before has left word of a disk. */
	assert_int_equal(uz__fuse_session_set_disk(&config.session, 0), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		fault.what = COMMAND;
		fault.nr = nr;
		fault.code = -ETIMEDOUT;
		if (uz__ublk_disk_start(&disk, &config, &err) != -ETIMEDOUT)
			_exit(1);
		if (driver.last != nr)
			_exit(2);
		_exit(strstr(err.text, "does not answer") ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_no_answer(void **state)
{
	(void)state;
	no_answer_to(UBLK_CMD_ADD_DEV);
	no_answer_to(UBLK_CMD_SET_PARAMS);
	no_answer_to(UBLK_CMD_START_DEV);
}

/* It goes on, or the process ends, or only a line is said. */
static void test_end_fails(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	driver.info.flags |= UBLK_F_SAFE_STOP_DEV;
	disk.info.flags |= UBLK_F_SAFE_STOP_DEV;
	fault.what = COMMAND;
	fault.nr = UBLK_CMD_TRY_STOP_DEV;
	fault.code = -EBUSY;
	assert_int_equal(uz__ublk_disk_try_stop(&disk), -EBUSY);
	assert_true(disk.live);
	fault.nr = UBLK_CMD_STOP_DEV;
	fault.code = -ETIMEDOUT;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uz__ublk_disk_end(&disk);
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
	fault.nr = UBLK_CMD_DEL_DEV;
	uz__ublk_disk_end(&disk);
	assert_true(driver.exists);
	driver.exists = false;
	nothing_is_left();
}

/* Not stopped unless it is known that nobody uses it, or that it is dead. */
static void test_stops_unused(void **state)
{
	static const struct fake_fault unknown[] = {
		{ DISK, 0, EBUSY },  { DISK, 0, EMFILE },   { DISK, 0, ENOENT },
		{ STAT, 0, ENOENT }, { USERS, 0, -ENOMEM },
	};
	static const int is_short[] = { -ENOMEM, -EAGAIN, -EINTR, -ECANCELED };
	size_t i;

	(void)state;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		fault = unknown[i];
		assert_int_equal(uz__ublk_disk_try_stop(&disk), -EBUSY);
	}
	fault.what = NOTHING;
	driver.users = 1;
	assert_int_equal(uz__ublk_disk_try_stop(&disk), -EBUSY);
	/* The driver knows by itself, if it gets to it. */
	disk.info.flags |= UBLK_F_SAFE_STOP_DEV;
	for (i = 0; i < sizeof(is_short) / sizeof(is_short[0]); i++) {
		fault = (struct fake_fault){ COMMAND, UBLK_CMD_TRY_STOP_DEV,
					     is_short[i] };
		assert_int_equal(uz__ublk_disk_try_stop(&disk), -EBUSY);
	}
	fault.code = -ETIMEDOUT;
	assert_int_equal(uz__ublk_disk_try_stop(&disk), -ETIMEDOUT);
	disk.info.flags &= ~UBLK_F_SAFE_STOP_DEV;
	assert_int_equal(driver.info.state, UBLK_S_DEV_LIVE);
	assert_true(disk.live);
	/* Of a dead one the node does not open any more. */
	driver.info.state = UBLK_S_DEV_DEAD;
	fault = (struct fake_fault){ DISK, 0, ENXIO };
	assert_int_equal(uz__ublk_disk_try_stop(&disk), 0);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

/* ---- taking over ---- */

/* The process is gone. */
static void process_ended(void)
{
	uz__ublk_command(&disk.control, UBLK_CMD_STOP_DEV, ID, 0, NULL, 0);
	uz__ublk_queues_end(&disk);
	close(disk.fd);
	uz__ublk_control_close(&disk.control);
	fake_driver_release();
}

/* As a worker leaves it that is killed. */
static void killed(void)
{
	process_ended();
	config.restarts++;
}

/* As one leaves it that was told to; then the process ends at once. */
static void left(void)
{
	uz__ublk_disk_leave(&disk);
	assert_int_equal(driver.controls, 1);
	process_ended();
}

static void take_over(unsigned int i)
{
	driver.early = i % 4;
	killed();
	driver.busy = i % 3;
	/* An older driver's node stays open for a while. */
	driver.held = driver.late ? i % 5 : 0;
	driver.slow = driver.late ? i % 2 : 0;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	assert_true(disk.live);
	assert_int_equal(driver.info.state, UBLK_S_DEV_LIVE);
	assert_int_equal(driver.busy + driver.held + driver.slow + driver.early,
			 0);
	assert_int_equal(count("/proc/self/fd"), before.fds);
}

static void taken_over(uint64_t features)
{
	unsigned int i;

	driver.features = features;
	config.restarts = 0;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	look_before();
	for (i = 0; i < 100; i++)
		take_over(i);
	uz__ublk_disk_end(&disk);
	assert_false(driver.exists);
	assert_int_equal(driver.controls, 0);
	assert_int_equal(driver.rings, 0);
}

static void test_taken_over(void **state)
{
	(void)state;
	taken_over(FEATURES);
}

/* Nothing of the dead one may be left that would take back tags. */
static void test_taken_over_from_old(void **state)
{
	char text[16] = "";

	(void)state;
	taken_over(FEATURES & ~UBLK_F_PER_IO_DAEMON);
	assert_in_range(pread(driver.limit, text, sizeof(text) - 1, 0), 1, 4);
	assert_int_equal(atoi(text), disk.plan.depth - 1);
}

/* The next one finds the disk, although nobody has died. */
static void handed_on(uint64_t features)
{
	unsigned int fds;

	look_before();
	driver.features = features;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	fds = count("/proc/self/fd");
	left();
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	assert_true(disk.adopted);
	assert_int_equal(count("/proc/self/fd"), fds);
}

static void test_leaves(void **state)
{
	(void)state;
	handed_on(FEATURES | UBLK_F_QUIESCE);
	assert_int_equal(driver.quiesced, 1);
	assert_int_equal(driver.told[true], QUEUES);
	/* The driver has not ceased: no queue may wait for that. */
	fault = (struct fake_fault){ COMMAND, UBLK_CMD_QUIESCE_DEV, -EBUSY };
	left();
	assert_int_equal(driver.told[false], QUEUES);
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	/* Without any way to the driver, or to a queue, it is a death. */
	fault = (struct fake_fault){ CONTROL, 0, -EMFILE };
	left();
	fault = (struct fake_fault){ TELL, 1, -EINVAL };
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	left();
	assert_int_equal(driver.told[true], 2 * QUEUES - 1);
	assert_int_equal(driver.told[false], QUEUES);
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

static void test_leaves_old(void **state)
{
	(void)state;
	handed_on(FEATURES & ~UBLK_F_PER_IO_DAEMON);
	assert_int_equal(driver.quiesced, 0);
	assert_int_equal(driver.told[false], QUEUES);
	uz__ublk_disk_end(&disk);
	/* One that was deleted, nobody is sent to. */
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	assert_false(disk.adopted);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

static void test_grows(void **state)
{
	(void)state;
	look_before();
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	assert_int_equal(uz__ublk_disk_can_grow(&disk, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "/dev/ublkb7 cannot grow"));
	assert_int_equal(driver.sectors, 0);
	uz__ublk_disk_end(&disk);

	driver.features |= UBLK_F_UPDATE_SIZE;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	assert_int_equal(uz__ublk_disk_can_grow(&disk, &err), 0);
	assert_int_equal(uz__ublk_disk_grow(&disk, 5 << 20, &err), 0);
	assert_int_equal(driver.sectors, 5 << 11);
	fault = (struct fake_fault){ COMMAND, UBLK_CMD_UPDATE_SIZE, -EPERM };
	assert_int_equal(uz__ublk_disk_grow(&disk, 6 << 20, &err), -EPERM);
	assert_non_null(strstr(err.text, "tell the disk its new size"));
	fault = (struct fake_fault){ CONTROL, 0, -EMFILE };
	assert_int_equal(uz__ublk_disk_grow(&disk, 6 << 20, &err), -EMFILE);
	assert_int_equal(driver.sectors, 5 << 11);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

/* A start that fails leaves the disk, and the control open. */
static void refused(int code, const char *text)
{
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), code);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(driver.rings, 0);
	assert_true(driver.exists);
	uz__ublk_control_close(&disk.control);
}

static void test_not_taken_over(void **state)
{
	static const char ended[] = "the disk ended with the worker";
	const uint64_t handing = UINT64_C(1) << 32 | (ID + 1);
	uint64_t mark;

	(void)state;
	look_before();
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	killed();
	mark = driver.info.ublksrv_flags;
	driver.info.ublksrv_flags ^= 1;
	refused(-ENOTSUP, ended);
	driver.info.ublksrv_flags = mark;
	driver.info.state = UBLK_S_DEV_DEAD;
	refused(-ENOTSUP, ended);
	driver.info.state = UBLK_S_DEV_QUIESCED;
	driver.info.flags &= ~RECOVERY;
	refused(-ENOTSUP, ended);
	driver.info.flags |= RECOVERY;
	/* A worker died in the middle of it: not with an old driver. */
	assert_int_equal(uz__fuse_session_set_disk(&config.session, handing),
			 0);
	driver.features &= ~UBLK_F_PER_IO_DAEMON;
	refused(-ENOTSUP, "only Linux 6.16");
	driver.features |= UBLK_F_PER_IO_DAEMON;
	assert_int_equal(uz__ublk_disk_start(&disk, &config, &err), 0);
	uz__ublk_disk_end(&disk);
	nothing_is_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_and_goes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_fails_to_come, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_answer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_end_fails, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_stops_unused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_taken_over, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_taken_over_from_old, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_old, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_taken_over, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
