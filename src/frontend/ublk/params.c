// SPDX-License-Identifier: MIT
/*
 * What of the ublk front end is computed and not done: how many queues with
 * which buffers, the limits of the disk, what a request's description means,
 * and what a driver can do, in words. Pure, so no locks.
 *
 * A description comes from the kernel, but nothing here believes that.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ublk_priv.h"

#define SECTOR_SHIFT 9

static uint64_t bytes_of(const struct uz__ublk_plan *plan)
{
	return (uint64_t)plan->queues * plan->depth * plan->io_max;
}

void uz__ublk_plan(struct uz__ublk_plan *plan, unsigned int queues,
		   uint64_t budget)
{
	*plan = (struct uz__ublk_plan){
		.queues = queues < UZ__UBLK_QUEUES_MAX ? queues
						       : UZ__UBLK_QUEUES_MAX,
		.depth = UZ__UBLK_DEPTH_MAX,
		.io_max = UZ__UBLK_IO_MAX,
	};
	while (bytes_of(plan) > budget) {
		if (plan->io_max > UZ__UBLK_IO_MIN)
			plan->io_max /= 2;
		else if (plan->depth > UZ__UBLK_DEPTH_MIN)
			plan->depth /= 2;
		else if (plan->queues > 1)
			plan->queues--;
		else
			break;
	}
	plan->bytes = bytes_of(plan);
}

void uz__ublk_params(struct ublk_params *params, uint64_t size, uint32_t io_max)
{
	*params = (struct ublk_params){
		.len = sizeof(*params),
		.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD,
		.basic = {
			.logical_bs_shift = UZ_PAGE_SHIFT,
			.physical_bs_shift = UZ_PAGE_SHIFT,
			.io_opt_shift = UZ_PAGE_SHIFT,
			.io_min_shift = UZ_PAGE_SHIFT,
			.max_sectors = io_max >> SECTOR_SHIFT,
			.dev_sectors = size >> SECTOR_SHIFT,
		},
		.discard = {
			.discard_granularity = UZ_PAGE_SIZE,
			.max_discard_sectors = UINT32_MAX >> SECTOR_SHIFT,
			.max_write_zeroes_sectors = UINT32_MAX >> SECTOR_SHIFT,
			.max_discard_segments = 1,
		},
	};
}

int uz__ublk_decode(struct uz_request *rq, const struct ublksrv_io_desc *desc,
		    uint32_t io_max, void *buf)
{
	*rq = (struct uz_request){
		.offset = desc->start_sector << SECTOR_SHIFT,
		.length = (uint64_t)desc->nr_sectors << SECTOR_SHIFT,
	};
	switch (desc->op_flags & UBLK_IO_OP_MASK) {
	case UBLK_IO_OP_READ:
		rq->op = UZ_OP_READ;
		rq->buf = buf;
		break;
	case UBLK_IO_OP_WRITE:
		rq->op = UZ_OP_WRITE;
		rq->buf = buf;
		break;
	case UBLK_IO_OP_DISCARD:
		rq->op = UZ_OP_DISCARD;
		break;
	case UBLK_IO_OP_WRITE_ZEROES:
		rq->op = UZ_OP_ZERO;
		break;
	case UBLK_IO_OP_FLUSH:
		*rq = (struct uz_request){ .op = UZ_OP_FLUSH };
		return 0;
	default:
		return -EOPNOTSUPP;
	}
	if (rq->buf && rq->length > io_max)
		return -EINVAL;
	if (desc->start_sector > UINT64_MAX >> SECTOR_SHIFT ||
	    rq->length > UINT64_MAX - rq->offset)
		return -EINVAL;
	return 0;
}

void uz__ublk_features_text(uint64_t features, char *text, size_t size)
{
	const uint64_t recovery = UBLK_F_USER_RECOVERY |
				  UBLK_F_USER_RECOVERY_REISSUE;
	int n;

	if ((features & recovery) != recovery) {
		snprintf(text, size,
			 "can be used, but a disk ends with its worker (until "
			 "Linux 6.5)");
		return;
	}
	n = snprintf(text, size,
		     "can be used, and workers that die are replaced");
	if (!(features & UBLK_F_PER_IO_DAEMON) && n >= 0 && (size_t)n < size)
		n += snprintf(text + n, size - (size_t)n,
			      ", but for one that dies while it takes over "
			      "(until Linux 6.16)");
	if (n >= 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; features 0x%" PRIx64,
			 features);
}
