// SPDX-License-Identifier: MIT
/*
 * A mixture of the pages of all corpora: what a page holds in a round follows
 * from both numbers alone, so that everything that is compared gets the same.
 */
#include <errno.h>
#include <string.h>

#include "pool.h"

#define SAMPLE 2048

const uint8_t *pool_mix(const struct pool_run *run, unsigned int round,
			uint64_t index)
{
	uint64_t x = random_mix(index | (uint64_t)round << 40);

	return corpus_page(&run->corpus[(x >> 48) % run->nr_corpora],
			   x & 0xffffffffffff);
}

int pool_mix_size(const struct pool_run *run, double *bytes, struct uz_err *err)
{
	uint8_t scratch[UZ_PAGE_SIZE];
	struct uz_codec_ctx *ctx;
	uint64_t sum = 0;
	int ret = uz_codec_ctx_create(&run->codec, NULL, &ctx);

	if (ret)
		return uz_err_set(err, ret, "%s: %s", run->codec_text,
				  strerror(-ret));
	for (uint64_t i = 0; i < SAMPLE; i++) {
		size_t len;

		if (uz_codec_compress(ctx, pool_mix(run, 0, i), scratch,
				      sizeof(scratch), &len))
			len = UZ_PAGE_SIZE;
		sum += len;
	}
	uz_codec_ctx_destroy(ctx);
	*bytes = (double)sum / SAMPLE;
	return 0;
}
