/* SPDX-License-Identifier: MIT */
#ifndef DAEMON_FIXTURE_H
#define DAEMON_FIXTURE_H

#include <uzram/daemon.h>
#include <uzram/frontend.h>

/*
 * A front end that mounts nothing, in place of src/frontend/, for tests of the
 * daemon. Signals, processes and their deaths are real, so the fake lies in
 * memory that all of them share. The program that is upgraded to is the test
 * itself, executed once more.
 *
 * struct fake_frontend - what it is to do, and what was done to it
 */
struct fake_frontend {
	int mount_rc;
	int start_rc;
	int stop_rc[2];
	bool deaf; /* whoever looks for users gets no answer */
	bool late; /* and not before it is too late */
	int wait_rc;
	int signal;
	bool ends_itself;
	char calls[128];
	_Atomic unsigned int stopped; /* by the thread for signals */
	_Atomic unsigned int stops; /* by the process that unmounts */
	uint64_t disksize;
	uint64_t mem_limit;
	unsigned int threads;
	unsigned int compactors;
	unsigned int restarts;
	unsigned int hangs;
	unsigned int watchdog; /* seconds */
	bool no_compaction;
	bool swap;
	bool mute; /* from the first death on nobody can write to the log */
	_Atomic bool heard; /* what it says before, for which it waits */
	int deaths; /* of workers that serve, to come */
	int early; /* of workers that do not yet */
	int vain; /* the same, but not of the first */
	int death; /* the signal */
	int later_rc; /* of starts after the first */
	unsigned int later; /* how many of them */
	unsigned int upgrades; /* that workers have yet to ask for, by SIGHUP */
	bool by_board; /* or by the attribute */
	bool stays; /* when it is to leave */
	bool refuses; /* to leave, and serves on */
	bool late_refusal; /* dies of a signal after that, both heard at once */
	bool unheard; /* what it says is heard after its time is over */
	_Atomic bool overdue; /* it is */
	_Atomic pid_t leaving; /* the worker that does, waiting for */
	_Atomic bool go;
	int program_rc; /* of the start of an executed worker */
	int program_death; /* it dies of that instead */
	char shown[512]; /* by the attribute, in the last worker */
};

extern struct fake_frontend *fake;

/* Why the last life ended; as uz_daemon_run() says. */
extern struct uz_err fake_reason;

/* Where devices are, between fake_begin() and fake_end(). */
extern char fake_rundir[24];

/*
 * One life. Returns what uz_daemon_run() does; @heard is what the starter got.
 */
int fake_run(const char *name, uint64_t size, char *heard, size_t room);

/* NAME in the run directory exists. */
bool fake_left_behind(const char *name);

/* Threads of this process that compact. */
unsigned int fake_compactors(void);

/* Before each test. */
int fake_setup(void **state);

/* Before and after all of them: a run directory. */
int fake_begin(void **state);
int fake_end(void **state);

/*
 * In main(): true if this process is a worker that a supervisor has executed;
 * it has ended then, by @status.
 */
bool fake_is_worker(int argc, char **argv, int *status);

#endif
