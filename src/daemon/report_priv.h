/* SPDX-License-Identifier: MIT */
#ifndef UZ_REPORT_PRIV_H
#define UZ_REPORT_PRIV_H

#include <stdbool.h>

#include <uzram/types.h>

/*
 * enum uz__report_kind - what a worker has to say
 * @UZ__REPORT_BEGINS:  it is a program that knows how to take over
 * @UZ__REPORT_SERVES:  files can be opened; @text is its version
 * @UZ__REPORT_UPGRADE: the board says what somebody has asked for
 * @UZ__REPORT_MANAGER: @text is for the service manager (uz__report_relay())
 * @UZ__REPORT_FAILED:  it is about to end, by @rc, because of @text
 * @UZ__REPORT_QUIT:    a signal has asked for the end: it may be unmounted
 * @UZ__REPORT_STAYS:   it was to leave, but serves on, because of @text
 */
enum uz__report_kind {
	UZ__REPORT_SERVES,
	UZ__REPORT_MANAGER,
	UZ__REPORT_FAILED,
	UZ__REPORT_BEGINS,
	UZ__REPORT_UPGRADE,
	UZ__REPORT_QUIT,
	UZ__REPORT_STAYS,
};

/* How a worker ends that has left the device to the next one. */
#define UZ__STATUS_LEFT 6

struct uz__report {
	enum uz__report_kind kind;
	int rc;
	char text[512];
};

/* Says it; @fd is the pipe. */
void uz__report(int fd, enum uz__report_kind kind, int rc, const char *fmt, ...)
	uz_printf(4, 5);

/* The next one; @report->text is a string. False: there is none. */
uz_must_check bool uz__report_take(int fd, struct uz__report *report);

/*
 * Tells the service manager the first line of the text, if it is one of those
 * that a worker has to say. Others would have it give up what it keeps, or take
 * another process for the supervisor, which is not the worker's to say.
 */
void uz__report_relay(struct uz__report *report);

#endif
