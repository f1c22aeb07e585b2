// SPDX-License-Identifier: MIT
/*
 * What a worker has to know of those before it and cannot ask the kernel for.
 * It lies in a memfd that the supervisor holds.
 *
 * Open files are known by the unique of the request that opened them, which no
 * other request ever has. So an open or a close that is carried out a second
 * time, because the process that did it first died before it could answer,
 * changes nothing: each is one compare-and-swap of one word.
 *
 * No locks. Orders weaker than seq_cst stand where they are used; between a
 * process and its successor the death of the first is order enough.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/delay.h>
#include <uzram/util/shm.h>

#include "fuse_frontend.h"
#include "session_priv.h"

int uz__fuse_session_create(const char *dir)
{
	uz_autoclose int mem = uz_shm_memfd("uzram-session");
	struct uz__fuse_session *s;
	struct uz_shm shm;
	int ret;

	if (mem < 0)
		return mem;
	ret = uz_shm_map(&shm, mem, UZ__FUSE_SESSION_SIZE);
	if (ret)
		return ret;
	s = shm.base;
	s->version = UZ__FUSE_SESSION_VERSION;
	clock_gettime(CLOCK_REALTIME, &s->born);
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	s->magic = UZ__FUSE_SESSION_MAGIC;
	uz_shm_unmap(&shm);
	return uz_steal_fd(&mem);
}

int uz__fuse_session_map(struct uz__fuse *fuse, int mem, struct uz_err *err)
{
	struct uz__fuse_session *s;
	struct uz_shm shm;
	int ret = uz_shm_map(&shm, mem, UZ__FUSE_SESSION_SIZE);

	if (ret)
		return uz_err_set(err, ret, "memory of the session: %s",
				  strerror(-ret));
	s = shm.base;
	if (s->magic != UZ__FUSE_SESSION_MAGIC)
		ret = uz_err_set(err, -EUCLEAN,
				 "memory of the session: it holds none");
	else if (s->version != UZ__FUSE_SESSION_VERSION)
		ret = uz_err_set(err, -ENOTSUP,
				 "memory of the session is of layout %u, this "
				 "program knows %u",
				 s->version, UZ__FUSE_SESSION_VERSION);
	if (ret) {
		uz_shm_unmap(&shm);
		return ret;
	}
	uz_ahead_memory(s, UZ__FUSE_SESSION_SIZE);
	fuse->session = s;
	fuse->session_mem = mem;
	fuse->born = s->born;
	if (uz__fuse_session_greeted(s))
		fuse->proto = s->proto;
	return 0;
}

void uz__fuse_session_unmap(struct uz__fuse *fuse)
{
	if (fuse->session)
		munmap(fuse->session, UZ__FUSE_SESSION_SIZE);
	fuse->session = NULL;
}

void uz__fuse_session_keep(struct uz__fuse *fuse, enum uz_transport transport,
			   const struct uz__fuse_plan *plan)
{
	struct uz__fuse_session *s = fuse->session;

	s->proto = fuse->proto;
	s->transport = transport;
	if (plan)
		s->plan = *plan;
	/* release: whoever finds it finds all of the above. */
	atomic_store_explicit(&s->greeted, 1, memory_order_release);
}

/* ---- single words ---- */

static int set_word(int mem, const void *word, size_t size, size_t at)
{
	ssize_t n = pwrite(mem, word, size, (off_t)at);

	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

int uz__fuse_session_set_minor(int mem, uint32_t minor)
{
	return set_word(mem, &minor, sizeof(minor),
			offsetof(struct uz__fuse_session, minor));
}

int uz__fuse_session_set_disk(const struct uz_session *session, uint64_t word)
{
	return set_word(session->mem, &word, sizeof(word),
			offsetof(struct uz__fuse_session, disk));
}

int uz__fuse_session_get_disk(const struct uz_session *session, uint64_t *word,
			      struct uz_err *err)
{
	struct uz__fuse fuse = { 0 };
	int ret = uz__fuse_session_map(&fuse, session->mem, err);

	if (!ret)
		*word = fuse.session->disk;
	uz__fuse_session_unmap(&fuse);
	return ret;
}

/* ---- open files ---- */

/* Changes the first slot that holds @from to @to. */
static bool opens_swap(struct uz__fuse_session *s, uint64_t from, uint64_t to)
{
	unsigned int i;

	for (i = 0; i < UZ__FUSE_OPENS; i++) {
		uint64_t was = from;

		/* relaxed: the word is all there is. */
		if (atomic_load_explicit(&s->opens[i], memory_order_relaxed) ==
			    from &&
		    atomic_compare_exchange_strong_explicit(
			    &s->opens[i], &was, to, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	}
	return false;
}

void uz__fuse_session_hold(const struct uz__fuse *fuse)
{
	const struct uz__fuse_session *s = fuse->session;
	uint64_t n = atomic_load(&s->untracked);
	unsigned int i;

	for (i = 0; i < UZ__FUSE_OPENS; i++)
		n += atomic_load(&s->opens[i]) != 0;
	while (n--)
		uz_device_hold(fuse->dev);
}

uint64_t uz__fuse_session_open(const struct uz__fuse *fuse, uint64_t unique)
{
	struct uz__fuse_session *s = fuse->session;
	uint64_t handle = unique & ~FUSE_UNIQUE_RESEND;

	if (unique != handle && opens_swap(s, handle, handle))
		return handle;
	uz_device_hold(fuse->dev);
	uz_delay(UZ_DELAY_OPENED);
	if (opens_swap(s, 0, handle))
		return handle;
	atomic_fetch_add(&s->untracked, 1);
	return 0;
}

void uz__fuse_session_close(const struct uz__fuse *fuse, uint64_t handle)
{
	struct uz__fuse_session *s = fuse->session;
	uint64_t left = atomic_load(&s->untracked);

	if (handle) {
		if (opens_swap(s, handle, 0))
			uz_device_release(fuse->dev);
		return;
	}
	/* More closes than opens would be a forgery. */
	while (left)
		if (atomic_compare_exchange_weak(&s->untracked, &left,
						 left - 1)) {
			uz_device_release(fuse->dev);
			return;
		}
}
