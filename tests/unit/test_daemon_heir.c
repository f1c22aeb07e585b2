// SPDX-License-Identifier: MIT
/*
 * The process that takes apart what a dead worker had mapped: what it keeps
 * from being known, which is nothing, when it goes, what it may do, and that a
 * worker without one is as any other. The test is the supervisor.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

/* A hundred times what it takes. */
#define PATIENCE_MS 5000

static struct uz__board board;
static const struct uz__daemon d = { .board = &board };

/* What the workers of this test can be told by, and tell. */
static int go[2], told[2];

static int setup(void **state)
{
	(void)state;
	board.heirs = 1;
	return pipe(go) || pipe(told) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(go[0]);
	close(go[1]);
	close(told[0]);
	close(told[1]);
	return 0;
}

/* Has the kernel refuse a call from now on; as an old one would. */
static void refuse(long call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { 4, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(100);
}

/*
 * A worker: does @before, has its heir, says so, and lives until it is killed
 * or told to go.
 */
static pid_t start_worker(void (*before)(void))
{
	pid_t pid;
	char c = 0;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		close(go[1]);
		if (before)
			before();
		uz__heir_start(&d);
		if (write(told[1], &c, 1) != 1)
			_exit(101);
		c = (char)read(go[0], &c, 1);
		_exit(7);
	}
	assert_int_equal(read(told[0], &c, 1), 1);
	return pid;
}

/* The child of this process that is in the worker's group and is not it; 0. */
static pid_t heir_of(pid_t worker)
{
	char path[64], line[512];
	pid_t child, heir = 0;
	FILE *f, *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 (int)getpid());
	f = fopen(path, "r");
	assert_non_null(f);
	while (fscanf(f, "%d", &child) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
		stat = fopen(path, "r");
		assert_non_null(stat);
		assert_non_null(fgets(line, sizeof(line), stat));
		fclose(stat);
		if (!strcmp(line, "Name:\tuzramd-heir\n") &&
		    getpgid(child) == worker)
			heir = child;
	}
	fclose(f);
	return heir;
}

static unsigned long long field(pid_t pid, const char *name)
{
	unsigned long long value = ~0ull;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, 16);
	fclose(f);
	return value;
}

static void worker_dies(pid_t worker)
{
	int status;

	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_true(WIFSIGNALED(status));
}

static bool goes(struct uz__heirs *heirs)
{
	int i;

	for (i = 0; i < PATIENCE_MS && heirs->nr; i++) {
		usleep(1000);
		uz__heirs_reap(heirs);
	}
	return !heirs->nr;
}

/* Nobody is left. */
static bool childless(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void test_goes_with_the_worker(void **state)
{
	struct uz__heirs heirs = { 0 };
	pid_t worker;
	int status;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	worker = start_worker(NULL);
	assert_int_not_equal(heir_of(worker), 0);
	worker_dies(worker);
	uz__heirs_add(&heirs, worker);
	assert_true(goes(&heirs));
	assert_true(childless());

	worker = start_worker(NULL);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_int_equal(WEXITSTATUS(status), 7);
	uz__heirs_add(&heirs, worker);
	uz__heirs_end(&heirs);
	assert_true(childless());
}

/* While it is there, all that ends with a worker has ended. */
static void test_hides_nothing(void **state)
{
	struct pollfd end = { .fd = told[0], .events = POLLIN };
	struct uz__heirs heirs = { 0 };
	pid_t worker;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	worker = start_worker(NULL);
	assert_int_equal(kill(heir_of(worker), SIGSTOP), 0);
	close(told[1]);
	assert_int_equal(poll(&end, 1, 0), 0);
	worker_dies(worker);
	assert_int_equal(poll(&end, 1, PATIENCE_MS), 1);
	assert_true(end.revents & POLLHUP);
	uz__heirs_add(&heirs, worker);
	uz__heirs_reap(&heirs);
	assert_int_equal(heirs.nr, 1);
	assert_int_equal(heirs.worker[0], worker);
	/* The end comes even so. */
	uz__heirs_end(&heirs);
	assert_int_equal(heirs.nr, 0);
	assert_true(childless());
	told[1] = dup(told[0]); /* for teardown() */
}

/* One too many does not get on: it is the oldest that has to. */
static void test_many(void **state)
{
	struct uz__heirs heirs = { 0 };
	pid_t worker[UZ__HEIRS_MAX + 1], heir;
	unsigned int i;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	for (i = 0; i <= UZ__HEIRS_MAX; i++) {
		worker[i] = start_worker(NULL);
		heir = heir_of(worker[i]);
		assert_int_not_equal(heir, 0);
		assert_int_equal(kill(heir, SIGSTOP), 0);
		worker_dies(worker[i]);
		uz__heirs_add(&heirs, worker[i]);
		assert_int_equal(heirs.nr,
				 i < UZ__HEIRS_MAX ? i + 1 : UZ__HEIRS_MAX);
		assert_int_equal(heirs.worker[heirs.nr - 1], worker[i]);
	}
	assert_int_equal(heirs.worker[0], worker[1]);
	/* Any of them may be the next that goes. */
	assert_int_equal(kill(heir_of(worker[2]), SIGCONT), 0);
	for (i = 0; i < PATIENCE_MS && heirs.nr == UZ__HEIRS_MAX; i++) {
		usleep(1000);
		uz__heirs_reap(&heirs);
	}
	assert_int_equal(heirs.nr, UZ__HEIRS_MAX - 1);
	assert_int_equal(heirs.worker[0], worker[1]);
	assert_int_equal(heirs.worker[1], worker[3]);
	uz__heirs_end(&heirs);
	assert_true(childless());
}

static void test_may_do_nothing(void **state)
{
	const uint64_t open_to_signals = 1ull << (SIGKILL - 1) |
					 1ull << (SIGSTOP - 1);
	struct uz__heirs heirs = { 0 };
	pid_t worker, heir;
	int i;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	worker = start_worker(NULL);
	heir = heir_of(worker);
	assert_int_equal(field(heir, "Seccomp:"), 2);
	assert_int_equal(field(heir, "NoNewPrivs:"), 1);
	assert_int_equal(field(heir, "CapPrm:"), 0);
	assert_int_equal(field(heir, "CapEff:"), 0);
	assert_true(getpriority(PRIO_PROCESS, (id_t)heir) >= 10);
	for (i = 1; i < SIGRTMIN - 2; i++)
		if (!(open_to_signals & 1ull << (i - 1)))
			assert_int_equal(kill(heir, i), 0);
	/* The worker is what it was. */
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)worker),
			 getpriority(PRIO_PROCESS, 0));
	assert_int_equal(field(worker, "Seccomp:"),
			 field(getpid(), "Seccomp:"));
	assert_int_equal(field(worker, "CapEff:"), field(getpid(), "CapEff:"));
	assert_int_equal(field(worker, "SigBlk:"), field(getpid(), "SigBlk:"));
	usleep(10000);
	assert_int_equal(heir_of(worker), heir);
	worker_dies(worker);
	uz__heirs_add(&heirs, worker);
	assert_true(goes(&heirs));
}

/* Somebody has killed it: nothing but that it is missing. */
static void test_killed(void **state)
{
	struct uz__heirs heirs = { 0 };
	pid_t worker;
	int status;

	(void)state;
	if (!uz_daemon_can_filter())
		return;
	worker = start_worker(NULL);
	assert_int_equal(kill(heir_of(worker), SIGKILL), 0);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_int_equal(WEXITSTATUS(status), 7);
	uz__heirs_add(&heirs, worker);
	assert_true(goes(&heirs));
	assert_true(childless());
}

static void no_process(void)
{
	refuse(SYS_clone, EAGAIN);
}

static void no_close_range(void)
{
	refuse(SYS_close_range, ENOSYS);
}

static void no_capset(void)
{
	refuse(SYS_capset, EPERM);
}

static void no_socket(void)
{
	refuse(SYS_socketpair, EMFILE);
}

static void no_group(void)
{
	setpgid(0, getppid());
}

static void not_wanted(void)
{
	board.heirs = 0;
}

static void test_none(void **state)
{
	static void (*const why[])(void) = {
		no_process, no_close_range, no_capset,
		no_socket,  no_group,	    not_wanted,
	};
	struct uz__heirs heirs = { 0 };
	pid_t worker;
	int status;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(why) / sizeof(*why); i++) {
		worker = start_worker(why[i]);
		assert_int_equal(write(go[1], "x", 1), 1);
		assert_int_equal(waitpid(worker, &status, 0), worker);
		if (status != W_EXITCODE(7, 0))
			fail_msg("case %zu: status %#x", i, status);
		uz__heirs_add(&heirs, worker);
		assert_true(goes(&heirs));
		if (!childless())
			fail_msg("case %zu: an heir is left", i);
	}
	/* Without any there is nobody to wait for. */
	uz__heirs_reap(&heirs);
	uz__heirs_end(&heirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_with_the_worker,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_hides_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_may_do_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
