// SPDX-License-Identifier: MIT
/*
 * How far an upgrade is, by a clock that the test has: what each stage may
 * take, what is said of it, and what is refused from the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

struct world {
	struct uz__daemon d;
	struct uz__upgrade u;
	struct uz_frontend_ops ops;
	int line[2];
};

/* What the service manager was told last, and what everybody was by then. */
static struct {
	uint32_t board;
	int program;
	char serving[64];
} kept;

void __wrap_uz__store_keep(struct uz__daemon *d);
void __wrap_uz__store_keep(struct uz__daemon *d)
{
	kept.board = atomic_load(&d->board->state);
	kept.program = d->program;
	strcpy(kept.serving, d->serving);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->d.ops = &w->ops;
	w->d.served = true;
	w->d.program = -1;
	w->u.program = w->u.opener.line = -1;
	strcpy(w->d.program_path, "/proc/self/exe");
	*state = w;
	return uz__board_create(&w->d);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	uz__opener_end(&w->u.opener);
	if (w->u.program >= 0)
		close(w->u.program);
	if (w->d.program >= 0)
		close(w->d.program);
	uz__board_close(&w->d);
	free(w);
	return 0;
}

static void expect_last(struct world *w, unsigned int upgrades,
			unsigned int rollbacks, const char *want)
{
	struct uz_strbuf text = { 0 };
	char numbers[64];

	uz__board_show(w->d.board, "2", &text);
	snprintf(numbers, sizeof(numbers), "\nupgrades %u\nrollbacks %u\n",
		 upgrades, rollbacks);
	assert_non_null(strstr(text.data, "state idle\n"));
	assert_non_null(strstr(text.data, numbers));
	assert_non_null(strstr(text.data, want));
	uz_strbuf_free(&text);
}

/* It asks whether the program is open, until that is so or never will be. */
static bool opens(struct world *w, bool asked, uint64_t now)
{
	bool opened = false;

	uz__upgrade_begin(&w->u, &w->d, asked, now);
	while (w->u.stage == UZ__UPGRADE_OPENING && !opened) {
		usleep(1000);
		opened = uz__upgrade_opened(&w->u, &w->d, now);
	}
	return opened;
}

static void begin(struct world *w, uint64_t now)
{
	assert_true(opens(w, false, now));
}

static void refuse(struct world *w, bool asked)
{
	assert_false(opens(w, asked, 1000));
}

static void test_upgraded(void **state)
{
	struct world *w = *state;
	int program;

	uz__upgrade_serves(&w->u, &w->d, "1", 500);
	begin(w, 1000);
	assert_int_equal(w->u.stage, UZ__UPGRADE_LEAVING);
	assert_int_equal(w->u.deadline, 2000);
	/* One at a time. */
	uz__upgrade_begin(&w->u, &w->d, false, 1100);
	assert_int_equal(w->u.stage, UZ__UPGRADE_LEAVING);
	uz__upgrade_left(&w->u, 1200);
	assert_int_equal(w->u.stage, UZ__UPGRADE_COMING);
	assert_int_equal(w->u.deadline, 6200);
	uz__upgrade_begins(&w->u, 1300);
	assert_int_equal(w->u.deadline, 61300);
	assert_int_equal(w->u.limit, 60000);
	program = w->u.program;
	uz__upgrade_serves(&w->u, &w->d, "2", 1500);
	assert_int_equal(w->u.stage, UZ__UPGRADE_NONE);
	assert_int_equal(w->u.deadline, 0);
	assert_int_equal(w->d.program, program);
	assert_int_equal(w->u.program, -1);
	expect_last(w, 1, 0, "\nlast upgraded from 1 to 2, pause 500 ms\n");
	/* Whoever is told may kill this supervisor: the next one has it all. */
	assert_int_equal(kept.board, UZ__BOARD_RUNNING);
	assert_int_equal(kept.program, program);
	assert_string_equal(kept.serving, "2");
	/* One that takes the place of one that died. */
	uz__upgrade_begins(&w->u, 1600);
	assert_int_equal(w->u.deadline, 0);
	uz__upgrade_serves(&w->u, &w->d, "2", 1700);
	expect_last(w, 1, 0, "\nlast upgraded from 1 to 2, pause 500 ms\n");
}

static void test_rolled_back(void **state)
{
	struct world *w = *state;

	uz__upgrade_serves(&w->u, &w->d, "1", 500);
	begin(w, 1000);
	uz__upgrade_left(&w->u, 1000);
	uz__upgrade_failed(&w->u, &w->d, "does not serve after 5 s");
	assert_int_equal(w->u.stage, UZ__UPGRADE_BACK);
	assert_int_equal(w->u.deadline, 0);
	assert_int_equal(w->u.program, -1);
	uz__upgrade_serves(&w->u, &w->d, "1", 7000);
	assert_int_equal(w->d.program, -1);
	expect_last(w, 0, 1,
		    "\nlast rolled back to 1, pause 6000 ms: /proc/self/exe: "
		    "does not serve after 5 s\n");
}

/* A supervisor that follows another one, which had served by a program. */
static void test_restarted(void **state)
{
	struct world *w = *state;

	strcpy(w->d.serving, "1");
	w->d.program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	/* Whatever the other one was at. */
	assert_int_equal(uz__board_ask(w->d.board, "/a", false, NULL), 0);
	uz__upgrade_restart(&w->u, &w->d, 1000);
	assert_int_equal(w->u.stage, UZ__UPGRADE_COMING);
	assert_int_equal(w->u.deadline, 61000);
	assert_int_equal(w->u.program, -1);
	uz__upgrade_serves(&w->u, &w->d, "1", 1500);
	assert_int_equal(w->u.stage, UZ__UPGRADE_NONE);
	assert_int_equal(w->u.deadline, 0);
	assert_int_equal(w->d.program, -1);
	expect_last(w, 0, 0, "");
	/* From then on it is as ever. */
	begin(w, 2000);
	uz__upgrade_left(&w->u, 2000);
	uz__upgrade_serves(&w->u, &w->d, "1", 2100);
	expect_last(w, 1, 0, "\nlast upgraded from 1 to 1, pause 100 ms\n");
	/* Of another version, and of one that does not come up. */
	uz__upgrade_restart(&w->u, &w->d, 3000);
	uz__upgrade_serves(&w->u, &w->d, "2", 3300);
	expect_last(w, 2, 0, "\nlast upgraded from 1 to 2, pause 300 ms\n");
	uz__upgrade_restart(&w->u, &w->d, 4000);
	uz__upgrade_failed(&w->u, &w->d, "no");
	uz__upgrade_serves(&w->u, &w->d, "2", 4400);
	expect_last(w, 2, 1,
		    "\nlast rolled back to 2, pause 400 ms: /proc/self/exe: "
		    "no\n");
	/* To leave, for good. */
	uz__upgrade_park(&w->u, &w->d, 5000);
	assert_int_equal(w->u.stage, UZ__UPGRADE_LEAVING);
	assert_int_equal(w->u.deadline, 6000);
}

/* It has to be said while the worker is to leave; later it is of no meaning. */
static void test_stays(void **state)
{
	struct world *w = *state;

	uz__upgrade_serves(&w->u, &w->d, "1", 500);
	uz__upgrade_stays(&w->u, &w->d, "early");
	begin(w, 1000);
	uz__upgrade_stays(&w->u, &w->d, "no");
	assert_int_equal(w->u.stage, UZ__UPGRADE_NONE);
	assert_int_equal(w->u.deadline, 0);
	assert_int_equal(w->u.program, -1);
	expect_last(w, 0, 1, "\nlast not upgraded, 1 serves on: no\n");
	begin(w, 2000);
	uz__upgrade_left(&w->u, 2100);
	uz__upgrade_stays(&w->u, &w->d, "late");
	assert_int_equal(w->u.stage, UZ__UPGRADE_COMING);
}

static void test_refused(void **state)
{
	struct world *w = *state;

	uz__upgrade_serves(&w->u, &w->d, "1", 500);
	w->d.served = false;
	refuse(w, false);
	w->d.served = true;
	expect_last(w, 0, 0, "");
	w->d.program_path[0] = '\0';
	refuse(w, false);
	expect_last(w, 0, 1,
		    "\nlast not upgraded, 1 serves on: where this program lies "
		    "cannot be told without /proc; name one\n");
	assert_int_equal(uz__board_ask(w->d.board, "/", false, NULL), 0);
	refuse(w, true);
	expect_last(w, 0, 2,
		    "\nlast not upgraded, 1 serves on: /: is no program\n");
	/* Whoever asked has been answered. */
	refuse(w, true);
	expect_last(w, 0, 2, "");
}

/* A program behind a server that does not answer, for whom this one stands. */
static void test_stuck(void **state)
{
	struct world *w = *state;
	pid_t stuck;

	uz__upgrade_serves(&w->u, &w->d, "1", 500);
	uz__upgrade_begin(&w->u, &w->d, false, 1000);
	assert_int_equal(w->u.stage, UZ__UPGRADE_OPENING);
	assert_int_equal(w->u.deadline, 6000);
	/* As if nothing had come. */
	stuck = w->u.opener.pid[0];
	close(w->u.opener.line);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, w->line), 0);
	w->u.opener.line = w->line[0];
	assert_false(uz__upgrade_opened(&w->u, &w->d, 5999));
	assert_int_equal(w->u.stage, UZ__UPGRADE_OPENING);
	assert_false(uz__upgrade_opened(&w->u, &w->d, 6000));
	assert_int_equal(w->u.stage, UZ__UPGRADE_NONE);
	close(w->line[1]);
	expect_last(w, 0, 1,
		    "\nlast not upgraded, 1 serves on: the program "
		    "cannot be opened in time\n");
	while (w->u.opener.nr)
		uz__opener_reap(&w->u.opener);
	assert_int_equal(waitpid(stuck, NULL, WNOHANG), -1);
	begin(w, 7000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_upgraded, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_rolled_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_restarted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_stuck, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stays, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
