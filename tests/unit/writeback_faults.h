/* SPDX-License-Identifier: MIT */
#ifndef WRITEBACK_FAULTS_H
#define WRITEBACK_FAULTS_H

/*
 * What can go wrong with a store, and when. Include after direct_fixture.h and
 * writeback_fixture.h, and link with wrap_writeback_dep.
 */
#include <uzram/backing.h>

/* Called at a moment, once, unless it is put in again. */
static void (*at_sync)(void), (*at_read)(void);
static int sync_fails, read_fails, write_fails;
/* No two free blocks of the store lie in a row. */
static bool single_blocks;

int __real_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len);
int __wrap_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len);
int __real_uz_backing_read(struct uz_backing *b, uint64_t offset, void *buf,
			   size_t len);
int __wrap_uz_backing_read(struct uz_backing *b, uint64_t offset, void *buf,
			   size_t len);
int __real_uz_backing_reserve(struct uz_backing *b, uint32_t nr,
			      struct uz_run *run);
int __wrap_uz_backing_reserve(struct uz_backing *b, uint32_t nr,
			      struct uz_run *run);
struct uz_write *__real_uz_writer_wait(struct uz_writer *w);
struct uz_write *__wrap_uz_writer_wait(struct uz_writer *w);
struct uz_write *__real_uz_writer_look(struct uz_writer *w);
struct uz_write *__wrap_uz_writer_look(struct uz_writer *w);

static void hook(void (**fn)(void))
{
	void (*now)(void) = *fn;

	*fn = NULL;
	if (now)
		now();
}

int __wrap_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len)
{
	int ret = __real_uz_writer_sync(w, offset, len);

	hook(&at_sync);
	return sync_fails ? -sync_fails : ret;
}

int __wrap_uz_backing_read(struct uz_backing *b, uint64_t offset, void *buf,
			   size_t len)
{
	int ret = __real_uz_backing_read(b, offset, buf, len);

	hook(&at_read);
	return read_fails ? -read_fails : ret;
}

int __wrap_uz_backing_reserve(struct uz_backing *b, uint32_t nr,
			      struct uz_run *run)
{
	return __real_uz_backing_reserve(b, single_blocks ? 1 : nr, run);
}

/* Every second write fails. What is written is durable with direct I/O. */
static struct uz_write *fail_second(struct uz_write *write)
{
	if (write && !no_direct) {
		hook(&at_sync);
		write->result = sync_fails ? -sync_fails : write->result;
	}
	if (write && write_fails && write->offset / UZ_WRITEBACK_BYTES % 2 == 0)
		write->result = -write_fails;
	return write;
}

struct uz_write *__wrap_uz_writer_wait(struct uz_writer *w)
{
	return fail_second(__real_uz_writer_wait(w));
}

struct uz_write *__wrap_uz_writer_look(struct uz_writer *w)
{
	return fail_second(__real_uz_writer_look(w));
}

static int set_up(void **state)
{
	(void)state;
	backed_open(&f, SIZE, 2 * SIZE);
	store_all();
	return 0;
}

static int set_up_cached(void **state)
{
	no_direct = true;
	return set_up(state);
}

static int tear_down(void **state)
{
	(void)state;
	sync_fails = read_fails = write_fails = 0;
	at_sync = at_read = NULL;
	single_blocks = false;
	backed_close(&f);
	no_direct = false;
	return 0;
}

#endif
