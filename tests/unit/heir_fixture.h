/* SPDX-License-Identifier: MIT */
#ifndef HEIR_FIXTURE_H
#define HEIR_FIXTURE_H

/*
 * Workers for tests of heirs: processes that do nothing but have one, if they
 * get it. The test is their supervisor.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

#include "soon.h"

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

/* How many are left. */
static unsigned int reaped(struct uz__heirs *heirs)
{
	uz__heirs_reap(heirs);
	return heirs->nr;
}

static bool childless(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* A worker has ended: so does its heir, and no child is left. */
static bool nobody_stays(pid_t worker)
{
	struct uz__heirs heirs = { 0 };

	uz__heirs_add(&heirs, worker);
	return SOON(!reaped(&heirs)) && childless();
}

/* How a worker ends that is told to go. */
static int told_to_go(pid_t worker)
{
	int status;

	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	return status;
}

#endif
