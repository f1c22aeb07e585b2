// SPDX-License-Identifier: MIT
/*
 * Memory populated before it is needed.
 *
 * A store that takes the first place in a page of which the next ones are
 * missing leaves a hint: the zspage. The keeper's thread charges and populates
 * some pages of it, so that the stores to come find them. So it does with some
 * windows for the zspages that will be opened next. Hints may be lost:
 * who needs a page that is not there populates it, as if there were no keeper.
 *
 * What lies ready and was not used is given back: soon after the last hint,
 * when more than UZ__AHEAD zspages were grown since, and at once when a store
 * is about to fail at the limit. Only pages known to be populated are given
 * back (@ready): those that a store has charged and not yet populated are not.
 * While the system has no memory for the reserve, it is given none either.
 *
 * While hints come the thread looks for them some ten thousand times a second,
 * less often the fewer there are; when they stop it sleeps until it is woken,
 * and nothing runs.
 *
 * Locks: keeper.work is held while pages are populated or given back, so that
 * who must find the pool at rest can wait for that; under it the class's lock
 * for moments, never across a system call. keeper.sleep guards the sleep only.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <uzram/util/ahead.h>

#include "zsmalloc_priv.h"

#define LOOK_NS	     50000 /* between two looks for hints, after one not in vain */
#define LOOK_MAX     (32 * LOOK_NS) /* the pause doubles after each in vain */
#define LATE_NS	     500000 /* that a look is too late when no CPU was free */
#define REST_NS	     10000000 /* after two such ones in a row */
#define LOOKS	     10 /* in vain, before it sleeps */
#define RELEASE_NS   300000000 /* of sleep, before it gives back */
#define GROW_MIN     2 /* pages */
#define GROW_MAX     32
#define GROW_SHARE   8 /* of a class's pages */
#define OPENS_MAX    64 /* windows prepared for new zspages: a class each */
#define GROW_RESERVE 8 /* pages at least, so that the reserve is left alone */
#define RETRY_NS     100000000 /* after the reserve could not be filled */
#define SLACK_NS     5000 /* that its sleeps may be longer; usually 50 us */

/* ---- hints ---- */

/*
 * Lock-free, and lossy when more than UZ__HINTS come between two looks.
 * Relaxed: a hint is a number that the keeper checks under the class's lock.
 * The look at @asleep and the keeper's look at the hints after it has set
 * @asleep are sequentially consistent: one of the two sees the other.
 */
void uz__keeper_hint(struct uz__zs *pool, const struct uz__zspage *z)
{
	struct uz__keeper *k = &pool->keeper;
	uint32_t at;

	if (!k->running)
		return;
	at = atomic_fetch_add_explicit(&k->next, 1, memory_order_relaxed);
	atomic_store(&k->hints[at % UZ__HINTS], uz__zspage_window(pool, z) + 1);
	if (uz_unlikely(atomic_load(&k->asleep))) {
		uz_lock_acquire(&k->sleep);
		pthread_cond_signal(&k->wake);
		uz_lock_release(&k->sleep);
	}
}

/* Seen soon while it works, and under the lock before it sleeps. */
static bool stopping(struct uz__keeper *k)
{
	return atomic_load_explicit(&k->stop, memory_order_relaxed);
}

static bool any_hint(struct uz__keeper *k)
{
	unsigned int i;

	for (i = 0; i < UZ__HINTS; i++)
		if (atomic_load(&k->hints[i]))
			return true;
	return false;
}

/* ---- giving back ---- */

/*
 * Give back the populated pages of a live zspage in which no object lies.
 * keeper.work is held.
 */
static bool release(struct uz__zs *pool, struct uz__zspage *z)
{
	/* relaxed: looked at again under the lock. */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	uint64_t idle;

	if (!class)
		return false;
	uz_lock_acquire(&c->lock);
	if (atomic_load_explicit(&z->class, memory_order_relaxed) != class) {
		uz_lock_release(&c->lock);
		return false;
	}
	uz__zspage_hold(c, z, z->held, UZ__NOT_AHEAD);
	idle = uz__zspage_idle(z, ~uz__zspage_in_use(c, z));
	return uz__zspage_surrender(pool, c, z, idle);
}

/* keeper.work is held. */
static bool release_oldest(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;
	uint32_t window = k->ahead[k->first];

	k->first = (k->first + 1) % UZ__AHEAD;
	k->nr--;
	pool->zspages[window].remembered = false;
	return release(pool, &pool->zspages[window]);
}

/* Give back all that was populated ahead; false when there was nothing. */
bool uz__keeper_release(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;
	uz_scoped_acquire(guard, &k->work);
	bool any = false;

	while (k->nr)
		any |= release_oldest(pool);
	return any;
}

/* ---- growing ---- */

/* The pages to add: the first that are missing above what is in use. */
static uint64_t pages_ahead(const struct uz__zs *pool,
			    const struct uz__class *c,
			    const struct uz__zspage *z)
{
	uint64_t least = uz__reserve_pages(pool) ? GROW_RESERVE : GROW_MIN;
	uint64_t nr = c->nr_zspages * c->pages / GROW_SHARE;
	unsigned int page;
	uint64_t add = 0;

	if (z->first_free >= c->objects)
		return 0;
	nr = nr < least ? least : nr > GROW_MAX ? GROW_MAX : nr;
	page = z->first_free * c->size / UZ_PAGE_SIZE;
	for (; page < c->pages && nr; page++, nr--)
		add |= UINT64_C(1) << page;
	return add & ~z->held;
}

/*
 * What is populated from page @first on, and no store has used since, is not
 * to be taken for waste as long as it is remembered here.
 */
static void note_ahead(struct uz__class *c, struct uz__zspage *z,
		       unsigned int first)
{
	uint64_t used = uz__zspage_in_use(c, z);
	unsigned int end = used ? 64 - (unsigned int)__builtin_clzll(used) : 0;

	if (z->ahead == UZ__NOT_AHEAD)
		uz__zspage_hold(c, z, z->held, end > first ? end : first);
}

/* It is to be given back what was populated ahead and not used. */
static void remember(struct uz__zs *pool, struct uz__zspage *z)
{
	struct uz__keeper *k = &pool->keeper;

	if (z->remembered)
		return;
	if (k->nr == UZ__AHEAD)
		release_oldest(pool);
	k->ahead[(k->first + k->nr++) % UZ__AHEAD] = uz__zspage_window(pool, z);
	z->remembered = true;
}

/*
 * Pages from the first to the last may be held already; nobody gives those
 * back while @filling counts us.
 */
static void grow(struct uz__zs *pool, struct uz__class *c, struct uz__zspage *z,
		 uint64_t add)
{
	uint64_t base = uz__window_offset(pool, uz__zspage_window(pool, z));
	unsigned int first = (unsigned int)__builtin_ctzll(add);
	unsigned int last = 63 - (unsigned int)__builtin_clzll(add);
	int ret;

	ret = uz_shm_populate(&pool->base.arena,
			      base + (uint64_t)first * UZ_PAGE_SIZE,
			      (size_t)(last - first + 1) * UZ_PAGE_SIZE);
	uz_lock_acquire(&c->lock);
	uz__zspage_filled(pool, c, z, ret ? 0 : add);
	/*
	 * Even if it has left its class by now: that is seen in release(). And
	 * even after a failure: @ahead is to be cleared.
	 */
	remember(pool, z);
}

/*
 * @old: the hint is; nothing is populated then. keeper.work is held.
 */
static void grow_window(struct uz__zs *pool, uint32_t window, bool old)
{
	struct uz__zspage *z = &pool->zspages[window];
	/* relaxed: looked at again under the lock. */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	uint64_t add = 0;
	bool same;

	if (!class)
		return;
	uz_lock_acquire(&c->lock);
	/* Isolated: a store that failed is giving pages of it back. */
	same = atomic_load_explicit(&z->class, memory_order_relaxed) == class &&
	       !z->isolated;
	if (same && !old)
		add = pages_ahead(pool, c, z);
	/* It was opened in a window that had memory: that is ahead of use. */
	if (same && !add)
		note_ahead(c, z, 0);
	if (add && !uz__limit_charge(&pool->base, uz__pages_count(add), false))
		add = 0;
	if (add) {
		uz__zspage_hold(c, z, z->held | add, z->ahead);
		/* At once: a free would take them for waste meanwhile. */
		note_ahead(c, z, (unsigned int)__builtin_ctzll(add));
		z->filling++;
		uz__zspage_settle(pool, c, z);
	}
	uz_lock_release(&c->lock);
	if (add)
		grow(pool, c, z, add);
	else if (same)
		remember(pool, z);
}

/* ---- the thread ---- */

/* Who needs a page that is missing populates it himself. */
static bool may_grow(void)
{
	return uz_ahead_plenty(UZ__MAX_PAGES * UZ_PAGE_SIZE);
}

/* @rested: most of the hints are old. */
static bool serve_hints(struct uz__zs *pool, bool rested)
{
	struct uz__keeper *k = &pool->keeper;
	bool any = false;
	unsigned int i;

	for (i = 0; i < UZ__HINTS; i++) {
		uint32_t hint = atomic_load_explicit(&k->hints[i],
						     memory_order_relaxed);

		if (!hint)
			continue;
		atomic_store_explicit(&k->hints[i], 0, memory_order_relaxed);
		uz_lock_acquire(&k->work);
		grow_window(pool, hint - 1, (rested && any) || !may_grow());
		uz_lock_release(&k->work);
		any = true;
	}
	return any;
}

/*
 * Windows for the zspages that are opened next: twice as many as were opened
 * since the last look; and the reserve.
 */
static void serve_opens(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;
	/* relaxed: only a number. */
	uint32_t got =
		atomic_load_explicit(&pool->store.nr_got, memory_order_relaxed);
	uint32_t nr = 2 * (got - k->nr_got);

	k->nr_got = got;
	if (!nr && !uz__window_short(pool))
		return;
	uz_lock_acquire(&k->work);
	uz__window_fill(pool, nr < OPENS_MAX ? nr : OPENS_MAX);
	uz_lock_release(&k->work);
}

/* keeper.work, so that who needs the pool at rest waits for this, too. */
static void trim(struct uz__zs *pool)
{
	uz_scoped_acquire(guard, &pool->keeper.work);

	uz__zs_trim(&pool->base);
}

static void refill(struct uz__zs *pool)
{
	uz_scoped_acquire(guard, &pool->keeper.work);

	uz__window_fill(pool, 0);
}

/*
 * Nobody has stored for a while: give back what was not used. But if it is the
 * system that has nothing for the reserve, what stores find ready beside that
 * is as precious, and would not come back. At the limit the reserve is filled
 * from what is given back. False: to be tried again.
 */
static bool give_back(struct uz__zs *pool)
{
	refill(pool);
	if (uz__window_denied(pool))
		return false;
	uz__keeper_release(pool);
	trim(pool);
	refill(pool);
	return true;
}

static struct timespec time_after(long ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ns;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/*
 * Sleep until a hint comes; false when the keeper is to end. As long as the
 * reserve is short it is tried again and again: the system had no memory.
 */
static bool sleep_on(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;
	struct timespec until = time_after(RELEASE_NS);
	bool released = false;
	bool go_on;

	uz_lock_acquire(&k->sleep);
	atomic_store(&k->asleep, true);
	while (!stopping(k) && !any_hint(k)) {
		if (released && !uz__window_short(pool)) {
			pthread_cond_wait(&k->wake, &k->sleep.mutex);
		} else if (pthread_cond_timedwait(&k->wake, &k->sleep.mutex,
						  &until) == ETIMEDOUT) {
			uz_lock_release(&k->sleep);
			if (released)
				refill(pool);
			else
				released = give_back(pool);
			until = time_after(RETRY_NS);
			uz_lock_acquire(&k->sleep);
		}
	}
	atomic_store(&k->asleep, false);
	go_on = !stopping(k);
	uz_lock_release(&k->sleep);
	return go_on;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * Until the next look; longer when others want the CPUs, which is when it is
 * late twice in a row: once is the host's doing as often as not, and in a rest
 * hundreds of stores find a page missing. Hints that came in a rest are old:
 * who left them has populated by now, and to do so for more than one of them
 * would take long. True after a rest. With a reserve it does not rest: what
 * stores find missing they take from there.
 */
static bool look_pause(const struct uz__zs *pool, long time, bool *late)
{
	const struct timespec pause = { .tv_nsec = time };
	const struct timespec rest = { .tv_nsec = REST_NS };
	uint64_t began = now_ns();
	bool again = *late;

	nanosleep(&pause, NULL);
	*late = now_ns() - began >= (uint64_t)time + LATE_NS;
	if (uz__reserve_pages(pool) || !*late || !again)
		return false;
	nanosleep(&rest, NULL);
	return true;
}

static void *keeper_main(void *arg)
{
	const struct sched_param none = { 0 };
	struct uz__zs *pool = arg;
	unsigned int looks;
	bool late, rested;
	long pause;

	/*
	 * Takes a CPU from nobody when it wakes up, and rests when it had to
	 * wait for one: a store that has to populate for itself is slower, one
	 * that must share its CPU more so. Not SCHED_IDLE: a class would wait
	 * for a lock held here until some CPU has nothing else to do. A refusal
	 * is no matter. With a reserve it stays what the threads are that make
	 * requests: while it waits for memory, they cannot map any.
	 */
	if (!uz__reserve_pages(pool))
		pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
	uz_ahead_stack();
	do {
		pause = LOOK_NS;
		late = false;
		rested = false;
		for (looks = 0; looks < LOOKS && !stopping(&pool->keeper);
		     looks++) {
			if (serve_hints(pool, rested)) {
				looks = 0;
				pause = LOOK_NS;
			}
			serve_opens(pool);
			rested = look_pause(pool, pause, &late);
			if (pause < LOOK_MAX)
				pause *= 2;
		}
	} while (sleep_on(pool));
	return NULL;
}

void uz__keeper_init(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;
	pthread_condattr_t attr;

	uz_lock_init(&k->work, UZ_LOCK_POOL_KEEPER);
	uz_lock_init(&k->sleep, UZ_LOCK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->wake, &attr);
	pthread_condattr_destroy(&attr);
}

int uz__zs_keep(struct uz_pool *base)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__keeper *k = &pool->keeper;
	sigset_t all, before;
	int ret;

	uz__window_fill(pool, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&k->thread, NULL, keeper_main, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return -ret;
	pthread_setname_np(k->thread, "uz-keeper");
	k->running = true;
	return 0;
}

void uz__keeper_fini(struct uz__zs *pool)
{
	struct uz__keeper *k = &pool->keeper;

	if (k->running) {
		uz_lock_acquire(&k->sleep);
		atomic_store(&k->stop, true);
		pthread_cond_signal(&k->wake);
		uz_lock_release(&k->sleep);
		pthread_join(k->thread, NULL);
	}
	pthread_cond_destroy(&k->wake);
	uz_lock_destroy(&k->sleep);
	uz_lock_destroy(&k->work);
}
