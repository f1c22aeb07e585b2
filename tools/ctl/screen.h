/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_CTL_SCREEN_H
#define UZRAM_CTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

/*
 * struct screen - where something is shown again and again
 * @terminal: a terminal that can be drawn on; else text goes out as it comes
 * @keys:     stdin has keys, and is set to give each at once
 * @signals:  descriptor of those that are waited for
 * @before:   how stdin was set
 */
struct screen {
	bool terminal;
	bool keys;
	int signals;
	struct termios before;
};

enum screen_event {
	SCREEN_TIME, /* the time is over */
	SCREEN_AGAIN, /* what is there has to be drawn again */
	SCREEN_QUIT, /* somebody wants the end */
};

/* Takes the terminal, if stdout is one. Must be followed by screen_end(). */
void screen_begin(struct screen *s);
void screen_end(struct screen *s);

/* Shows a text: in place of the last one, or after it. False: nobody reads. */
bool screen_show(const struct screen *s, const char *text);

/*
 * Waits for so many nanoseconds, or until there is something to do. A signal
 * that ends the process does so from here, with the terminal as it was.
 */
enum screen_event screen_wait(struct screen *s, uint64_t ns);

#endif
