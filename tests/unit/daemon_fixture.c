// SPDX-License-Identifier: MIT
/*
 * See the header. Nothing here is in a hurry: what is asked for from another
 * process is done by signals, as in life.
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/log.h>
#include <uzram/util/users.h>

#include "daemon_fixture.h"

struct uz__daemon;
struct uz__quit;

struct fake_frontend *fake;
struct uz_err fake_reason;

/* This process was executed by a supervisor. */
static bool executed;
static char test_program[4096];

char fake_rundir[24] = "/tmp/uzram-test.XXXXXX";

static void called(const char *what)
{
	strncat(fake->calls, what,
		sizeof(fake->calls) - strlen(fake->calls) - 1);
}

unsigned int fake_compactors(void)
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

/* It is a pipe, which is full then: whoever writes there waits. */
static void mute_log(void)
{
	static const char junk[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	while (!fake->heard)
		usleep(1000);
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, junk, sizeof(junk)) > 0)
		;
	while (write(STDERR_FILENO, junk, 1) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, flags);
}

/* Of a signal; cmocka would catch some of them. */
static void die(void)
{
	if (fake->mute)
		mute_log();
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
	dup3(STDERR_FILENO, session->fd, O_CLOEXEC);
	dup3(STDERR_FILENO, session->mem, O_CLOEXEC);
	return 0;
}

static void fake_unmount(struct uz_session *session)
{
	close(session->fd);
	close(session->mem);
	called("unmount ");
	*session = (struct uz_session){ .fd = -1, .mem = -1 };
}

static const struct uz_attr_upgrade *upgrade;

/* In a worker, where nobody hears of a failed assertion but its supervisor. */
static int fake_start(const struct uz_frontend_config *config,
		      struct uz_frontend **fe, struct uz_err *err)
{
	struct uz_device_stat numbers;

	called(executed ? "new-start " : "start ");
	if (config->session.fd != 1000 || config->session.mem != 1001 ||
	    config->supervisor != getppid())
		abort();
	if (fake->early && fake->early--)
		die();
	if (config->restarts && fake->vain && fake->vain--)
		die();
	if (config->watchdog != fake->watchdog)
		abort();
	if (fake->mute)
		uz_log(UZ_LOG_INFO, "worker %u begins", config->restarts);
	fake->restarts = config->restarts;
	fake->hangs = config->hangs;
	uz_device_stat(config->dev, &numbers);
	fake->disksize = uz_device_disksize(config->dev);
	fake->mem_limit = numbers.mem_limit;
	fake->threads = config->threads;
	fake->compactors = fake_compactors();
	upgrade = config->upgrade;
	if (executed && fake->program_death)
		raise(fake->program_death);
	if (executed && fake->program_rc)
		return uz_err_set(err, fake->program_rc, "no smoke in there");
	if (fake->start_rc)
		return uz_err_set(err, fake->start_rc, "no smoke here");
	if (config->restarts && fake->later && fake->later--)
		return uz_err_set(err, fake->later_rc, "no smoke any more");
	*fe = (struct uz_frontend *)fake;
	return 0;
}

/* What is shown once the supervisor has heard that we serve. */
static void show_upgrade(void)
{
	struct uz_strbuf text = { 0 };

	while (upgrade && strncmp(fake->shown, "state idle", 10) != 0) {
		upgrade->show(upgrade->arg, &text);
		snprintf(fake->shown, sizeof(fake->shown), "%s", text.data);
		uz_strbuf_free(&text);
	}
}

static void ask_for_upgrade(void)
{
	if (!fake->by_board)
		kill(getppid(), SIGHUP);
	else if (upgrade->ask(upgrade->arg, test_program, false, NULL) ||
		 upgrade->ask(upgrade->arg, test_program, false, NULL) !=
			 -EBUSY)
		abort();
	/* The thread for signals ends us, or nothing changes. */
	while (!fake->refuses || !strstr(fake->shown, "serves on")) {
		usleep(1000);
		fake->shown[0] = '\0';
		show_upgrade();
	}
}

static int fake_leave(struct uz_frontend *fe, struct uz_err *err)
{
	assert_ptr_equal(fe, fake);
	called("leave ");
	if (fake->late_refusal) {
		fake->leaving = getpid();
		kill(getppid(), SIGCHLD);
		while (!fake->go)
			usleep(1000);
	}
	if (fake->unheard) {
		kill(getppid(), SIGSTOP);
		usleep(100000);
		fake->overdue = true;
	}
	if (fake->refuses)
		return uz_err_set(err, -EBUSY, "it does not want to");
	while (fake->stays)
		pause();
	return 0;
}

static int fake_wait(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, fake);
	called("wait ");
	fake->shown[0] = '\0';
	show_upgrade();
	if (fake->upgrades && fake->upgrades--)
		ask_for_upgrade();
	if (fake->signal)
		kill(getppid(), fake->signal);
	if (fake->deaths && fake->deaths--)
		die();
	while (!fake->ends_itself && !fake->stops)
		usleep(1000);
	return fake->wait_rc;
}

static void fake_stop(struct uz_frontend *fe)
{
	assert_ptr_equal(fe, fake);
	fake->stopped++;
	if (fake->late_refusal)
		raise(SIGKILL);
}

void __real_uz__report(int fd, unsigned int kind, int rc, const char *fmt, ...)
	uz_printf(4, 5);
void __wrap_uz__report(int fd, unsigned int kind, int rc, const char *fmt, ...)
	uz_printf(4, 5);

/* It is in the pipe before the supervisor goes on. */
void __wrap_uz__report(int fd, unsigned int kind, int rc, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	__real_uz__report(fd, kind, rc, "%s", text);
	if (fake->unheard)
		kill(getppid(), SIGCONT);
}

void __real_uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d);
void __wrap_uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d);

/* In the supervisor, after it has taken reports and before it takes deaths. */
void __wrap_uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d)
{
	siginfo_t info;

	if (fake->leaving && !fake->go) {
		fake->go = true;
		/* It is heard when the refusal was reported. */
		kill(fake->leaving, SIGTERM);
		waitid(P_PID, (id_t)fake->leaving, &info, WEXITED | WNOWAIT);
	}
	__real_uz__quit_reap(quit, d);
}

/* In a process of its own. */
static int fake_quit(const struct uz_session *session)
{
	int rc = fake->stop_rc[0];

	if (session->fd < 0 || session->mem < 0 || !fake->stopped)
		abort();
	if (rc == -EBUSY) {
		/* In use: the user goes when it is told a second time. */
		fake->stop_rc[0] = fake->stop_rc[1];
		kill(getppid(), SIGINT);
		return rc;
	}
	fake->stops++;
	return rc;
}

int __wrap_uz_users_find(struct uz_users *users, dev_t fs, dev_t disk,
			 bool processes);

/* In the process that is to tell of them. */
int __wrap_uz_users_find(struct uz_users *users, dev_t fs, dev_t disk,
			 bool processes)
{
	(void)fs;
	(void)disk;
	(void)processes;
	if (fake->late)
		raise(SIGALRM);
	while (fake->deaf)
		pause();
	*users = (struct uz_users){ 0 };
	return 0;
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
		.quit = fake_quit,
		.leave = fake_leave,
		.free = fake_free,
	};

	return strcmp(name, "fuse") ? NULL : &ops;
}

const char *uz_frontend_auto(bool sized)
{
	(void)sized;
	return "auto";
}

int fake_run(const char *name, uint64_t size, char *heard, size_t room)
{
	static char *argv[] = { test_program, NULL };
	struct uz_daemon_config config;
	int fds[2], rc;
	ssize_t n;

	fake_reason = (struct uz_err){ 0 };

	assert_int_equal(pipe(fds), 0);
	uz_daemon_config_init(&config);
	snprintf(config.name, sizeof(config.name), "%s", name);
	config.size = size;
	config.mem_limit = 8u << 20;
	config.ready_fd = fds[1];
	/* The fake sends signals to its supervisor. */
	config.seccomp = UZ_SECCOMP_OFF;
	config.version = "1";
	config.argv = argv;
	config.watchdog = fake->watchdog;
	config.swap = fake->swap;
	if (fake->no_compaction)
		assert_int_equal(uz_daemon_config_set(&config, "compaction",
						      "off", NULL),
				 0);
	rc = uz_daemon_run(&config, &fake_reason);
	assert_int_equal(rc, fake_reason.code);
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

bool fake_left_behind(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fake_rundir, name);
	return access(path, F_OK) == 0;
}

int fake_setup(void **state)
{
	(void)state;
	memset(fake, 0, sizeof(*fake));
	return 0;
}

/* The fake of whoever has executed us. */
static int map_fake(int fd)
{
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	return fake == MAP_FAILED ? -1 : 0;
}

static int make_fake(void)
{
	char text[16];
	/* It stays open when a program is executed. */
	int fd = memfd_create("fake", 0);

	if (fd < 0 || ftruncate(fd, sizeof(*fake)))
		return -1;
	snprintf(text, sizeof(text), "%d", fd);
	return setenv("UZ_TEST_FAKE", text, 1) || map_fake(fd);
}

static int be_worker(const char *option)
{
	struct uz_daemon_config config;
	struct uz_err err;

	executed = true;
	if (map_fake(atoi(getenv("UZ_TEST_FAKE"))))
		return 1;
	uz_daemon_config_init(&config);
	strcpy(config.name, "dev");
	config.version = "2";
	config.seccomp = UZ_SECCOMP_OFF;
	config.compaction = !fake->no_compaction;
	return uz_daemon_work(&config, atoi(option), &err) != 0;
}

int fake_begin(void **state)
{
	const struct rlimit none = { 0 };

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setrlimit(RLIMIT_CORE, &none);
	if (make_fake() || readlink("/proc/self/exe", test_program,
				    sizeof(test_program) - 1) < 0)
		return -1;
	return !mkdtemp(fake_rundir) || setenv("UZRAM_RUNDIR", fake_rundir, 1);
}

int fake_end(void **state)
{
	(void)state;
	return rmdir(fake_rundir);
}

bool fake_is_worker(int argc, char **argv, int *status)
{
	static const char worker[] = "--worker=";

	if (argc < 2 || strncmp(argv[1], worker, sizeof(worker) - 1) != 0)
		return false;
	*status = be_worker(argv[1] + sizeof(worker) - 1);
	return true;
}
