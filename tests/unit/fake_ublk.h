/* SPDX-License-Identifier: MIT */
#ifndef FAKE_UBLK_H
#define FAKE_UBLK_H

#include <ublk_priv.h>

/*
 * The ublk driver, as far as a disk's life goes, in place of control.c and
 * ring.c: with one disk, without requests. It asserts what the real one relies
 * on, and what it has can be seen. Nodes, users and threads come through the
 * linker (--wrap).
 */

#define ID     7
#define QUEUES 3

#define RECOVERY (UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)
#define FEATURES (RECOVERY | UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_PER_IO_DAEMON)

/* What is to fail. */
enum what {
	NOTHING,
	CONTROL, /* reaching the driver */
	COMMAND, /* @nr */
	THREAD, /* the @nr-th */
	RING, /* of queue @nr */
	TAGS, /* of queue @nr */
	TELL, /* it to leave, likewise */
	NODE, /* opening it */
	MAP, /* of the node */
	DISK, /* opening /dev/ublkbN */
	STAT, /* asking for its number */
	USERS, /* looking for them */
	WORD, /* the session, where it is kept */
};

struct fake_fault {
	enum what what;
	unsigned int nr;
	int code;
};

extern struct fake_fault fault;

struct fake_driver {
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	uint64_t features;
	struct ublksrv_ctrl_dev_info info;
	bool exists;
	bool ends; /* tags come back */
	unsigned int tags;
	unsigned int busy; /* times that a recovery is too early */
	unsigned int early; /* times that the disk is still asked for as live */
	unsigned int held; /* times that the dead server's node is open */
	unsigned int slow; /* times that its works are not done in time */
	bool late; /* a work of the dead server has yet to be done */
	unsigned int quiesced; /* times */
	uint64_t sectors; /* last told */
	unsigned int told[2]; /* queues, to leave; while it was quiesced */
	int limit; /* file: of requests to a queue */
	int node; /* its server's descriptor, or -1 */
	int controls, rings, threads;
	unsigned int users; /* of the disk */
	unsigned int last; /* command */
};

extern struct fake_driver driver;

/* No fault, no disk. */
void fake_driver_init(void);

/* The kernel ends the server of the disk, which then waits for another. */
void fake_driver_release(void);

#endif
