// SPDX-License-Identifier: MIT
/*
 * One-line messages on stderr. A line is built in a buffer of its own and
 * written by one write(2), so lines of several threads never mix and no lock
 * is needed. Only while lines are held one guards them; it is not held across
 * the write. The prefix is set once, before other threads exist.
 *
 * What a message quotes may come from anybody who can write an attribute, so
 * it stays one line whatever it holds: nobody can have a line of his own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/lock.h>
#include <uzram/util/log.h>

static char log_who[64] = "uzram";
static enum uz_log_level log_max = UZ_LOG_INFO;
static bool log_to_journal;

/* More than a worker says before it serves. */
#define HELD 4096

/*
 * struct held - lines that are to be printed later
 * @on:   looked at without the lock; set before there are threads
 * @lock: guards the rest
 * @text: the lines, @len bytes
 * @lost: lines for which there was no room
 */
static struct held {
	_Atomic bool on;
	struct uz_lock lock;
	char text[HELD];
	size_t len;
	unsigned int lost;
} held;

/* The variable names the journal's socket; stderr may be redirected since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return !strcmp(own, stream);
}

void uz_log_init(const char *who, enum uz_log_level max)
{
	snprintf(log_who, sizeof(log_who), "%s", who);
	log_max = max;
	log_to_journal = stderr_is_journal();
}

static void print(const char *text, size_t size)
{
	if (write(STDERR_FILENO, text, size) < 0) {
		/* Nobody is left to be told. */
	}
}

/* False: they are held no longer. */
static bool hold_line(const char *line, size_t size)
{
	uz_scoped_acquire(guard, &held.lock);

	/* relaxed, here and below: the lock orders it. */
	if (!atomic_load_explicit(&held.on, memory_order_relaxed))
		return false;
	if (size > sizeof(held.text) - held.len) {
		held.lost++;
		return true;
	}
	memcpy(held.text + held.len, line, size);
	held.len += size;
	return true;
}

void uz_log_hold(void)
{
	uz_lock_init(&held.lock, UZ_LOCK_LEAF);
	atomic_store_explicit(&held.on, true, memory_order_relaxed);
}

void uz_log_release(void)
{
	/* relaxed: who holds and who releases are one thread, or joined. */
	if (!atomic_load_explicit(&held.on, memory_order_relaxed))
		return;
	uz_lock_acquire(&held.lock);
	atomic_store_explicit(&held.on, false, memory_order_relaxed);
	uz_lock_release(&held.lock);
	/* Nobody adds to it any more. */
	if (held.len)
		print(held.text, held.len);
	if (held.lost)
		uz_log(UZ_LOG_NOTICE, "%u more lines were not kept", held.lost);
}

void uz_log(enum uz_log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[512];
	size_t room = sizeof(line) - 1; /* one byte stays for the line feed */
	va_list ap;
	int n, i;

	if (level > log_max)
		return;
	if (log_to_journal)
		n = snprintf(line, room, "<%d>", (int)level);
	else
		n = snprintf(line, room, "%s: ", log_who);
	va_start(ap, fmt);
	n += vsnprintf(line + n, room - (size_t)n, fmt, ap);
	va_end(ap);
	if ((size_t)n > room - 1)
		n = (int)room - 1;
	for (i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	/* relaxed: a stale answer is put right under the lock. */
	if (!atomic_load_explicit(&held.on, memory_order_relaxed) ||
	    !hold_line(line, (size_t)n))
		print(line, (size_t)n);
	errno = saved;
}
