// SPDX-License-Identifier: MIT
/*
 * Memory that is let go of when a worker of a device with swap=on has come up.
 *
 * What a worker that died had for itself, others take while the next one is
 * made, and that one has to take as much from what the kernel keeps free. Who
 * has no right to that is then refused every page until something is freed; the
 * kernel's own threads, too, by which what is to be swapped out reaches a loop
 * device. So nothing would ever be freed. The ballast is about what a worker
 * has for itself, and goes back to the system in its stead; there it is as it
 * was.
 *
 * A thread brings it up to its size again, piece by piece, while there is
 * memory that nobody has to wait for. It is the supervisor's, so what a worker
 * has brought is there for the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <uzram/util/ahead.h>
#include <uzram/util/shm.h>

#include "daemon_priv.h"

/*
 * Some MiB of heap for what is known of the pool, of page tables and stacks,
 * more if the device is large; the kernel's own for it.
 */
#define SIZE  (8 << 20)
#define PIECE (64 << 10)

/* While there is no memory that it could have. */
#define RETRY_S 1

void uz__ballast_create(struct uz__daemon *d)
{
	d->ballast = uz_shm_memfd("uzram-ballast");
}

static void *ballast_thread(void *arg)
{
	const struct timespec pause = { .tv_sec = RETRY_S };
	const int fd = (int)(intptr_t)arg;
	off_t at = 0;

	while (at < SIZE) {
		if (uz_ahead_plenty(PIECE) && !fallocate(fd, 0, at, PIECE))
			at += PIECE;
		else
			nanosleep(&pause, NULL);
	}
	return NULL;
}

void uz__ballast_drop(const struct uz__daemon *d)
{
	pthread_t thread;
	sigset_t all, before;

	if (d->ballast < 0)
		return;
	fallocate(d->ballast, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		  SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* It ends with the process. Without one there is none, that is all. */
	if (!pthread_create(&thread, NULL, ballast_thread,
			    (void *)(intptr_t)d->ballast)) {
		pthread_setname_np(thread, "uz-ballast");
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
