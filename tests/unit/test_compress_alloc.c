// SPDX-License-Identifier: MIT
/*
 * Memory: a context allocates when it is made and never again, and when there
 * is none it is not made, and nothing is lost.
 *
 * The allocator is this program's own and counts. A linker's --wrap would not
 * see what the codecs' shared libraries allocate. Sanitizers bring an
 * allocator themselves; there its hooks count, and nothing is made to fail.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/pages.h>
#include <uzram/compress.h>

#include "config.h"

/* Atomic only because an allocator may be called by any thread: relaxed. */
static atomic_uint allocations;
static atomic_uint live;
static unsigned int fail_at; /* the n-th allocation from now, 0: none */

static void count_malloc(void)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
}

static void count_free(void)
{
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}

/* How gcc says it, and how clang does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#define CAN_COUNT 1
#define CAN_FAIL  0

/* In the runtime of each sanitizer; gcc does not ship the header. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*malloc_hook)(const volatile void *, size_t),
	void (*free_hook)(const volatile void *));

static void hook_malloc(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	count_malloc();
}

static void hook_free(const volatile void *p)
{
	(void)p;
	count_free();
}

static void count_begin(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(hook_malloc,
							      hook_free));
}
#elif defined(__GLIBC__)
#define CAN_COUNT 1
#define CAN_FAIL  1

/* glibc's allocator under the names that are left when malloc is replaced. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static bool refuse(void)
{
	if (fail_at && !--fail_at)
		return true;
	count_malloc();
	return false;
}

void *malloc(size_t size)
{
	return refuse() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	if (refuse())
		return NULL;
	if (p)
		count_free();
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return refuse() ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	*p = aligned_alloc(align, size);
	return *p ? 0 : ENOMEM;
}

void free(void *p)
{
	if (p)
		count_free();
	__libc_free(p);
}

static void count_begin(void)
{
}
#else
#define CAN_COUNT 0
#define CAN_FAIL  0

static void count_begin(void)
{
}
#endif

static unsigned int allocated(void)
{
	return atomic_load_explicit(&allocations, memory_order_relaxed);
}

/* Bounds of the ranges, as libraries size their tables by level. */
static const char *const codecs[] = {
#if UZ_HAVE_LZ4
	"lz4",
	"lz4hc:level=1",
	"lz4hc:level=9", /* see test_lz4hc_scratch() for those above */
#endif
#if UZ_HAVE_ZSTD
	"zstd:level=-100",
	"zstd",
	"zstd:level=22",
#endif
#if UZ_HAVE_LZO
	"lzo",
#endif
#if UZ_HAVE_DEFLATE
	"deflate:level=0",
	"deflate",
	"deflate:level=12",
#endif
	"store",
};

#define N_CODECS (sizeof(codecs) / sizeof(codecs[0]))

static void run_pages(struct uz_codec_ctx *ctx, uint64_t *random)
{
	static unsigned char page[UZ_PAGE_SIZE], out[UZ_PAGE_SIZE];
	size_t len;

	/* Far beyond the 128 uses after which libzstd would resize tables. */
	for (int n = 0; n < 2000; n++) {
		size_t cap = n % 3 ? UZ_PAGE_SIZE
				   : 1 + page_random(random) % UZ_PAGE_SIZE;

		page_fill(page, (enum page_kind)(n % PAGE_KINDS), random);
		if (uz_codec_compress(ctx, page, out, cap, &len))
			len = cap; /* what it left there: damaged */
		if (n % 7 == 6)
			out[page_random(random) % len] ^= 0x10;
		/* Good or damaged, it must allocate nothing. */
		if (uz_codec_decompress(ctx, out, len, page))
			continue;
	}
}

/* A codec and a context; every second one with a dictionary, if it can. */
static int make(size_t i, struct uz_codec_dict **dict,
		struct uz_codec_ctx **ctx)
{
	static const unsigned char bytes[5000] = "a dictionary";
	struct uz_codec codec;
	int ret = 0;

	*dict = NULL;
	assert_int_equal(uz_codec_parse(codecs[i / 2], &codec, NULL), 0);
	if (i % 2) {
		ret = uz_codec_dict_create(&codec, bytes, sizeof(bytes), dict);
		if (ret == -ENOTSUP)
			ret = 0;
		codec.dict = *dict != NULL;
	}
	return ret ? ret : uz_codec_ctx_create(&codec, *dict, ctx);
}

static void test_nothing_per_page(void **state)
{
	uint64_t random = page_seed("# ");
	struct uz_codec_dict *dict;
	struct uz_codec_ctx *ctx;
	unsigned int before;

	(void)state;
	if (!CAN_COUNT)
		return; /* not with this allocator */
	for (size_t i = 0; i < 2 * N_CODECS; i++) {
		before = allocated();
		assert_int_equal(make(i, &dict, &ctx), 0);
		/* It does count. */
		assert_int_not_equal(allocated(), before);
		before = allocated();
		run_pages(ctx, &random);
		assert_int_equal(allocated(), before);
		uz_codec_ctx_destroy(ctx);
		uz_codec_dict_destroy(dict);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	if (!CAN_FAIL)
		return; /* not with this allocator */
	for (size_t i = 0; i < 2 * N_CODECS; i++) {
		unsigned int before = atomic_load(&live);
		unsigned int n = 0;
		int ret;

		/* libzstd 1.5.4 does not look at what it got; see zstd.c. */
		if (i % 2 && !strncmp(codecs[i / 2], "zstd", 4))
			continue;
		do {
			struct uz_codec_dict *dict;
			struct uz_codec_ctx *ctx = NULL;

			fail_at = ++n;
			ret = make(i, &dict, &ctx);
			fail_at = 0;
			if (ret) {
				assert_int_equal(ret, -ENOMEM);
				assert_null(ctx);
			}
			uz_codec_ctx_destroy(ctx);
			uz_codec_dict_destroy(dict);
			assert_int_equal(atomic_load(&live), before);
		} while (ret);
		/* At least the first allocation was made to fail. */
		assert_true(n > 1);
	}
}

#if UZ_HAVE_LZ4
/* The one exception: when there is no memory, the page just does not fit. */
static void test_lz4hc_scratch(void **state)
{
	static unsigned char page[UZ_PAGE_SIZE], out[UZ_PAGE_SIZE];
	struct uz_codec_ctx *ctx;
	struct uz_codec codec;
	size_t len = 4711;
	int ret;

	(void)state;
	if (!CAN_FAIL)
		return; /* not with this allocator */
	assert_int_equal(uz_codec_parse("lz4hc:level=12", &codec, NULL), 0);
	assert_int_equal(uz_codec_ctx_create(&codec, NULL, &ctx), 0);
	fail_at = 1;
	ret = uz_codec_compress(ctx, page, out, sizeof(out), &len);
	if (!fail_at) { /* else liblz4 was built to use the stack */
		assert_int_equal(ret, -E2BIG);
		assert_int_equal(len, 4711);
	}
	fail_at = 0;
	assert_int_equal(uz_codec_compress(ctx, page, out, sizeof(out), &len),
			 0);
	uz_codec_ctx_destroy(ctx);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_per_page),
		cmocka_unit_test(test_no_memory),
#if UZ_HAVE_LZ4
		cmocka_unit_test(test_lz4hc_scratch),
#endif
	};

	count_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
