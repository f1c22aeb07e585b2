// SPDX-License-Identifier: MIT
/*
 * "policy": a device that holds a corpus and is then left alone, with a policy
 * that was set before and nothing else. How much less memory does it take
 * afterwards? It is compacted in the background, as one that is served.
 */
#include <string.h>

#include <uzram/worker/policy.h>

#include "pool.h"

enum {
	BEFORE,
	AFTER,
	RATIO,
	MARKED,
	RECOMPRESSED,
	SAVED,
	CPU,
};

static const struct table_column columns[] = {
	{ "all_bytes_before", "all", "MB", 1e-6, 1 },
	{ "all_bytes_after", "after", "MB", 1e-6, 1 },
	{ "after_to_before", "after by", "before", 1, 3 },
	{ "marked_pages", "marked", "pages", 1, 0 },
	{ "recompressed_pages", "smaller", "pages", 1, 0 },
	{ "saved_bytes", "saved", "MB", 1e-6, 1 },
	{ "cpu_seconds", "CPU", "seconds", 1, 2 },
};

static void report(struct table_row *row, const struct pool_device *d,
		   const struct pool_memory *before,
		   const struct pool_memory *after)
{
	static const struct {
		unsigned int column;
		enum uz_policy_number number;
		double scale;
	} sums[] = {
		{ MARKED, UZ_POLICY_MARKED, 1 },
		{ RECOMPRESSED, UZ_POLICY_RECOMPRESSED, 1 },
		{ SAVED, UZ_POLICY_SAVED, 1 },
		{ CPU, UZ_POLICY_CPU_NS, 1e-9 },
	};

	table_set(row, BEFORE, (double)before->all);
	table_set(row, AFTER, (double)after->all);
	table_set(row, RATIO, (double)after->all / (double)before->all);
	for (unsigned int i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		table_set(row, sums[i].column,
			  (double)uz_device_policy(d->dev, sums[i].number) *
				  sums[i].scale);
}

static int leave_alone(struct pool_run *run, const struct corpus *corpus,
		       struct pool_device *d, struct uz_policy *policy,
		       struct uz_err *err)
{
	struct pool_memory before, after;
	struct table_row *row;
	int ret = uz_policy_apply(d->dev, run->o->policy, err);

	if (!ret)
		ret = uz_policy_follow(policy, err);
	if (!ret)
		ret = pool_device_fill(d, corpus, err);
	if (ret)
		return ret;
	pool_device_memory(d, &before);
	if (clock_sleep(clock_ns() + (uint64_t)(run->o->idle * 1e9)))
		return uz_err_set(err, -EINTR, "interrupted");
	pool_device_memory(d, &after);
	row = pool_row(run, corpus, run->o->policy, err);
	if (!row)
		return err->code;
	report(row, d, &before, &after);
	return 0;
}

static int one(struct pool_run *run, const struct corpus *corpus,
	       struct uz_err *err)
{
	struct uz_policy *policy = NULL;
	struct pool_device d;
	int ret = pool_device_open(&d, run, run->o->size, err);

	if (ret)
		return ret;
	pool_progress(run, corpus->name);
	ret = pool_device_background(&d, err);
	if (!ret && uz_policy_create(&policy, d.dev))
		ret = uz_err_set(err, -ENOMEM, "no memory");
	if (!ret)
		ret = leave_alone(run, corpus, &d, policy, err);
	uz_policy_destroy(policy);
	if (!ret)
		ret = pool_device_check(&d, err);
	pool_device_close(&d);
	return ret;
}

static int run_policy(struct pool_run *run, struct uz_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < run->nr_corpora && !ret; i++)
		ret = one(run, &run->corpus[i], err);
	return ret;
}

const struct pool_part pool_policy = {
	.name = "policy",
	.title = "each corpus stored and then left alone, with the policy that "
		 "is named;\nCPU time is the policy's",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_policy,
};
