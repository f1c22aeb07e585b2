// SPDX-License-Identifier: MIT
/*
 * The daemon's life on a front end that mounts nothing: what is called in which
 * order, what each failure leaves behind, who is told what. Signals are real.
 * The fake stands in for src/frontend/, which is therefore not linked.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/daemon.h>
#include <uzram/frontend.h>

/* What the fake is to do, and what was done to it. */
static struct {
	int start_rc;
	int stop_rc[2];
	int wait_rc;
	int signal;
	bool ends_itself;
	char calls[64];
	unsigned int stops;
	uint64_t disksize;
	uint64_t mem_limit;
	unsigned int threads;
	unsigned int compactors;
	bool no_compaction;
} fake;

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fake_stopped = PTHREAD_COND_INITIALIZER;
static char rundir[] = "/tmp/uzram-test.XXXXXX";

static void called(const char *what)
{
	strncat(fake.calls, what, sizeof(fake.calls) - strlen(fake.calls) - 1);
}

/* Threads of this process that compact. */
static unsigned int compactors(void)
{
	unsigned int found = 0;
	char name[32];
	glob_t tasks;
	size_t i;

	assert_int_equal(glob("/proc/self/task/*/comm", 0, NULL, &tasks), 0);
	for (i = 0; i < tasks.gl_pathc; i++) {
		FILE *comm = fopen(tasks.gl_pathv[i], "r");

		if (comm && fgets(name, sizeof(name), comm))
			found += !strcmp(name, "uz-compactor\n");
		if (comm)
			fclose(comm);
	}
	globfree(&tasks);
	return found;
}

static int fake_start(const struct uz_frontend_config *config,
		      struct uz_frontend **fe, struct uz_err *err)
{
	struct uz_device_stat numbers;
	struct stat st;

	called("start ");
	assert_int_equal(stat(config->dir, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(config->foreign, geteuid() == 0);
	uz_device_stat(config->dev, &numbers);
	fake.disksize = uz_device_disksize(config->dev);
	fake.mem_limit = numbers.mem_limit;
	fake.threads = config->threads;
	fake.compactors = compactors();
	if (fake.start_rc)
		return uz_err_set(err, fake.start_rc, "no smoke here");
	*fe = (struct uz_frontend *)&fake;
	return 0;
}

static int fake_wait(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, &fake);
	called("wait ");
	if (fake.signal)
		kill(getpid(), fake.signal);
	pthread_mutex_lock(&fake_lock);
	while (!fake.ends_itself && !fake.stops)
		pthread_cond_wait(&fake_stopped, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
	return fake.wait_rc;
}

static int fake_stop(struct uz_frontend *fe)
{
	int rc = fake.stop_rc[0];

	assert_ptr_equal(fe, &fake);
	if (rc == -EBUSY) {
		/* In use: the user goes when it is told a second time. */
		fake.stop_rc[0] = fake.stop_rc[1];
		kill(getpid(), SIGINT);
		return rc;
	}
	pthread_mutex_lock(&fake_lock);
	fake.stops++;
	pthread_cond_signal(&fake_stopped);
	pthread_mutex_unlock(&fake_lock);
	return rc;
}

static void fake_free(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, &fake);
	called("free ");
}

const struct uz_frontend_ops *uz_frontend_find(const char *name)
{
	static const struct uz_frontend_ops ops = {
		.name = "fuse",
		.start = fake_start,
		.wait = fake_wait,
		.stop = fake_stop,
		.free = fake_free,
	};

	return strcmp(name, "fuse") ? NULL : &ops;
}

/*
 * One life. Returns what uz_daemon_run() does; @heard is what the starter got.
 */
static int run(const char *name, uint64_t size, char *heard, size_t room)
{
	struct uz_daemon_config config;
	struct uz_err err = { 0 };
	int fds[2], rc;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	uz_daemon_config_init(&config);
	snprintf(config.name, sizeof(config.name), "%s", name);
	config.size = size;
	config.mem_limit = 8u << 20;
	config.ready_fd = fds[1];
	if (fake.no_compaction)
		assert_int_equal(uz_daemon_config_set(&config, "compaction",
						      "off", NULL),
				 0);
	rc = uz_daemon_run(&config, &err);
	assert_int_equal(rc, err.code);
	n = read(fds[0], heard, room - 1);
	assert_true(n >= 0);
	heard[n] = '\0';
	close(fds[0]);
	/* It was closed, not only written to. */
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	return rc;
}

static bool left_behind(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", rundir, name);
	return access(path, F_OK) == 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static void test_ends_itself(void **state)
{
	char heard[256];

	(void)state;
	fake.ends_itself = true;
	assert_int_equal(run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake.calls, "start wait free ");
	assert_int_equal(fake.disksize, 16u << 20);
	assert_int_equal(fake.mem_limit, 8u << 20);
	assert_in_range(fake.threads, 2, 64);
	assert_int_equal(fake.compactors, 1);
	assert_int_equal(compactors(), 0);
	assert_int_equal(fake.stops, 0);
	assert_false(left_behind("dev"));
}

static void test_without_compaction(void **state)
{
	char heard[256];

	(void)state;
	fake.ends_itself = true;
	fake.no_compaction = true;
	assert_int_equal(run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_int_equal(fake.compactors, 0);
}

static void test_signals(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		setup(NULL);
		fake.signal = signals[i];
		assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
		assert_int_equal(fake.stops, 1);
		assert_string_equal(fake.calls, "start wait free ");
		assert_false(left_behind("dev"));
	}
}

/* In use: it goes on, and the next signal is heard. */
static void test_busy(void **state)
{
	char heard[256];

	(void)state;
	fake.signal = SIGTERM;
	fake.stop_rc[0] = -EBUSY;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_int_equal(fake.stops, 1);
	assert_false(left_behind("dev"));
}

static void test_start_fails(void **state)
{
	char heard[256];

	(void)state;
	fake.start_rc = -ENODEV;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -ENODEV);
	assert_string_equal(heard, "no smoke here\n");
	assert_string_equal(fake.calls, "start ");
	assert_false(left_behind("dev"));
}

static void test_service_breaks(void **state)
{
	char heard[256];

	(void)state;
	fake.ends_itself = true;
	fake.wait_rc = -EIO;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake.calls, "start wait free ");
	assert_false(left_behind("dev"));
}

/* Everything that is refused before the front end hears of it. */
static void test_refused(void **state)
{
	char heard[256], path[128];
	int fd;

	(void)state;
	assert_int_equal(run("a/b", 0, heard, sizeof(heard)), -EINVAL);
	assert_non_null(strstr(heard, "name 'a/b'"));
	assert_int_equal(run("dev", 4096, heard, sizeof(heard)), -EINVAL);
	assert_false(left_behind("dev"));

	snprintf(path, sizeof(path), "%s/dev", rundir);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EBUSY);
	assert_non_null(strstr(heard, "dev is taken"));
	assert_true(left_behind("dev"));
	close(fd);

	snprintf(path, sizeof(path), "%s/dev/file", rundir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EBUSY);
	assert_non_null(strstr(heard, "not empty"));
	assert_true(left_behind("dev/file"));
	assert_int_equal(rmdir(path), 0);
	assert_string_equal(fake.calls, "");

	fake.ends_itself = true;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_false(left_behind("dev"));
}

static int make_rundir(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	return !mkdtemp(rundir) || setenv("UZRAM_RUNDIR", rundir, 1);
}

static int remove_rundir(void **state)
{
	(void)state;
	return rmdir(rundir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ends_itself, setup),
		cmocka_unit_test_setup(test_without_compaction, setup),
		cmocka_unit_test_setup(test_signals, setup),
		cmocka_unit_test_setup(test_busy, setup),
		cmocka_unit_test_setup(test_start_fails, setup),
		cmocka_unit_test_setup(test_service_breaks, setup),
		cmocka_unit_test_setup(test_refused, setup),
	};

	return cmocka_run_group_tests(tests, make_rundir, remove_rundir);
}
