// SPDX-License-Identifier: MIT
/*
 * The classic transport: threads that read requests from one /dev/fuse
 * descriptor and write the answers to it.
 *
 * One descriptor for all, not one clone each: the kernel ends the requests
 * that were read through a clone when that clone is closed, so nobody could
 * take them over from a process that died.
 *
 * Each thread has a buffer of its own, one page and as much as one read or
 * write moves (1 MiB, or less beside io_uring). A message is read
 * so that the data of a write begin on the second page; the data of a read go
 * out from there. Per request there is no lock and no allocation here.
 *
 * The buffer of a thread that reads is there, all of it. The kernel gives up
 * filling a page that is not when the process is being killed, and the request
 * then fails: it was taken from those that wait, and is not given out again.
 * As that is much memory for a device that nobody uses, no more threads read
 * than were ever needed at a time. One begins; who takes a message and leaves
 * nobody to read the next one has another thread begin, for good. So there
 * always is somebody who reads, unless all have something to do.
 *
 * Threads end when the kernel has ended the connection, and only then. Those
 * that are to leave stop at the next request and stay until the process ends,
 * so that whoever waits for the end of service does not take it for that.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>
#include <uzram/util/lock.h>
#include <uzram/util/log.h>
#include <uzram/util/spare.h>

#include "session_priv.h"

struct thread {
	struct uz__fuse_dev *dev;
	bool left; /* takes no more requests; under the lock */
	pthread_t id;
	unsigned char *buf;
	size_t buf_size;
	struct uz__fuse_call call;
};

/*
 * @ended:   the connection has: nobody needs to begin any more
 * @most:    threads that there may be
 * @begun:   of them, those that read messages or soon will
 * @readers: of those, who read or are about to; of no meaning once all have
 *           begun
 * @begin:   a post for each thread in @begun
 */
struct uz__fuse_dev {
	struct uz__fuse *fuse;
	int fd;
	_Atomic int error;
	_Atomic bool leaving;
	_Atomic bool ended;
	unsigned int most;
	_Atomic unsigned int begun;
	_Atomic unsigned int readers;
	sem_t begin;
	struct uz_lock lock;
	unsigned int started;
	unsigned int running;
	unsigned int count;
	struct thread threads[];
};

/* One message into the thread's buffer: its length, or -errno. */
static ssize_t receive(struct thread *t)
{
	struct pollfd readable = { .fd = t->dev->fd, .events = POLLIN };
	ssize_t n;

	/*
	 * relaxed: whoever sets it goes on to interrupt us until we have left
	 */
	while (!atomic_load_explicit(&t->dev->leaving, memory_order_relaxed)) {
		n = read(t->dev->fd, t->buf + UZ__FUSE_HEAD_AT,
			 t->buf_size - UZ__FUSE_HEAD_AT);
		if (n > 0)
			return n;
		if (!n) /* never from /dev/fuse: a socket's end, in tests */
			return -ENODEV;
		switch (errno) {
		case EINTR:
		case ENOENT: /* the request was taken back just now */
			break;
		case EAGAIN: /* whoever gave us the descriptor set this mode */
			poll(&readable, 1, -1);
			break;
		case ENOMEM: /* nor to have it back that was swapped out */
		case EFAULT: /* no memory for the buffer: the client got EIO */
			uz_log(UZ_LOG_WARN, "a request was lost: no memory");
			break;
		default:
			return -errno;
		}
	}
	return -EINTR;
}

/*
 * Without memory the kernel may not even have seen whose answer it is; then
 * the client still waits, and nobody else would answer. Else it knows none.
 */
static bool give(const struct thread *t, const struct iovec *iov, int nr)
{
	for (; writev(t->dev->fd, iov, nr) < 0; uz__fuse_nap())
		if (errno != ENOMEM)
			return false;
	return true;
}

static void answer(struct thread *t, int error)
{
	struct uz__fuse_reply *reply = &t->call.reply;
	struct fuse_out_header out;
	struct iovec iov[2];

	uz__fuse_encode(&out, &t->call, error);
	iov[0] = (struct iovec){ &out, sizeof(out) };
	iov[1] = (struct iovec){ (void *)reply->data, reply->len };
	if (give(t, iov, reply->len ? 2 : 1))
		return;
	/* Nobody waits for it any more. */
	if (errno == ENOENT || errno == ENODEV)
		return;
	uz_log(UZ_LOG_ERR, "opcode %u: the kernel refused the answer: %s",
	       t->call.msg.hdr.opcode, strerror(errno));
	if (!error)
		answer(t, -EIO);
}

static void serve(struct thread *t, size_t len)
{
	int ret = uz__fuse_decode(&t->call.msg, t->buf + UZ__FUSE_HEAD_AT, len);

	uz_delay(UZ_DELAY_RECEIVED);
	if (ret == -EBADMSG)
		return;
	t->call.reply.none = false;
	if (!ret)
		ret = uz__fuse_handle(&t->call);
	uz_delay(UZ_DELAY_CARRIED);
	if (!t->call.reply.none)
		answer(t, ret);
}

/*
 * One more thread reads, if there is another.
 *
 * relaxed, here and below: each count is a word by itself. Of those who leave
 * @readers, one takes the last away, whatever the order that others see.
 */
static void begin_another(struct uz__fuse_dev *dev)
{
	unsigned int begun =
		atomic_load_explicit(&dev->begun, memory_order_relaxed);

	do {
		if (begun == dev->most)
			return;
	} while (!atomic_compare_exchange_weak_explicit(
		&dev->begun, &begun, begun + 1, memory_order_relaxed,
		memory_order_relaxed));
	atomic_fetch_add_explicit(&dev->readers, 1, memory_order_relaxed);
	sem_post(&dev->begin);
}

static bool all_begun(const struct uz__fuse_dev *dev)
{
	return uz_likely(
		atomic_load_explicit(&dev->begun, memory_order_relaxed) ==
		dev->most);
}

/* Sleeps until this thread is to read: 0; -ENODEV or -EINTR as receive(). */
static int thread_begin(const struct thread *t)
{
	struct uz__fuse_dev *dev = t->dev;

	while (sem_wait(&dev->begin))
		/* relaxed: as in receive(). */
		if (atomic_load_explicit(&dev->leaving, memory_order_relaxed))
			return -EINTR;
	/* relaxed: the semaphore orders it. */
	if (atomic_load_explicit(&dev->ended, memory_order_relaxed))
		return -ENODEV;
	/* With too little memory it is of use as far as it goes. */
	madvise(t->buf, t->buf_size, MADV_POPULATE_WRITE);
	return 0;
}

/* Until there are no more messages; why not, as receive(). */
static ssize_t serve_all(struct thread *t)
{
	struct uz__fuse_dev *dev = t->dev;
	ssize_t n = thread_begin(t);

	if (n)
		return n;
	while ((n = receive(t)) >= 0) {
		if (!all_begun(dev) &&
		    atomic_fetch_sub_explicit(&dev->readers, 1,
					      memory_order_relaxed) == 1)
			begin_another(dev);
		serve(t, (size_t)n);
		if (!all_begun(dev))
			atomic_fetch_add_explicit(&dev->readers, 1,
						  memory_order_relaxed);
	}
	return n;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	int none = 0;
	ssize_t n;

	uz_ahead_stack();
	n = serve_all(t);
	/* Those that have not begun have an end, too: each wakes another. */
	if (n != -EINTR) {
		atomic_store_explicit(&t->dev->ended, true,
				      memory_order_relaxed);
		sem_post(&t->dev->begin);
	}
	uz_lock_acquire(&t->dev->lock);
	t->left = true;
	uz_lock_release(&t->dev->lock);
	while (n == -EINTR)
		pause();
	/*
	 * Both are the end, the second when it came in the middle of a read.
	 * relaxed: it is read after pthread_join(), which orders everything.
	 */
	if (n != -ENODEV && n != -ECONNABORTED)
		atomic_compare_exchange_strong_explicit(
			&t->dev->error, &none, (int)n, memory_order_relaxed,
			memory_order_relaxed);
	return NULL;
}

size_t uz__fuse_dev_bytes(const struct uz__fuse *fuse)
{
	return UZ_PAGE_SIZE +
	       (fuse->proto.io_max ? fuse->proto.io_max : UZ__FUSE_IO_MAX);
}

/*
 * The first page is the session's, so that a successor can see which request
 * the thread had last.
 */
static int thread_map(struct thread *t, unsigned int index)
{
	const struct uz__fuse *fuse = t->dev->fuse;
	const off_t head = (off_t)(offsetof(struct uz__fuse_session, heads) +
				   index * (size_t)UZ_PAGE_SIZE);

	t->buf = uz_spare_map(t->buf_size);
	if (!t->buf)
		return -ENOMEM;
	if (mmap(t->buf, UZ_PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_POPULATE | MAP_FIXED, fuse->session_mem,
		 head) == MAP_FAILED) {
		uz_spare_unmap(t->buf, t->buf_size);
		return -ENOMEM;
	}
	return 0;
}

static int thread_create(struct uz__fuse_dev *dev)
{
	struct thread *t = &dev->threads[dev->count];
	int ret;

	t->dev = dev;
	t->buf_size = uz__fuse_dev_bytes(dev->fuse);
	ret = thread_map(t, dev->count);
	if (ret)
		return ret;
	t->call.trial = uz__fuse_trial_of(dev->fuse, dev->count);
	dev->count++;
	t->call.fuse = dev->fuse;
	t->call.reply.room = t->buf + UZ_PAGE_SIZE;
	t->call.reply.cap = t->buf_size - UZ_PAGE_SIZE;
	ret = uz_io_create(dev->fuse->dev, &t->call.io);
	if (!ret)
		uz_io_buffer(t->call.io, t->buf, t->buf_size);
	return ret;
}

/* Gives back what no message will need, now that it is known. */
static void thread_trim(struct thread *t)
{
	const size_t need = uz__fuse_dev_bytes(t->dev->fuse);

	if (need >= t->buf_size)
		return;
	uz_io_buffer(t->call.io, t->buf, need);
	uz_spare_unmap(t->buf + need, t->buf_size - need);
	t->buf_size = need;
	t->call.reply.cap = need - UZ_PAGE_SIZE;
}

int uz__fuse_dev_create(struct uz__fuse_dev **dev, struct uz__fuse *fuse,
			unsigned int threads)
{
	struct uz__fuse_dev *d;
	int ret;

	d = calloc(1, sizeof(*d) + threads * sizeof(d->threads[0]));
	if (!d)
		return -ENOMEM;
	d->fuse = fuse;
	d->fd = -1;
	d->most = threads;
	sem_init(&d->begin, 0, 0);
	uz_lock_init(&d->lock, UZ_LOCK_LEAF);
	ret = thread_create(d);
	if (ret) {
		uz__fuse_dev_destroy(d);
		return ret;
	}
	*dev = d;
	return 0;
}

/* The first message is FUSE_INIT, and nothing else comes before its answer. */
int uz__fuse_dev_greet(struct uz__fuse_dev *dev, int fd, struct uz_err *err)
{
	struct thread *t = &dev->threads[0];
	const struct fuse_init_in *in = &t->call.msg.in.init;
	ssize_t n;
	int ret;

	dev->fd = fd;
	do {
		n = receive(t);
		if (n < 0)
			return uz_err_set(err, (int)n,
					  "FUSE: no greeting from the kernel: "
					  "%s",
					  strerror((int)-n));
		ret = uz__fuse_decode(&t->call.msg, t->buf + UZ__FUSE_HEAD_AT,
				      (size_t)n);
		if (!ret && t->call.msg.hdr.opcode != FUSE_INIT)
			ret = -EPROTO;
		if (!ret)
			ret = uz__fuse_init(&t->call);
		if (ret)
			answer(t, ret == -EAGAIN ? 0 : ret);
	} while (ret == -EAGAIN);
	if (ret)
		return uz_err_set(err, ret,
				  "FUSE: the kernel speaks %u.%u, %d.%d "
				  "(Linux 4.20) is the least that is needed",
				  in->major, in->minor, FUSE_MAJOR,
				  FUSE_MINOR_MIN);
	return 0;
}

/* To the kernel, that it gives out again what the dead process had. */
static int ask_again(int fd)
{
	const struct fuse_out_header note = {
		.len = sizeof(note),
		.error = FUSE_NOTIFY_RESEND,
	};

	return write(fd, &note, sizeof(note)) < 0 ? -errno : 0;
}

/*
 * Whose OPEN fails never sends a RELEASE, and a RELEASE does not come again,
 * whatever its answer. The dead process may have counted, or not. A handle of 0
 * does not tell which; that one stays open rather than be closed twice.
 */
static void settle_open(const struct uz__fuse *fuse, const unsigned char *head)
{
	struct fuse_release_in release;
	struct fuse_in_header in;

	memcpy(&in, head, sizeof(in));
	memcpy(&release, head + sizeof(in), sizeof(release));
	if (in.nodeid != UZ__FUSE_BLOCK)
		return;
	if (in.opcode == FUSE_OPEN)
		uz__fuse_session_close(fuse, in.unique);
	else if (in.opcode == FUSE_RELEASE && release.fh)
		uz__fuse_session_close(fuse, release.fh);
}

/*
 * The last request that each thread of the dead process had: one that was
 * answered is no longer known, and nothing happens.
 */
static void fail_taken(const struct uz__fuse_dev *dev)
{
	const struct uz__fuse_session *s = dev->fuse->session;
	struct fuse_out_header out = { .len = sizeof(out), .error = -EIO };
	const unsigned char *head;
	struct fuse_in_header in;
	unsigned int i;

	for (i = 0; i < UZ__FUSE_HEADS; i++) {
		head = &s->heads[i][UZ__FUSE_HEAD_AT];
		memcpy(&in, head, sizeof(in));
		out.unique = in.unique;
		if (!in.unique)
			continue;
		if (write(dev->fd, &out, sizeof(out)) >= 0)
			settle_open(dev->fuse, head);
		else if (errno != ENOENT)
			uz_log(UZ_LOG_WARN, "a request was lost: %s",
			       strerror(errno));
	}
}

int uz__fuse_dev_adopt(struct uz__fuse_dev *dev, int fd, struct uz_err *err)
{
	int ret = 0;

	dev->fd = fd;
	if (uz__fuse_resends(dev->fuse))
		ret = ask_again(fd);
	else
		fail_taken(dev);
	uz_delay(UZ_DELAY_RESENT);
	/*
	 * Unmounted meanwhile: the threads will see it. Not every kernel says
	 * ENODEV then; some find the note itself invalid.
	 */
	if (ret && ret != -ENODEV && !uz__fuse_mount_ended(fd))
		return uz_err_set(err, ret,
				  "FUSE: the kernel does not give out again "
				  "what was under way: %s",
				  strerror(-ret));
	return 0;
}

struct uz__fuse_call *uz__fuse_dev_call(struct uz__fuse_dev *dev)
{
	return &dev->threads[0].call;
}

void uz__fuse_dev_accept(struct uz__fuse_dev *dev)
{
	struct thread *t = &dev->threads[0];

	answer(t, 0);
	thread_trim(t);
}

void uz__fuse_dev_refuse(struct uz__fuse_dev *dev)
{
	answer(&dev->threads[0], -EPROTO);
}

int uz__fuse_thread(pthread_t *id, void *(*main)(void *arg), void *arg,
		    const char *kind, unsigned int number)
{
	char name[32];
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	sigdelset(&all, UZ__FUSE_INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(id, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	snprintf(name, sizeof(name), "uz-%.5s-%u", kind, number);
	if (!ret)
		pthread_setname_np(*id, name);
	return -ret;
}

int uz__fuse_dev_run(struct uz__fuse_dev *dev, unsigned int threads,
		     struct uz_err *err)
{
	struct thread *t;
	int ret = 0;

	if (!dev->running)
		begin_another(dev);
	while (!ret && dev->count < threads)
		ret = thread_create(dev);
	while (!ret && dev->running < threads) {
		t = &dev->threads[dev->running];
		ret = uz__fuse_thread(&t->id, thread_main, t, "fuse",
				      dev->running);
		if (!ret)
			dev->started = ++dev->running;
	}
	if (ret)
		return uz_err_set(err, ret, "cannot set up %u threads: %s",
				  threads, strerror(-ret));
	return 0;
}

int uz__fuse_dev_join(struct uz__fuse_dev *dev)
{
	while (dev->running)
		pthread_join(dev->threads[--dev->running].id, NULL);
	return atomic_load_explicit(&dev->error, memory_order_relaxed);
}

void uz__fuse_dev_destroy(struct uz__fuse_dev *dev)
{
	if (!dev)
		return;
	while (dev->count) {
		struct thread *t = &dev->threads[--dev->count];

		uz_io_destroy(t->call.io);
		uz_spare_unmap(t->buf, t->buf_size);
	}
	uz_lock_destroy(&dev->lock);
	sem_destroy(&dev->begin);
	free(dev);
}

static void interrupted(int number)
{
	(void)number;
}

void uz__fuse_interruptible(void)
{
	/* Without SA_RESTART: what sleeps in the kernel wakes up. */
	const struct sigaction action = { .sa_handler = interrupted };

	sigaction(UZ__FUSE_INTERRUPT, &action, NULL);
}

void uz__fuse_nap(void)
{
	const struct timespec time = { .tv_nsec = 200000L };

	nanosleep(&time, NULL);
}

/* With the lock held a thread that has not left exists, so it can be told. */
static bool interrupt_threads(struct uz__fuse_dev *dev)
{
	uz_scoped_acquire(guard, &dev->lock);
	bool all = true;
	unsigned int i;

	for (i = 0; i < dev->started; i++) {
		if (dev->threads[i].left)
			continue;
		pthread_kill(dev->threads[i].id, UZ__FUSE_INTERRUPT);
		all = false;
	}
	return all;
}

void uz__fuse_dev_leave(struct uz__fuse_dev *dev)
{
	uz__fuse_interruptible();
	atomic_store_explicit(&dev->leaving, true, memory_order_relaxed);
	while (!interrupt_threads(dev))
		uz__fuse_nap();
}

void uz__fuse_dev_forget_attr(struct uz__fuse_dev *dev, uint64_t nodeid)
{
	struct {
		struct fuse_out_header hdr;
		struct fuse_notify_inval_inode_out body;
	} note = {
		.hdr = { .len = sizeof(note),
			 .error = FUSE_NOTIFY_INVAL_INODE },
		.body = { .ino = nodeid, .off = -1 },
	};

	/* ENOENT: the kernel does not know the inode, so it will ask. */
	if (write(dev->fd, &note, sizeof(note)) < 0 && errno != ENOENT &&
	    errno != ENODEV)
		uz_log(UZ_LOG_WARN, "the kernel was not told the new size: %s",
		       strerror(errno));
}
