// SPDX-License-Identifier: MIT
/*
 * What must be taken down, whatever happens.
 *
 * Whoever makes a mount, a device or a child pushes its undoing at once. A
 * signal only raises a flag that every loop looks at, so the undoing is done
 * by the main thread, outside the handler, in reverse order.
 */
#include <assert.h>
#include <signal.h>
#include <string.h>

#include "bench.h"

#define UNDO_MAX 64

atomic_bool undo_stop;

static struct {
	void (*fn)(void *arg);
	void *arg;
} stack[UNDO_MAX];
static unsigned int depth;

static void on_signal(int sig)
{
	(void)sig;
	/* A flag that guards nothing else: relaxed is enough. */
	atomic_store_explicit(&undo_stop, true, memory_order_relaxed);
}

void undo_catch_signals(void)
{
	const int sig[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	for (size_t i = 0; i < sizeof(sig) / sizeof(sig[0]); i++)
		sigaction(sig[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void undo_push(void (*fn)(void *arg), void *arg)
{
	assert(depth < UNDO_MAX);
	stack[depth].fn = fn;
	stack[depth].arg = arg;
	depth++;
}

unsigned int undo_mark(void)
{
	return depth;
}

void undo_to(unsigned int mark)
{
	while (depth > mark) {
		depth--;
		stack[depth].fn(stack[depth].arg);
	}
}

void undo_all(void)
{
	undo_to(0);
}
