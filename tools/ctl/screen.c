// SPDX-License-Identifier: MIT
/*
 * A terminal that is drawn on, by the sequences that every terminal of today
 * understands: its alternate screen, so that what was there is there again
 * afterwards, without a cursor, and keys that come one by one.
 *
 * Whatever ends or stops the process by a signal finds the terminal as it was:
 * those signals are blocked and read from a descriptor while the terminal is
 * taken, and done to the process once it has been given back.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "screen.h"
#include <uzram/util/strbuf.h>

#define NS_PER_S 1000000000u

/* The alternate screen without a cursor, and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static const int watched[] = { SIGINT,	SIGTERM, SIGHUP,
			       SIGQUIT, SIGTSTP, SIGWINCH };

static void watch(int how)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(how, &set, NULL);
}

static bool put(const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDOUT_FILENO, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* The terminal is ours. Nothing of that is worth failing for. */
static void take(struct screen *s)
{
	struct termios raw;

	s->keys = !tcgetattr(STDIN_FILENO, &s->before);
	if (s->keys) {
		raw = s->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	put(ENTER, strlen(ENTER));
}

static void give_back(struct screen *s)
{
	put(LEAVE, strlen(LEAVE));
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
	s->keys = false;
}

void screen_begin(struct screen *s)
{
	const char *term = getenv("TERM");
	sigset_t set;
	size_t i;

	*s = (struct screen){ .signals = -1 };
	if (!isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb"))
		return;
	sigemptyset(&set);
	for (i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&set, watched[i]);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return;
	s->terminal = true;
	watch(SIG_BLOCK);
	take(s);
}

void screen_end(struct screen *s)
{
	if (!s->terminal)
		return;
	give_back(s);
	watch(SIG_UNBLOCK);
	close(s->signals);
	s->terminal = false;
}

/* ---- drawing ---- */

/* As many lines and columns of @text as there are; the rest is wiped out. */
static void frame(struct uz_strbuf *b, const char *text)
{
	struct winsize size = { 0 };
	unsigned int row = 0, rows, columns = ctl_columns(STDOUT_FILENO);
	size_t len;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	rows = size.ws_row ? size.ws_row : 24;
	uz_strbuf_add(b, "\033[H");
	for (; *text && row < rows; row++) {
		len = strcspn(text, "\n");
		/* The last row ends without a line feed, which would scroll. */
		uz_strbuf_add(b, "%s%.*s\033[K", row ? "\r\n" : "",
			      (int)(len < columns ? len : columns), text);
		text += len + (text[len] == '\n');
	}
	uz_strbuf_add(b, "\033[J");
}

bool screen_show(const struct screen *s, const char *text)
{
	struct uz_strbuf b = { 0 };
	bool shown;

	if (!s->terminal)
		return put(text, strlen(text));
	frame(&b, text);
	shown = !uz_strbuf_error(&b) && put(b.data, b.len);
	uz_strbuf_free(&b);
	return shown;
}

/* ---- waiting ---- */

/* What the signal would have done, but with the terminal as it was. */
static enum screen_event obey(struct screen *s, int signal_number)
{
	sigset_t one;

	if (signal_number == SIGWINCH)
		return SCREEN_AGAIN;
	give_back(s);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	/* Only one that was stopped goes on. */
	sigprocmask(SIG_BLOCK, &one, NULL);
	take(s);
	return SCREEN_AGAIN;
}

static enum screen_event on_signal(struct screen *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return SCREEN_AGAIN;
	return obey(s, (int)info.ssi_signo);
}

static enum screen_event on_key(void)
{
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return SCREEN_AGAIN;
	/* A terminal that is gone gives no keys. */
	return n < 1 || key == 'q' || key == 'Q' ? SCREEN_QUIT : SCREEN_AGAIN;
}

enum screen_event screen_wait(struct screen *s, uint64_t ns)
{
	const struct timespec time = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};
	/* Without a terminal, nothing but the time. */
	struct pollfd fds[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int n = ppoll(fds, 2, &time, NULL);

	if (!n)
		return SCREEN_TIME;
	if (n > 0 && fds[0].revents)
		return on_signal(s);
	if (n > 0)
		return on_key();
	return SCREEN_AGAIN;
}
