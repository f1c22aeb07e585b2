/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_LOG_H
#define UZRAM_UTIL_LOG_H

#include <uzram/types.h>

/**
 * DOC: one-line messages on stderr
 *
 * When stderr is the journal (JOURNAL_STREAM names it) each line is prefixed
 * "<N>" as sd-daemon(3) describes; otherwise by the program's name. Log where
 * an error is handled, not at each level.
 */

enum uz_log_level {
	UZ_LOG_ERR = 3,
	UZ_LOG_WARN = 4,
	UZ_LOG_NOTICE = 5,
	UZ_LOG_INFO = 6,
	UZ_LOG_DEBUG = 7,
};

/**
 * uz_log_init() - say who speaks and how much
 * @who: prefix of each line ("uzramd uz0"); copied
 * @max: the least urgent level still printed
 *
 * Context: before any other thread exists.
 */
void uz_log_init(const char *who, enum uz_log_level max);

/**
 * uz_log() - print one line
 * @level: its urgency
 * @fmt:   the line, without a line feed; control characters in it become '?',
 *         and beyond some 500 bytes it is cut
 *
 * Context: any thread; one write(2), so lines never mix. Keeps errno.
 */
void uz_log(enum uz_log_level level, const char *fmt, ...) uz_printf(2, 3);

/**
 * uz_log_hold() - from now on keep what is to be printed
 *
 * For a process that whoever has the log may wait for: to write there might
 * mean to wait for oneself. Some 4 KiB are kept, and how many lines were not.
 *
 * Context: before any other thread exists, once.
 */
void uz_log_hold(void);

/**
 * uz_log_release() - print what was kept, and from now on all at once
 *
 * Context: any thread; nothing without uz_log_hold().
 */
void uz_log_release(void);

#endif
