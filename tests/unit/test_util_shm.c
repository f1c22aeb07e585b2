// SPDX-License-Identifier: MIT
/*
 * Shared memory: what is mapped outlives the mapping, populated pages keep
 * what they hold, punched ones read as zeroes and are given back. All of it
 * once more with memory that is not swapped, where that can be had. Built
 * twice: UZ_TEST_TOUCH makes the system one that has no MADV_POPULATE_WRITE.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/shm.h>

#define PAGES(n) ((size_t)(n)*UZ_PAGE_SIZE)
#define SIZE	 PAGES(64)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* The linker leads shm.c here (--wrap=madvise). */
#ifdef UZ_TEST_TOUCH
static const int refuse_with = EINVAL;
#else
static int refuse_with; /* an errno, or 0: do not refuse */
#endif
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (refuse_with && advice == MADV_POPULATE_WRITE) {
		errno = refuse_with;
		return -1;
	}
	return __real_madvise(addr, len, advice);
}

/* And here (--wrap=fallocate64): a signal comes, so many times. */
static unsigned int signals;
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	if (!signals)
		return __real_fallocate64(fd, mode, off, len);
	signals--;
	errno = EINTR;
	return -1;
}

static unsigned char *bytes(const struct uz_shm *shm)
{
	return shm->base;
}

static void test_grows(void **state)
{
	struct uz_shm *shm = *state, more;
	struct stat st;

	assert_int_equal(shm->size, SIZE);
	assert_int_equal(fstat(shm->fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_true(fcntl(shm->fd, F_GETFD) & FD_CLOEXEC);
	/* A longer mapping lets it grow, a shorter one does not cut it. */
	assert_int_equal(uz_shm_map(&more, shm->fd, SIZE + PAGES(1)), 0);
	uz_shm_unmap(&more);
	assert_null(more.base);
	uz_shm_unmap(&more);
	assert_int_equal(uz_shm_map(&more, shm->fd, PAGES(1)), 0);
	uz_shm_unmap(&more);
	assert_int_equal(fstat(shm->fd, &st), 0);
	assert_int_equal(st.st_size, SIZE + PAGES(1));
}

static void test_grows_in_place(void **state)
{
	struct uz_shm *shm = *state, more;
	unsigned char *at;
	struct stat st;

	assert_int_equal(
		uz_shm_map_room(&more, shm->fd, SIZE, UINT64_C(1) << 36), 0);
	at = more.base;
	assert_int_equal(more.size, SIZE);
	assert_int_equal(more.room, UINT64_C(1) << 36);
	assert_int_equal(fstat(shm->fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	at[SIZE - 1] = 1;
	assert_int_equal(uz_shm_grow(&more, SIZE + 1), -EINVAL);
	assert_int_equal(uz_shm_grow(&more, more.room + PAGES(1)), -ENOMEM);
	assert_int_equal(uz_shm_grow(&more, 4 * SIZE), 0);
	assert_ptr_equal(more.base, at);
	assert_int_equal(fstat(shm->fd, &st), 0);
	assert_int_equal(st.st_size, 4 * SIZE);
	assert_int_equal(at[SIZE - 1], 1);
	assert_int_equal(at[4 * SIZE - 1], 0);
	at[4 * SIZE - 1] = 2;
	/* Less changes nothing. */
	assert_int_equal(uz_shm_grow(&more, SIZE), 0);
	assert_int_equal(more.size, 4 * SIZE);
	assert_int_equal(at[4 * SIZE - 1], 2);
	uz_shm_unmap(&more);
	assert_int_equal(uz_shm_map_room(&more, shm->fd, SIZE, 0), 0);
	assert_int_equal(uz_shm_grow(&more, SIZE + PAGES(1)), -ENOMEM);
	uz_shm_unmap(&more);
}

static void test_map_refuses(void **state)
{
	struct uz_shm *shm = *state, before = *shm, copy = *shm;

	assert_int_equal(uz_shm_map(&copy, shm->fd, 0), -EINVAL);
	assert_int_equal(uz_shm_map(&copy, shm->fd, SIZE + 1), -EINVAL);
	assert_int_equal(uz_shm_map(&copy, -1, SIZE), -EBADF);
	/* More than there are addresses. */
	assert_int_not_equal(uz_shm_map(&copy, shm->fd, SIZE_MAX / 4096 * 4096),
			     0);
	assert_memory_equal(&copy, &before, sizeof(copy));
}

static void test_outlives(void **state)
{
	struct uz_shm *shm = *state, again;

	memcpy(bytes(shm) + PAGES(3), "still here", 11);
	assert_int_equal(uz_shm_map(&again, shm->fd, SIZE), 0);
	uz_shm_unmap(shm);
	assert_string_equal((char *)bytes(&again) + PAGES(3), "still here");
	*shm = again;
}

static void test_populate(void **state)
{
	struct uz_shm *shm = *state;

	assert_int_equal(uz_shm_resident(shm), 0);
	memset(bytes(shm) + PAGES(9), 0xa5, PAGES(1));
	assert_int_equal(uz_shm_populate(shm, PAGES(8), PAGES(4)), 0);
	assert_int_equal(uz_shm_resident(shm), PAGES(4));
	/* What was there is kept. */
	for (size_t i = 0; i < PAGES(4); i++)
		assert_int_equal(bytes(shm)[PAGES(8) + i],
				 i / UZ_PAGE_SIZE == 1 ? 0xa5 : 0);
	/* Again, and over an end. */
	assert_int_equal(uz_shm_populate(shm, PAGES(8), PAGES(4)), 0);
	assert_int_equal(uz_shm_populate(shm, SIZE - PAGES(1), PAGES(1)), 0);
	assert_int_equal(uz_shm_resident(shm), PAGES(5));
}

#ifdef UZ_TEST_TOUCH
static void test_populate_interrupted(void **state)
{
	struct uz_shm *shm = *state;

	signals = 3;
	assert_int_equal(uz_shm_populate(shm, PAGES(8), PAGES(4)), 0);
	assert_int_equal(signals, 0);
	assert_int_equal(uz_shm_resident(shm), PAGES(4));
}
#else
static void test_populate_refused(void **state)
{
	static const int refusals[] = { ENOMEM, EFAULT };
	struct uz_shm *shm = *state;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		refuse_with = refusals[i];
		assert_int_equal(uz_shm_populate(shm, 0, PAGES(1)), -ENOMEM);
	}
	refuse_with = 0;
	assert_int_equal(uz_shm_populate(shm, 0, PAGES(1)), 0);
}
#endif

static void test_punch(void **state)
{
	struct uz_shm *shm = *state;

	memset(bytes(shm), 0x5a, PAGES(8));
	assert_int_equal(uz_shm_resident(shm), PAGES(8));
	assert_int_equal(uz_shm_punch(shm, PAGES(2), PAGES(3)), 0);
	assert_int_equal(uz_shm_resident(shm), PAGES(5));
	/* The end of memory that was never there is no mistake. */
	assert_int_equal(uz_shm_punch(shm, PAGES(32), PAGES(32)), 0);
	for (size_t i = 0; i < PAGES(8); i++) {
		size_t page = i / UZ_PAGE_SIZE;

		assert_int_equal(bytes(shm)[i],
				 page >= 2 && page < 5 ? 0 : 0x5a);
	}
	assert_int_equal(uz_shm_punch(shm, 0, 0), -EINVAL);
}

static void expect_run(const struct uz_shm *shm, size_t off, size_t from,
		       size_t to)
{
	size_t start = 0, end = 0;

	assert_int_equal(uz_shm_next_data(shm, off, &start, &end), 0);
	assert_int_equal(start, from);
	assert_int_equal(end, to);
}

static void test_next_data(void **state)
{
	struct uz_shm *shm = *state, part;
	size_t start = 1, end = 2;

	assert_int_equal(uz_shm_next_data(shm, 0, &start, &end), -ENXIO);
	assert_int_equal(uz_shm_populate(shm, PAGES(4), PAGES(3)), 0);
	assert_int_equal(uz_shm_populate(shm, SIZE - PAGES(2), PAGES(2)), 0);
	expect_run(shm, 0, PAGES(4), PAGES(7));
	expect_run(shm, PAGES(5), PAGES(5), PAGES(7));
	expect_run(shm, PAGES(7), SIZE - PAGES(2), SIZE);
	assert_int_equal(uz_shm_next_data(shm, SIZE, &start, &end), -ENXIO);
	assert_int_equal(uz_shm_next_data(shm, SIZE * 2, &start, &end), -ENXIO);

	/* A shorter mapping ends a run, and hides what lies behind it. */
	assert_int_equal(uz_shm_map(&part, shm->fd, PAGES(6)), 0);
	expect_run(&part, 0, PAGES(4), PAGES(6));
	uz_shm_unmap(&part);
	assert_int_equal(uz_shm_map(&part, shm->fd, PAGES(4)), 0);
	assert_int_equal(uz_shm_next_data(&part, 0, &start, &end), -ENXIO);
	uz_shm_unmap(&part);
	assert_int_equal(start, 1);
	assert_int_equal(end, 2);
}

/* st_dev of what uz_shm_memfd() makes now. */
static dev_t lies_in(void)
{
	int fd = uz_shm_memfd("test");
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0;
	close(fd);
	return st.st_dev;
}

/* Of nobody's asking: a refusal, and memory as before. */
static void test_noswap_refused(void **state)
{
	dev_t before = lies_in();
	int status;
	pid_t pid;

	(void)state;
	assert_int_not_equal(before, 0);
	pid = fork();
	if (!pid) {
		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(2);
		if (uz_shm_noswap() != -EPERM)
			_exit(3);
		_exit(lies_in() == before ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A file system of its own, whose files have no name any more. */
static void test_noswap(void **state)
{
	char path[64], name[64] = "";
	int fd, more, other = memfd_create("other", MFD_CLOEXEC);
	struct stat st;
	dev_t dev;
	int ret = uz_shm_noswap();

	(void)state;
	assert_int_equal(fstat(other, &st), 0);
	close(other);
	if (ret) {
		print_message("# nothing without swap: %s\n", strerror(-ret));
		assert_int_equal(lies_in(), st.st_dev);
		return;
	}
	dev = lies_in();
	assert_int_not_equal(dev, st.st_dev);
	assert_int_equal(uz_shm_noswap(), 0);
	assert_int_equal(lies_in(), dev);

	fd = uz_shm_memfd("test");
	more = uz_shm_memfd("test");
	assert_true(fd >= 0);
	assert_true(more >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, name, sizeof(name) - 1) > 0);
	assert_string_equal(name, "/test (deleted)");
	/* Larger than any memory. */
	assert_int_equal(ftruncate(fd, (off_t)1 << 44), 0);
	close(fd);
	close(more);
}

static int set_up(void **state)
{
	static struct uz_shm shm;
	int fd = uz_shm_memfd("test");

	*state = &shm;
	return fd < 0 ? fd : uz_shm_map(&shm, fd, SIZE);
}

static int tear_down(void **state)
{
	struct uz_shm *shm = *state;
	int fd = shm->fd;

	uz_shm_unmap(shm);
	return close(fd);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define ALL                                                                  \
	EACH(test_grows), EACH(test_grows_in_place), EACH(test_map_refuses), \
		EACH(test_outlives), EACH(test_populate), EACH(test_punch),  \
		EACH(test_next_data)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL,
#ifdef UZ_TEST_TOUCH
		EACH(test_populate_interrupted),
#else
		EACH(test_populate_refused),
#endif
		cmocka_unit_test(test_noswap_refused),
		/* From here on, if it can be had. */
		cmocka_unit_test(test_noswap),
		ALL,
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
