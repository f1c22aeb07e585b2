// SPDX-License-Identifier: MIT
/*
 * The memory of io_uring's entries: made, taken over by another process at the
 * same place, refused when that place is taken or the memory is not ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <area_priv.h>
#include <uzram/util/shm.h>

/* Something else lies before it. */
#define OFFSET (3 * UZ_PAGE_SIZE)

static const struct uz__fuse_plan plan = {
	.queues = 3,
	.depth = 4,
	.payload = FUSE_MIN_READ_BUFFER,
};

struct world {
	int mem;
	struct uz__fuse_area area;
};

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	*state = w;
	w->mem = uz_shm_memfd("test");
	return w->mem < 0 ||
	       uz__fuse_area_create(&w->area, w->mem, OFFSET, &plan);
}

static int world_teardown(void **state)
{
	struct world *w = *state;

	uz__fuse_area_end(&w->area);
	close(w->mem);
	free(w);
	return 0;
}

static uint64_t held(const struct world *w)
{
	struct stat st;

	assert_int_equal(fstat(w->mem, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static unsigned char *slot_at(struct world *w, unsigned int slot)
{
	return w->area.slots + slot * uz__fuse_slot_size(&plan);
}

static void test_create(void **state)
{
	struct world *w = *state;

	assert_false(w->area.adopted);
	assert_int_equal((uintptr_t)w->area.slots % UZ_PAGE_SIZE, 0);
	assert_int_equal(held(w), UZ_PAGE_SIZE);
	memset(slot_at(w, 11), 1, uz__fuse_slot_size(&plan));
}

/* What an earlier attempt has left there is gone. */
static void test_create_again(void **state)
{
	struct world *w = *state;

	memset(w->area.slots, 1, UZ_PAGE_SIZE);
	uz__fuse_area_end(&w->area);
	assert_int_equal(uz__fuse_area_create(&w->area, w->mem, OFFSET, &plan),
			 0);
	assert_int_equal(held(w), UZ_PAGE_SIZE);
}

static void test_create_fails(void **state)
{
	struct world *w = *state;
	struct uz__fuse_area area = { .fd = 77 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)w;
	assert_int_equal(uz__fuse_area_create(&area, -1, 0, &plan), -EBADF);
	assert_int_not_equal(uz__fuse_area_create(&area, null, 0, &plan), 0);
	assert_int_equal(area.fd, 77);
	close(null);
}

static void test_adopt(void **state)
{
	struct world *w = *state;
	unsigned char *base = w->area.base;

	memset(slot_at(w, 5), 0x55, 100);
	uz__fuse_area_end(&w->area);
	assert_int_equal(uz__fuse_area_adopt(&w->area, w->mem, OFFSET), 0);
	assert_true(w->area.adopted);
	assert_ptr_equal(w->area.base, base);
	assert_int_equal(w->area.plan.queues, plan.queues);
	assert_int_equal(w->area.plan.depth, plan.depth);
	assert_int_equal(w->area.plan.payload, plan.payload);
	assert_int_equal(w->area.plan.bytes, uz__fuse_plan_bytes(&plan));
	assert_int_equal(slot_at(w, 5)[99], 0x55);
}

/* A program of its own, as a successor is. */
static void test_adopt_by_exec(void **state)
{
	struct world *w = *state;
	char number[16];
	int status;
	pid_t pid;

	memset(slot_at(w, 2), 0x55, 1);
	snprintf(number, sizeof(number), "%d", w->mem);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		fcntl(w->mem, F_SETFD, 0);
		execl("/proc/self/exe", "test_fuse_area", number, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(slot_at(w, 2)[0], 0x56);
}

static int successor(int mem)
{
	struct uz__fuse_area area;

	if (uz__fuse_area_adopt(&area, mem, OFFSET))
		return 1;
	area.slots[2 * uz__fuse_slot_size(&plan)]++;
	uz__fuse_area_end(&area);
	return 0;
}

static void test_place_is_taken(void **state)
{
	struct world *w = *state;
	struct uz__fuse_area other = { .fd = 77 };

	assert_int_equal(uz__fuse_area_adopt(&other, w->mem, OFFSET), -EEXIST);
	assert_int_equal(other.fd, 77);
	/* What was there is unharmed. */
	memset(w->area.slots, 1, UZ_PAGE_SIZE);
}

static void test_nothing_to_adopt(void **state)
{
	struct world *w = *state;
	struct uz__fuse_area other;
	int empty = uz_shm_memfd("empty");

	assert_int_equal(uz__fuse_area_adopt(&other, empty, OFFSET), -ENODATA);
	assert_int_equal(uz__fuse_area_adopt(&other, w->mem, 0), -ENODATA);
	assert_int_equal(uz__fuse_area_adopt(&other, -1, 0), -EBADF);
	uz__fuse_area_drop(&w->area);
	uz__fuse_area_end(&w->area);
	assert_int_equal(uz__fuse_area_adopt(&other, w->mem, OFFSET), -ENODATA);
	close(empty);
}

/* Each word of the head, with values from everywhere. */
static void test_damaged_head(void **state)
{
	static const uint64_t values[] = { 1,
					   4095,
					   0x1001,
					   UINT32_MAX,
					   UINT64_MAX,
					   UINT64_MAX << 12,
					   UINT64_C(1) << 63 };
	struct world *w = *state;
	struct uz__fuse_area other;
	uint64_t good[4], bad[4];
	unsigned int word, i;
	int ret;

	uz__fuse_area_end(&w->area);
	assert_int_equal(pread(w->mem, good, sizeof(good), OFFSET),
			 sizeof(good));
	for (word = 0; word < 4; word++) {
		for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			memcpy(bad, good, sizeof(bad));
			bad[word] = values[i];
			assert_int_equal(
				pwrite(w->mem, bad, sizeof(bad), OFFSET),
				sizeof(bad));
			ret = uz__fuse_area_adopt(&other, w->mem, OFFSET);
			assert_int_not_equal(ret, 0);
			assert_true(word > 0 || ret == -EINVAL);
		}
	}
	assert_int_equal(pwrite(w->mem, good, sizeof(good), OFFSET),
			 sizeof(good));
	assert_int_equal(ftruncate(w->mem, OFFSET + 2 * UZ_PAGE_SIZE), 0);
	assert_int_equal(uz__fuse_area_adopt(&other, w->mem, OFFSET), -EINVAL);
}

static void test_touched(void **state)
{
	struct world *w = *state;
	struct uz__fuse_slot *slot = (struct uz__fuse_slot *)slot_at(w, 7);

	slot->hdr.ent.commit_id = 9;
	assert_true(uz__fuse_area_touched(&w->area, 7));
	assert_false(uz__fuse_area_touched(&w->area, 6));
	assert_false(uz__fuse_area_touched(&w->area, 11));
	assert_int_equal(held(w), 2 * UZ_PAGE_SIZE);
}

static void test_populate(void **state)
{
	struct world *w = *state;
	const size_t size = uz__fuse_slot_size(&plan);

	slot_at(w, 5)[UZ__FUSE_ENTRY_HEAD] = 7;
	assert_int_equal(uz__fuse_area_populate(&w->area, 5), 0);
	assert_int_equal(held(w), UZ_PAGE_SIZE + size);
	assert_int_equal(slot_at(w, 5)[UZ__FUSE_ENTRY_HEAD], 7);
	assert_int_equal(uz__fuse_area_populate(&w->area, 5), 0);
	assert_int_equal(held(w), UZ_PAGE_SIZE + size);
	/* Its file ends before it. */
	assert_int_equal(ftruncate(w->mem, OFFSET + UZ_PAGE_SIZE), 0);
	assert_int_equal(uz__fuse_area_populate(&w->area, 5), -EFAULT);
}

#define world_test(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		world_test(test_create),
		world_test(test_create_again),
		world_test(test_create_fails),
		world_test(test_adopt),
		world_test(test_adopt_by_exec),
		world_test(test_place_is_taken),
		world_test(test_nothing_to_adopt),
		world_test(test_damaged_head),
		world_test(test_touched),
		world_test(test_populate),
	};

	if (argc > 1)
		return successor(atoi(argv[1]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
