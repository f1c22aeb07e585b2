// SPDX-License-Identifier: MIT
/*
 * Threads compress and decompress, each with contexts of its own, and now and
 * then make them anew with another codec or level. A page is compared after
 * its way there and back; a damaged one must end in 0 or -EIO. What threads
 * share without saying so shows as a wrong page, or under TSan.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tests/pages.h>
#include <uzram/compress.h>

#define THREADS	  2
#define PER_CODEC 500

static atomic_bool stop;

struct worker {
	pthread_t thread;
	uint64_t random;
	uint64_t pages;
	const char *wrong; /* what went wrong first */
};

/* A codec of any name, with a low level where it knows 1 ... 9. */
static bool any_codec(struct worker *w, struct uz_codec *codec)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	unsigned int n = 0;
	const char *name;

	while (uz_codec_known(n))
		n++;
	name = uz_codec_known((unsigned int)(page_random(&w->random) % n));
	snprintf(text, sizeof(text), "%s:level=%u", name,
		 (unsigned int)(1 + page_random(&w->random) % 9));
	/* Some have no levels. */
	return !uz_codec_parse(text, codec, NULL) ||
	       !uz_codec_parse(name, codec, NULL);
}

static const char *one_page(struct worker *w, struct uz_codec_ctx *ctx)
{
	unsigned char page[UZ_PAGE_SIZE], out[UZ_PAGE_SIZE], back[UZ_PAGE_SIZE];
	enum page_kind kind =
		(enum page_kind)(page_random(&w->random) % PAGE_KINDS);
	size_t cap = 1 + page_random(&w->random) % UZ_PAGE_SIZE, len;
	int ret;

	page_fill(page, kind, &w->random);
	ret = uz_codec_compress(ctx, page, out, cap, &len);
	if (ret)
		return ret == -E2BIG ? NULL : "compress: not -E2BIG";
	if (!len || len > cap)
		return "compress: length out of range";
	if (uz_codec_decompress(ctx, out, len, back))
		return "decompress: failed";
	if (memcmp(page, back, UZ_PAGE_SIZE))
		return "decompress: another page";
	out[page_random(&w->random) % len] ^= 1;
	ret = uz_codec_decompress(ctx, out, len, back);
	return !ret || ret == -EIO ? NULL : "decompress: not -EIO";
}

static void *work(void *arg)
{
	struct worker *w = arg;

	/* Once at least, however long it had no CPU. */
	do {
		struct uz_codec_ctx *ctx;
		struct uz_codec codec;

		if (!any_codec(w, &codec) ||
		    uz_codec_ctx_create(&codec, NULL, &ctx)) {
			w->wrong = "no context";
			break;
		}
		for (int i = 0; i < PER_CODEC && !w->wrong; i++, w->pages++)
			w->wrong = one_page(w, ctx);
		uz_codec_ctx_destroy(ctx);
		/* relaxed: seen soon enough, and nothing else is told by it */
	} while (!w->wrong &&
		 !atomic_load_explicit(&stop, memory_order_relaxed));
	return NULL;
}

int main(void)
{
	const char *seconds = getenv("UZ_SECONDS");
	uint64_t seed = page_seed("");
	struct worker workers[THREADS];
	int status = EXIT_SUCCESS;

	for (int i = 0; i < THREADS; i++) {
		workers[i] =
			(struct worker){ .random = page_random(&seed) | 1 };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 99;
	}
	nanosleep(&(struct timespec){ .tv_sec = seconds ? atoi(seconds) : 3 },
		  NULL);
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		printf("thread %d: %llu pages, %s\n", i,
		       (unsigned long long)workers[i].pages,
		       workers[i].wrong ? workers[i].wrong : "all right");
		if (workers[i].wrong || !workers[i].pages)
			status = EXIT_FAILURE;
	}
	return status;
}
