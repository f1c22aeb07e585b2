// SPDX-License-Identifier: MIT
/*
 * The process that takes apart what a dead worker had mapped: what it keeps
 * from being known, which is nothing, when it goes, and what it may do. There
 * are none in a build without the filter.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "heir_fixture.h"

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

/* A worker that has an heir. */
static pid_t start_with_heir(pid_t *heir)
{
	pid_t worker = start_worker(NULL);

	*heir = heir_of(worker);
	assert_int_not_equal(*heir, 0);
	return worker;
}

static void test_goes_with_the_worker(void **state)
{
	struct uz__heirs heirs = { 0 };
	pid_t worker, heir;

	(void)state;
	worker = start_with_heir(&heir);
	worker_dies(worker);
	assert_true(nobody_stays(worker));

	worker = start_with_heir(&heir);
	assert_int_equal(told_to_go(worker), W_EXITCODE(7, 0));
	uz__heirs_add(&heirs, worker);
	uz__heirs_end(&heirs);
	assert_true(childless());
}

/* While it is there, all that ends with a worker has ended. */
static void test_hides_nothing(void **state)
{
	struct pollfd end = { .fd = told[0], .events = POLLIN };
	struct uz__heirs heirs = { 0 };
	pid_t worker, heir;

	(void)state;
	worker = start_with_heir(&heir);
	assert_int_equal(kill(heir, SIGSTOP), 0);
	close(told[1]);
	assert_int_equal(poll(&end, 1, 0), 0);
	worker_dies(worker);
	assert_int_equal(poll(&end, 1, -1), 1);
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
	for (i = 0; i <= UZ__HEIRS_MAX; i++) {
		worker[i] = start_with_heir(&heir);
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
	assert_true(SOON(reaped(&heirs) == UZ__HEIRS_MAX - 1));
	assert_int_equal(heirs.worker[0], worker[1]);
	assert_int_equal(heirs.worker[1], worker[3]);
	uz__heirs_end(&heirs);
	assert_true(childless());
}

static void test_may_do_nothing(void **state)
{
	const uint64_t open_to_signals = 1ull << (SIGKILL - 1) |
					 1ull << (SIGSTOP - 1);
	pid_t worker, heir;
	int i;

	(void)state;
	worker = start_with_heir(&heir);
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
	assert_true(nobody_stays(worker));
}

/* Somebody has killed it: nothing but that it is missing. */
static void test_killed(void **state)
{
	pid_t worker, heir;

	(void)state;
	worker = start_with_heir(&heir);
	assert_int_equal(kill(heir, SIGKILL), 0);
	assert_int_equal(told_to_go(worker), W_EXITCODE(7, 0));
	assert_true(nobody_stays(worker));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
