// SPDX-License-Identifier: MIT
/*
 * "cache": memory in front of a store. All pages are written once, then threads
 * read and write single pages at random, four times out of five in one fifth of
 * them, two reads for each write. Each thread has pages of its own and knows
 * how often it has written each, so all that is read is compared.
 *
 * A store that is refused ends it. What matters is how often a page that is
 * read is in memory, what goes to the store for that, and that the limit is
 * kept: by the device's account and by the kernel's, at which one of the
 * threads looks all the time.
 */
#include <string.h>

#include <uzram/util/cleanup.h>

#include "pool.h"

/* Operations between two looks at the arena: less than a millisecond. */
#define LOOK 64

enum {
	OPERATIONS,
	HIT_RATE,
	WRITTEN_BACK,
	READ_BACK,
	WAITED,
	STORE,
	LIVE,
	PEAK,
	PEAK_ARENA,
	OF_LIMIT,
};

static const struct table_column columns[] = {
	{ "operations_per_second", "operations", "1/s", 1, 0 },
	{ "hit_percent", "hit rate", "%", 1, 2 },
	{ "written_back_pages", "pages", "written", 1, 0 },
	{ "read_back_pages", "pages", "read back", 1, 0 },
	{ "waited_pages", "stores", "waited", 1, 0 },
	{ "store_bytes", "store", "MB", 1e-6, 1 },
	{ "store_live_bytes", "live in it", "MB", 1e-6, 1 },
	{ "peak_bytes", "peak", "MB", 1e-6, 1 },
	{ "peak_arena_bytes", "peak of", "arena MB", 1e-6, 1 },
	{ "peak_to_limit", "peak by", "limit", 1, 4 },
};

/*
 * struct shared - what the threads have in common
 * @run:     with the corpora
 * @d:       the device
 * @version: how often each page was written
 * @nr:      threads
 * @until:   when they end, in ns
 */
struct shared {
	const struct pool_run *run;
	struct pool_device *d;
	uint8_t *version;
	unsigned int nr;
	uint64_t until;
};

/*
 * struct user - one thread
 * @all:   shared
 * @io:    its way into the device
 * @id:    its pages are those that leave this remainder
 * @done:  operations
 * @reads: those that are
 * @peak:  of the arena; only the first one looks
 * @ret:   the first failure
 * @page:  that was read
 */
struct user {
	const struct shared *all;
	struct uz_io *io;
	unsigned int id;
	uint64_t done;
	uint64_t reads;
	uint64_t peak;
	int ret;
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
};

/* ---- the threads ---- */

static const uint8_t *content(const struct user *u, uint64_t page)
{
	return pool_mix(u->all->run, u->all->version[page], page);
}

/* One of this thread's: of every fifth one, or of all. */
static uint64_t choose(const struct user *u, uint64_t *rng)
{
	uint64_t own = u->all->d->pages / u->all->nr;
	uint64_t nth = random_below(rng, 5)
			       ? random_below(rng, (own + 4) / 5) * 5
			       : random_below(rng, own);

	return nth * u->all->nr + u->id;
}

static int read_one(struct user *u, uint64_t page)
{
	int ret = pool_device_submit(u->io, UZ_OP_READ, page, u->page);

	u->reads++;
	if (!ret && memcmp(u->page, content(u, page), UZ_PAGE_SIZE) != 0)
		ret = -EUCLEAN;
	return ret;
}

static int write_one(struct user *u, uint64_t page)
{
	return pool_device_submit(u->io, UZ_OP_WRITE, page, content(u, page));
}

static bool goes_on(struct user *u)
{
	if (u->id == 0 && u->done % LOOK == 0) {
		uint64_t arena = pool_device_arena(u->all->d);

		u->peak = arena > u->peak ? arena : u->peak;
	}
	u->done++;
	if (undo_stopped())
		u->ret = -EINTR;
	return !u->ret;
}

static void fill(void *arg)
{
	struct user *u = arg;

	for (uint64_t i = u->id; i < u->all->d->pages && goes_on(u);
	     i += u->all->nr)
		u->ret = write_one(u, i);
}

static void use(void *arg)
{
	struct user *u = arg;
	uint64_t rng = random_mix(u->id + 1), page;

	while (clock_ns() < u->all->until && goes_on(u)) {
		page = choose(u, &rng);
		if (random_below(&rng, 3)) {
			u->ret = read_one(u, page);
		} else {
			u->all->version[page]++;
			u->ret = write_one(u, page);
		}
	}
}

static int ret_of(const struct user *u, unsigned int n, struct uz_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < n && !ret; i++)
		ret = u[i].ret;
	switch (ret) {
	case 0:
		return 0;
	case -EUCLEAN:
		return uz_err_set(err, ret,
				  "cache: a page had other bytes than were "
				  "stored");
	case -ENOSPC:
		return uz_err_set(err, ret, "cache: a store was refused");
	default:
		return uz_err_set(err, ret, "cache: %s", strerror(-ret));
	}
}

/* ---- figures ---- */

static void report(struct table_row *row, const struct shared *all,
		   const struct user *u, const struct uz_backing_stat *before,
		   double seconds)
{
	uint64_t done = 0, reads = 0;
	struct uz_backing_stat b;
	struct uz_device_stat s;
	double missed;

	for (unsigned int i = 0; i < all->nr; i++) {
		done += u[i].done;
		reads += u[i].reads;
	}
	uz_device_stat(all->d->dev, &s);
	uz_device_backing_stat(all->d->dev, &b);
	missed = (double)(b.read_back_pages - before->read_back_pages);
	table_set(row, OPERATIONS, (double)done / seconds);
	if (reads)
		table_set(row, HIT_RATE, 100 - 100 * missed / (double)reads);
	table_set(row, WRITTEN_BACK,
		  (double)(b.written_back_pages - before->written_back_pages));
	table_set(row, READ_BACK, missed);
	table_set(row, WAITED,
		  (double)(b.pool_limit_hit - before->pool_limit_hit));
	table_set(row, STORE, (double)b.used_blocks * UZ_PAGE_SIZE);
	table_set(row, LIVE, (double)b.backed_bytes);
	table_set(row, PEAK, (double)s.mem_used_max);
	table_set(row, PEAK_ARENA, (double)u[0].peak);
	table_set(row, OF_LIMIT,
		  (double)s.mem_used_max / (double)all->run->o->limit);
}

static int phase(struct pool_run *run, const struct shared *all, struct user *u,
		 void (*fn)(void *arg), const char *what, struct uz_err *err)
{
	struct uz_backing_stat before;
	struct table_row *row;
	uint64_t began;
	int ret;

	pool_progress(run, what);
	for (unsigned int i = 0; i < all->nr; i++)
		u[i].done = u[i].reads = u[i].peak = 0;
	uz_device_reset_max(all->d->dev);
	uz_device_backing_stat(all->d->dev, &before);
	began = clock_ns();
	ret = threads_run(all->nr, false, fn, u, sizeof(*u));
	if (ret)
		return uz_err_set(err, ret, "cache: %s", strerror(-ret));
	ret = ret_of(u, all->nr, err);
	if (ret)
		return ret;
	row = pool_row(run, NULL, what, err);
	if (!row)
		return err->code;
	report(row, all, u, &before, (double)(clock_ns() - began) / 1e9);
	return 0;
}

static int both(struct pool_run *run, struct shared *all, struct user *u,
		struct uz_err *err)
{
	int ret = phase(run, all, u, fill, "written once", err);

	all->until = clock_ns() + (uint64_t)(run->o->seconds * 1e9);
	if (!ret)
		ret = phase(run, all, u, use, "80/20", err);
	return ret;
}

/* ---- set up ---- */

static int with_users(struct pool_run *run, struct shared *all,
		      struct uz_err *err)
{
	struct user *u = aligned_alloc(UZ_PAGE_SIZE, all->nr * sizeof(*u));
	int ret = u ? 0 : -ENOMEM;

	if (u)
		memset(u, 0, all->nr * sizeof(*u));
	for (unsigned int i = 0; i < all->nr && !ret; i++) {
		u[i].all = all;
		u[i].id = i;
		ret = uz_io_create(all->d->dev, &u[i].io);
	}
	if (ret)
		uz_err_set(err, ret, "cache: %s", strerror(-ret));
	else
		ret = both(run, all, u, err);
	for (unsigned int i = 0; u && i < all->nr; i++)
		uz_io_destroy(u[i].io);
	free(u);
	return ret;
}

static int with_store(struct pool_run *run, struct pool_device *d,
		      const char *file, struct uz_err *err)
{
	uz_autofree uint8_t *version = calloc(d->pages, 1);
	struct shared all = { run, d, version, run->o->threads, 0 };
	int ret = version ? 0 : uz_err_set(err, -ENOMEM, "no memory");

	/* All threads have as many. */
	d->pages -= d->pages % all.nr;
	if (!ret)
		ret = uz_device_set_backing(d->dev, file, err);
	if (ret)
		return ret;
	uz_device_set_backing_setting(d->dev, UZ_BACKING_PROMOTE, 1);
	uz_device_set_limit(d->dev, run->o->limit);
	return with_users(run, &all, err);
}

static int with_device(struct pool_run *run, const char *file,
		       struct uz_err *err)
{
	struct uz_shrinker *shrinker = NULL;
	struct pool_device d;
	int ret = pool_device_open(&d, run, run->o->size, err);

	if (ret)
		return ret;
	ret = pool_device_background(&d, err);
	if (!ret) {
		ret = uz_shrinker_start(&shrinker, d.dev);
		if (ret)
			uz_err_set(err, ret, "cache: no thread: %s",
				   strerror(-ret));
	}
	if (!ret)
		ret = with_store(run, &d, file, err);
	uz_shrinker_stop(shrinker);
	if (!ret)
		ret = pool_device_check(&d, err);
	pool_device_close(&d);
	return ret;
}

static int run_cache(struct pool_run *run, struct uz_err *err)
{
	const unsigned int mark = undo_mark();
	char file[PATH_MAX];
	int ret = scratch_file(file, run->o->size, err);

	if (!ret)
		ret = with_device(run, file, err);
	undo_to(mark);
	return ret;
}

const struct pool_part pool_cache = {
	.name = "cache",
	.title = "a working set larger than the memory limit, with a store in "
		 "TMPDIR;\nfour of five operations are in one fifth of it, two "
		 "reads for each write",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_cache,
};
