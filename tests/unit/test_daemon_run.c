// SPDX-License-Identifier: MIT
/*
 * The daemon's life on a front end that mounts nothing: what is called in which
 * order, what each failure leaves behind, who is told what. Signals, processes
 * and their deaths are real, so the fake lies in memory that all of them share.
 * It stands in for src/frontend/, which is therefore not linked.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/daemon.h>
#include <uzram/frontend.h>

/* What the fake is to do, and what was done to it. */
static struct fake {
	int mount_rc;
	int start_rc;
	int stop_rc[2];
	int wait_rc;
	int signal;
	bool ends_itself;
	char calls[128];
	_Atomic unsigned int stops; /* by the thread for signals */
	uint64_t disksize;
	uint64_t mem_limit;
	unsigned int threads;
	unsigned int compactors;
	unsigned int restarts;
	bool no_compaction;
	int deaths; /* of workers that serve, to come */
	int early; /* of workers that do not yet */
	int vain; /* the same, but not of the first */
	int death; /* the signal */
	int later_rc; /* of starts after the first */
	unsigned int later; /* how many of them */
} * fake;

static struct uz_err reason;
static char rundir[] = "/tmp/uzram-test.XXXXXX";

static void called(const char *what)
{
	strncat(fake->calls, what,
		sizeof(fake->calls) - strlen(fake->calls) - 1);
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

/* Of a signal; cmocka would catch some of them. */
static void die(void)
{
	signal(fake->death, SIG_DFL);
	raise(fake->death);
}

static int fake_mount(const struct uz_mount_config *config,
		      struct uz_session *session, struct uz_err *err)
{
	struct stat st;

	called("mount ");
	assert_int_equal(stat(config->dir, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(config->foreign, geteuid() == 0);
	if (fake->mount_rc)
		return uz_err_set(err, fake->mount_rc, "no mountains here");
	*session = (struct uz_session){ .fd = 1000, .mem = 1001 };
	return 0;
}

static void fake_unmount(struct uz_session *session)
{
	called("unmount ");
	*session = (struct uz_session){ .fd = -1, .mem = -1 };
}

/* In a worker, where nobody hears of a failed assertion but its supervisor. */
static int fake_start(const struct uz_frontend_config *config,
		      struct uz_frontend **fe, struct uz_err *err)
{
	struct uz_device_stat numbers;

	called("start ");
	if (config->session.fd != 1000 || config->session.mem != 1001 ||
	    config->supervisor != getppid())
		abort();
	if (fake->early && fake->early--)
		die();
	if (config->restarts && fake->vain && fake->vain--)
		die();
	fake->restarts = config->restarts;
	uz_device_stat(config->dev, &numbers);
	fake->disksize = uz_device_disksize(config->dev);
	fake->mem_limit = numbers.mem_limit;
	fake->threads = config->threads;
	fake->compactors = compactors();
	if (fake->start_rc)
		return uz_err_set(err, fake->start_rc, "no smoke here");
	if (config->restarts && fake->later && fake->later--)
		return uz_err_set(err, fake->later_rc, "no smoke any more");
	*fe = (struct uz_frontend *)fake;
	return 0;
}

static int fake_wait(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, fake);
	called("wait ");
	if (fake->signal)
		kill(getppid(), fake->signal);
	if (fake->deaths && fake->deaths--)
		die();
	while (!fake->ends_itself && !fake->stops)
		usleep(1000);
	return fake->wait_rc;
}

static int fake_stop(struct uz_frontend *fe)
{
	int rc = fake->stop_rc[0];

	assert_ptr_equal(fe, fake);
	if (rc == -EBUSY) {
		/* In use: the user goes when it is told a second time. */
		fake->stop_rc[0] = fake->stop_rc[1];
		kill(getppid(), SIGINT);
		return rc;
	}
	fake->stops++;
	return rc;
}

static void fake_free(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, fake);
	called("free ");
}

const struct uz_frontend_ops *uz_frontend_find(const char *name)
{
	static const struct uz_frontend_ops ops = {
		.name = "fuse",
		.mount = fake_mount,
		.unmount = fake_unmount,
		.start = fake_start,
		.wait = fake_wait,
		.stop = fake_stop,
		.free = fake_free,
	};

	return strcmp(name, "fuse") ? NULL : &ops;
}

const char *uz_frontend_auto(bool sized)
{
	(void)sized;
	return "auto";
}

/*
 * One life. Returns what uz_daemon_run() does; @heard is what the starter got.
 */
static int run(const char *name, uint64_t size, char *heard, size_t room)
{
	struct uz_daemon_config config;
	int fds[2], rc;
	ssize_t n;

	reason = (struct uz_err){ 0 };

	assert_int_equal(pipe(fds), 0);
	uz_daemon_config_init(&config);
	snprintf(config.name, sizeof(config.name), "%s", name);
	config.size = size;
	config.mem_limit = 8u << 20;
	config.ready_fd = fds[1];
	if (fake->no_compaction)
		assert_int_equal(uz_daemon_config_set(&config, "compaction",
						      "off", NULL),
				 0);
	rc = uz_daemon_run(&config, &reason);
	assert_int_equal(rc, reason.code);
	/* No process is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
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
	memset(fake, 0, sizeof(*fake));
	return 0;
}

static void test_ends_itself(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	assert_int_equal(run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake->calls, "mount start wait free unmount ");
	assert_int_equal(fake->disksize, 16u << 20);
	assert_int_equal(fake->mem_limit, 8u << 20);
	assert_in_range(fake->threads, 2, 64);
	assert_int_equal(fake->compactors, 1);
	assert_int_equal(compactors(), 0);
	assert_int_equal(fake->stops, 0);
	assert_int_equal(fake->restarts, 0);
	assert_false(left_behind("dev"));
}

static void test_without_compaction(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->no_compaction = true;
	assert_int_equal(run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_int_equal(fake->compactors, 0);
}

static void test_signals(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		setup(NULL);
		fake->signal = signals[i];
		assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
		assert_int_equal(fake->stops, 1);
		assert_string_equal(fake->calls,
				    "mount start wait free unmount ");
		assert_false(left_behind("dev"));
	}
}

/* In use: it goes on, and the next signal is heard. */
static void test_busy(void **state)
{
	char heard[256];

	(void)state;
	fake->signal = SIGTERM;
	fake->stop_rc[0] = -EBUSY;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_int_equal(fake->stops, 1);
	assert_false(left_behind("dev"));
}

static void test_start_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->start_rc = -ENODEV;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -ENODEV);
	assert_string_equal(heard, "no smoke here\n");
	assert_string_equal(fake->calls, "mount start unmount ");
	assert_false(left_behind("dev"));
}

static void test_service_breaks(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->wait_rc = -EIO;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake->calls, "mount start wait free unmount ");
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
	assert_string_equal(fake->calls, "mount unmount ");

	fake->ends_itself = true;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_false(left_behind("dev"));
}

static void test_mount_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->mount_rc = -EPERM;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EPERM);
	assert_string_equal(heard, "no mountains here\n");
	assert_string_equal(fake->calls, "mount ");
	assert_false(left_behind("dev"));
}

/* Another one takes over, and the device is what it was. */
static void test_worker_dies(void **state)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGBUS };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		setup(NULL);
		fake->deaths = 2;
		fake->death = signals[i];
		fake->ends_itself = true;
		assert_int_equal(run("dev", 16u << 20, heard, sizeof(heard)),
				 0);
		assert_string_equal(heard, "READY\n");
		assert_string_equal(fake->calls, "mount start wait start wait "
						 "start wait free unmount ");
		assert_int_equal(fake->restarts, 2);
		assert_int_equal(fake->disksize, 16u << 20);
		assert_int_equal(fake->mem_limit, 8u << 20);
		assert_int_equal(fake->compactors, 1);
		assert_false(left_behind("dev"));
	}
}

/* Whoever asked a dead worker to end is heard by the next. */
static void test_worker_dies_when_asked(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->signal = SIGTERM;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_true(fake->stops >= 1);
	assert_false(left_behind("dev"));
}

static void test_worker_dies_always(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->vain = 100;
	fake->death = SIGKILL;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "READY\n");
	assert_int_equal(fake->vain, 93);
	assert_non_null(strstr(reason.text, "died 8 times in a row"));
	assert_non_null(strstr(reason.text, "killed by signal 9 (Killed)"));
	assert_false(left_behind("dev"));
}

static void test_worker_dies_at_once(void **state)
{
	char heard[256];

	(void)state;
	fake->early = 1;
	fake->death = SIGKILL;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "worker did not come up: killed by signal 9 "
				   "(Killed)\n");
	assert_string_equal(fake->calls, "mount start unmount ");
}

/* What the next one would meet as well is the end, the rest is tried again. */
static void test_taking_over_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->later = 1;
	fake->later_rc = -ENOMEM;
	fake->ends_itself = true;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait start start wait "
					 "free unmount ");
	assert_int_equal(fake->restarts, 2);

	setup(NULL);
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->later = 1;
	fake->later_rc = -EUCLEAN;
	assert_int_equal(run("dev", 0, heard, sizeof(heard)), -EUCLEAN);
	assert_string_equal(reason.text, "no smoke any more");
	assert_string_equal(fake->calls, "mount start wait start unmount ");
}

static int make_rundir(void **state)
{
	const struct rlimit none = { 0 };

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setrlimit(RLIMIT_CORE, &none);
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake == MAP_FAILED)
		return -1;
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
		cmocka_unit_test_setup(test_mount_fails, setup),
		cmocka_unit_test_setup(test_worker_dies, setup),
		cmocka_unit_test_setup(test_worker_dies_when_asked, setup),
		cmocka_unit_test_setup(test_worker_dies_always, setup),
		cmocka_unit_test_setup(test_worker_dies_at_once, setup),
		cmocka_unit_test_setup(test_taking_over_fails, setup),
	};

	return cmocka_run_group_tests(tests, make_rundir, remove_rundir);
}
