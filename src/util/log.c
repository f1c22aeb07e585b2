// SPDX-License-Identifier: MIT
/*
 * One-line messages on stderr. A line is built in a buffer of its own and
 * written by one write(2), so lines of several threads never mix and no lock
 * is needed. The prefix is set once, before other threads exist.
 *
 * What a message quotes may come from anybody who can write an attribute, so
 * it stays one line whatever it holds: nobody can have a line of his own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/log.h>

static char log_who[64] = "uzram";
static enum uz_log_level log_max = UZ_LOG_INFO;
static bool log_to_journal;

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
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
		/* Nobody is left to be told. */
	}
	errno = saved;
}
