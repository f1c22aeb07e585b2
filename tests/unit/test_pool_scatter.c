// SPDX-License-Identifier: MIT
/*
 * scatter's own: no pointer to an object, one map at a time that keeps
 * everybody else out, links that adoption does not trust, and planted damage
 * that uz_pool_check() finds.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <scatter_priv.h>

#include "pool_damage.h"

static void open_it(struct fixture *f)
{
	fixture_open(f, 4);
	fixture_become(f, "scatter");
}

static void test_no_pointer(void **state)
{
	char copy[UZ_POOL_MAX_OBJECT];
	struct uz_map map;
	struct fixture f;
	uz_ref_t a;

	(void)state;
	open_it(&f);
	assert_int_equal(uz_pool_caps(f.pool), 0);
	a = fixture_alloc(&f, 4104, 1);
	assert_null(uz_pool_bytes(f.pool, a));
	uz_pool_map(f.pool, a, &map);
	assert_null(map.bytes);
	assert_ptr_equal(uz_pool_view(f.pool, &map, 4104, copy), copy);
	fixture_same_mapped(&f, &map, 4104, 1);
	uz_pool_unmap(f.pool, &map);
	uz_pool_free(f.pool, a);
	fixture_close(&f);
}

/* An object that is written piece by piece, across fragments. */
static void test_write_in_pieces(void **state)
{
	static const uint32_t pieces[] = { 1, 7, 247, 248, 249, 1000 };
	uint8_t bytes[UZ_POOL_MAX_OBJECT];
	struct fixture f;
	uint32_t at, len;
	unsigned int k;
	uz_ref_t a;

	(void)state;
	open_it(&f);
	for (at = 0; at < UZ_POOL_MAX_OBJECT; at++)
		bytes[at] = fixture_byte(3, at);
	for (k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
		a = fixture_alloc(&f, UZ_POOL_MAX_OBJECT, 9);
		for (at = 0; at < UZ_POOL_MAX_OBJECT; at += len) {
			len = pieces[k];
			if (len > UZ_POOL_MAX_OBJECT - at)
				len = UZ_POOL_MAX_OBJECT - at;
			uz_pool_write(f.pool, a, at, bytes + at, len);
		}
		fixture_same(&f, a, UZ_POOL_MAX_OBJECT, 3);
		fixture_check(&f); /* no link was written over */
		uz_pool_free(f.pool, a);
	}
	fixture_close(&f);
}

struct freer {
	struct fixture *f;
	uz_ref_t ref;
	atomic_bool begun;
};

static void *free_it(void *arg)
{
	struct freer *freer = arg;

	atomic_store(&freer->begun, true);
	uz_pool_free(freer->f->pool, freer->ref);
	return NULL;
}

/* A free by another thread waits for the map; the bytes stay meanwhile. */
static void test_free_waits_for_the_map(void **state)
{
	struct freer freer;
	struct uz_map map;
	pthread_t thread;
	struct fixture f;
	unsigned int i;

	(void)state;
	open_it(&f);
	for (i = 0; i < 20; i++) {
		freer = (struct freer){
			.f = &f,
			.ref = fixture_alloc(&f, 3000, i),
		};
		uz_pool_map(f.pool, freer.ref, &map);
		assert_int_equal(pthread_create(&thread, NULL, free_it, &freer),
				 0);
		while (!atomic_load(&freer.begun))
			sched_yield();
		fixture_same_mapped(&f, &map, 3000, i);
		uz_pool_unmap(f.pool, &map);
		pthread_join(thread, NULL);
		assert_int_equal(fixture_stat(&f).objects, 0);
	}
	fixture_close(&f);
}

#ifdef UZ_DEBUG_CHECKS
static void do_alloc(struct fixture *f, uz_ref_t a)
{
	uz_ref_t ref;

	(void)a;
	(void)!uz_pool_alloc(f->pool, 100, 1, 0, &ref);
}

static void do_free(struct fixture *f, uz_ref_t a)
{
	uz_pool_free(f->pool, a);
}

static void do_write(struct fixture *f, uz_ref_t a)
{
	uz_pool_write(f->pool, a, 0, "x", 1);
}

static void do_map(struct fixture *f, uz_ref_t a)
{
	struct uz_map map;

	uz_pool_map(f->pool, a, &map);
}

/* What must not be done while an object is mapped ends the program. */
static void test_misuse_is_found_out(void **state)
{
	static void (*const misuses[])(struct fixture *, uz_ref_t) = {
		do_alloc,
		do_free,
		do_write,
		do_map,
	};
	struct uz_map map;
	struct fixture f;
	unsigned int i;
	int status;
	uz_ref_t a;
	pid_t pid;

	(void)state;
	open_it(&f);
	a = fixture_alloc(&f, 1000, 1);
	for (i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			signal(SIGABRT, SIG_DFL);
			fclose(stderr);
			uz_pool_map(f.pool, a, &map);
			misuses[i](&f, a);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
	uz_pool_free(f.pool, a);
	fixture_close(&f);
}
#endif

/* The links of a live object are changed behind its back, then adopted. */
static void test_links_are_not_trusted(void **state)
{
	enum {
		NR = 10
	};
	uz_ref_t refs[NR];
	uint64_t good, bad[8];
	struct fixture f;
	unsigned int i, k;
	off_t at;
	int ret;

	(void)state;
	open_it(&f);
	fixture_fill(&f, refs, NR, 2000);
	at = (off_t)(refs[5] * UZ_REF_UNIT);
	assert_int_equal(pread(f.fd, &good, 8, at), 8);
	bad[0] = 0;
	bad[1] = good ^ UINT64_C(1) << 40; /* no link */
	bad[2] = UZ__FRAG_MAGIC | UZ__FRAG_NONE; /* ends early */
	bad[3] = UZ__FRAG_MAGIC | (UZ__FRAG_NONE - 1); /* leaves the arena */
	bad[4] = UZ__FRAG_MAGIC | 4 * WINDOW_PAGES * UZ__FRAG_IN_PAGE;
	bad[5] = UZ__FRAG_MAGIC | uz__ref_frag(refs[5]); /* leads to itself */
	bad[6] = UZ__FRAG_MAGIC | uz__ref_frag(refs[2]); /* another object */
	bad[7] = UINT64_MAX;
	for (k = 0; k < 8; k++) {
		assert_int_equal(pwrite(f.fd, &bad[k], 8, at), 8);
		fixture_restart(&f);
		for (i = ret = 0; i < NR && !ret; i++)
			ret = uz_pool_adopt_object(f.pool, refs[i], 2000, i);
		assert_int_equal(ret, -EUCLEAN);
	}
	assert_int_equal(pwrite(f.fd, &good, 8, at), 8);
	/* Not its size; not its first fragment. */
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_object(f.pool, refs[5], 4000, 5),
			 -EUCLEAN);
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_object(f.pool, refs[5], 200, 5),
			 -EUCLEAN);
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_object(
				 f.pool, uz__frag_ref((uint32_t)good), 2000, 5),
			 -EUCLEAN);
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_object(f.pool, refs[5] + 8, 2000, 5),
			 -EUCLEAN);
	/* All put back: nothing was lost on the way. */
	fixture_restart(&f);
	for (i = 0; i < NR; i++)
		assert_int_equal(uz_pool_adopt_object(f.pool, refs[i], 2000, i),
				 0);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	for (i = 0; i < NR; i++) {
		fixture_same(&f, refs[i], 2000, i);
		uz_pool_free(f.pool, refs[i]);
	}
	fixture_close(&f);
}

static void test_damage_is_found(void **state)
{
	struct uz__scatter *pool;
	struct uz__frag *head, *body;
	uint64_t *link;
	struct fixture f;
	uz_ref_t a, b, c;

	(void)state;
	open_it(&f);
	a = fixture_alloc(&f, 4000, 1);
	b = fixture_alloc(&f, 3000, 2);
	c = fixture_alloc(&f, 4000, 3);
	uz_pool_free(f.pool, b);
	pool = uz__scatter(f.pool);
	head = &pool->frags[uz__ref_frag(a)];
	body = &pool->frags[head->next];
	fixture_check(&f);

	PLANT(&f, head->nr, 0, "no such size");
	PLANT(&f, head->nr, 18, "no such size");
	PLANT(&f, head->nr, 5, "does not end");
	PLANT(&f, head->nr, 16, "does not end");
	PLANT(&f, head->next, UZ__FRAG_NONE, "link is not");
	PLANT(&f, head->state, UZ__FRAG_BODY, "object");
	PLANT(&f, head->state, 9, "state is wrong");
	PLANT(&f, head->state, UZ__FRAG_GONE, "state is wrong");
	PLANT(&f, body->owner, uz__ref_frag(c), "leaves the object");
	PLANT(&f, body->state, UZ__FRAG_FREE, "");
	PLANT(&f, pool->free[0], pool->free[1], "not in the list");
	PLANT(&f, pool->nr_free, pool->nr_free + 1, "count of pages");
	PLANT(&f, pool->nr_used, 7, "count of objects");
	PLANT(&f, pool->objects, 7, "count of objects");
	PLANT(&f, pool->nr_live, 7, "count of pages");
	PLANT(&f, pool->nr_kept, 7, "count of pages");
	PLANT(&f, pool->pages[0].used, 1, "count of fragments");
	PLANT(&f, f.pool->used_pages, f.pool->used_pages + 1, "counted");
	link = (uint64_t *)uz__frag_at(pool, uz__ref_frag(a));
	PLANT(&f, *link, 0, "link is not");
	PLANT(&f, *link, UZ__FRAG_MAGIC, "link is not");

	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, c);
	PLANT(&f, pool->spare, UZ__FRAG_NONE, "spare pages");
	PLANT(&f, pool->pages[pool->spare].next, pool->spare, "spare pages");
	PLANT(&f, pool->pages[pool->spare].held, true, "state is wrong");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_pointer),
		cmocka_unit_test(test_write_in_pieces),
		cmocka_unit_test(test_free_waits_for_the_map),
#ifdef UZ_DEBUG_CHECKS
		cmocka_unit_test(test_misuse_is_found_out),
#endif
		cmocka_unit_test(test_links_are_not_trusted),
		cmocka_unit_test(test_damage_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
