// SPDX-License-Identifier: MIT
/*
 * Threads that begin together.
 *
 * They wait at a gate, held for writing, until all of them exist; when one
 * cannot be made, the gate opens all the same and nobody does anything.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench.h"

struct start {
	pthread_rwlock_t gate;
	bool cancelled; /* guarded by @gate */
	void (*fn)(void *arg);
};

struct thread {
	struct start *start;
	void *arg;
	pthread_t id;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	bool cancelled;

	pthread_rwlock_rdlock(&t->start->gate);
	cancelled = t->start->cancelled;
	pthread_rwlock_unlock(&t->start->gate);
	if (!cancelled)
		t->start->fn(t->arg);
	return NULL;
}

/* Give the thread the @nth of the CPUs that we may use. */
static void pin(pthread_t thread, unsigned int nth)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	nth %= (unsigned int)CPU_COUNT(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || nth-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(thread, sizeof(one), &one);
		return;
	}
}

int threads_run(unsigned int n, bool pinned, void (*fn)(void *arg), void *args,
		size_t arg_size)
{
	struct start start = { .fn = fn };
	struct thread *t = calloc(n, sizeof(*t));
	unsigned int made = 0;
	int ret = 0;

	if (!t)
		return -ENOMEM;
	pthread_rwlock_init(&start.gate, NULL);
	pthread_rwlock_wrlock(&start.gate);
	for (; made < n && !ret; made++) {
		t[made].start = &start;
		t[made].arg = (char *)args + made * arg_size;
		ret = -pthread_create(&t[made].id, NULL, thread_main, &t[made]);
		if (ret)
			break;
		if (pinned)
			pin(t[made].id, made);
	}
	start.cancelled = ret != 0;
	pthread_rwlock_unlock(&start.gate);
	for (unsigned int i = 0; i < made; i++)
		pthread_join(t[i].id, NULL);
	pthread_rwlock_destroy(&start.gate);
	free(t);
	return ret;
}
