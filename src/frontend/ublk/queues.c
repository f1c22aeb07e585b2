// SPDX-License-Identifier: MIT
/*
 * The queues of a ublk disk as one: their memory, threads and rings, made
 * before the driver is asked to rely on them, and ended after it has let go.
 *
 * One thread calls all of this. It gives a queue its descriptor before it
 * posts @go and reads what the thread found after @ready, so no locks.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <uzram/util/spare.h>

#include "ublk_priv.h"

static size_t desc_size(unsigned int depth)
{
	const size_t size = depth * sizeof(struct ublksrv_io_desc);

	return (size + UZ_PAGE_SIZE - 1) & ~(size_t)(UZ_PAGE_SIZE - 1);
}

static size_t buffers_size(const struct uz__ublk_queue *q)
{
	return (size_t)q->depth * q->io_max;
}

static int make_queue(struct uz__ublk_disk *disk, struct uz__ublk_queue *q)
{
	/*
	 * Not touched: a page of it costs something when a request gets there.
	 */
	void *at = uz_spare_map(buffers_size(q));
	int ret;

	if (!at)
		return -ENOMEM;
	q->buffers = at;
	madvise(at, buffers_size(q), MADV_NOHUGEPAGE);
	ret = uz_io_create(disk->dev, &q->io);
	if (!ret)
		uz_io_buffer(q->io, q->buffers, buffers_size(q));
	return ret;
}

static int map_requests(struct uz__ublk_disk *disk, struct uz__ublk_queue *q)
{
	void *at = mmap(NULL, desc_size(q->depth), PROT_READ,
			MAP_SHARED | MAP_POPULATE, disk->fd,
			(off_t)(q->index * desc_size(UBLK_MAX_QUEUE_DEPTH)));

	if (at == MAP_FAILED)
		return -errno;
	q->desc = at;
	return 0;
}

/* Requests of some CPUs arrive at a queue; there its thread is at home. */
static void bind_queue(struct uz__ublk_disk *disk,
		       const struct uz__ublk_queue *q)
{
	cpu_set_t set, allowed;
	int ret;

	CPU_ZERO(&set);
	ret = uz__ublk_command(&disk->control, UBLK_CMD_GET_QUEUE_AFFINITY,
			       disk->info.dev_id, q->index, &set, sizeof(set));
	if (ret || sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	CPU_AND(&set, &set, &allowed);
	if (CPU_COUNT(&set))
		pthread_setaffinity_np(q->id, sizeof(set), &set);
}

/* Signals are for the thread that the program has chosen. */
static int start_thread(struct uz__ublk_queue *q)
{
	sigset_t all, before;
	char name[16];
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&q->id, NULL, uz__ublk_queue_main, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return -ret;
	q->started = true;
	snprintf(name, sizeof(name), "uz-ublk-%u", q->index);
	pthread_setname_np(q->id, name);
	return 0;
}

/* What each thread has to say; all of them have said it. */
static int wait_queues(struct uz__ublk_disk *disk)
{
	struct uz__ublk_queue *q;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		while (q->started && sem_wait(&q->ready))
			;
		if (q->started && q->error && !ret)
			ret = q->error;
	}
	return ret;
}

int uz__ublk_queues_prepare(struct uz__ublk_disk *disk)
{
	struct uz__ublk_queue *q;
	unsigned int i;
	int ret = 0, error;

	disk->queues = calloc(disk->plan.queues, sizeof(*disk->queues));
	if (!disk->queues)
		return -ENOMEM;
	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		q->index = i;
		q->fd = -1;
		q->depth = disk->plan.depth;
		q->io_max = disk->plan.io_max;
		q->encoded = disk->control.features != 0;
		sem_init(&q->ready, 0, 0);
		sem_init(&q->go, 0, 0);
	}
	for (i = 0; i < disk->plan.queues && !ret; i++) {
		q = &disk->queues[i];
		ret = make_queue(disk, q);
		if (!ret)
			ret = start_thread(q);
		if (!ret)
			bind_queue(disk, q);
	}
	error = wait_queues(disk);
	return ret ? ret : error;
}

int uz__ublk_queues_run(struct uz__ublk_disk *disk)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < disk->plan.queues && !ret; i++)
		ret = map_requests(disk, &disk->queues[i]);
	if (ret)
		return ret;
	for (i = 0; i < disk->plan.queues; i++) {
		disk->queues[i].fd = disk->fd;
		sem_post(&disk->queues[i].go);
	}
	/* All have asked for their tags before anything else is done. */
	return wait_queues(disk);
}

void uz__ublk_queues_leave(struct uz__ublk_disk *disk,
			   struct uz__ublk_control *control, bool held)
{
	struct uz__ublk_queue *q;
	unsigned int i;

	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		q->told = !uz__ublk_ring_tell_to_leave(q->ring, control, held);
	}
	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		while (q->told && sem_wait(&q->ready))
			;
	}
}

void uz__ublk_queues_end(struct uz__ublk_disk *disk)
{
	struct uz__ublk_queue *q;
	unsigned int i;

	for (i = 0; disk->queues && i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		/*
		 * It has no descriptor to begin with, or nothing to do any
		 * more.
		 */
		if (q->started && (q->fd < 0 || q->told))
			sem_post(&q->go);
		if (q->started)
			pthread_join(q->id, NULL);
		uz__ublk_ring_destroy(q->ring);
		uz_io_destroy(q->io);
		if (q->buffers)
			uz_spare_unmap(q->buffers, buffers_size(q));
		if (q->desc)
			munmap((void *)(uintptr_t)q->desc, desc_size(q->depth));
		sem_destroy(&q->ready);
		sem_destroy(&q->go);
	}
	free(disk->queues);
	disk->queues = NULL;
}
