/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UBLK_UAPI_H
#define UZRAM_UBLK_UAPI_H

#include <stdint.h>
#include <sys/ioctl.h>

/**
 * DOC: what the ublk driver and its servers say to one another
 *
 * Of the kernel's interface what this directory uses, so that a build against
 * old headers knows what a newer kernel offers. Names are the kernel's.
 *
 * Commands have a number since Linux 6.0 and, from 6.5 on for certain, an
 * encoding as ioctls have it; kernels may be built to take the latter alone.
 */

/* Control commands, by number. */
enum {
	UBLK_CMD_GET_QUEUE_AFFINITY = 0x01,
	UBLK_CMD_GET_DEV_INFO = 0x02,
	UBLK_CMD_ADD_DEV = 0x04,
	UBLK_CMD_DEL_DEV = 0x05,
	UBLK_CMD_START_DEV = 0x06,
	UBLK_CMD_STOP_DEV = 0x07,
	UBLK_CMD_SET_PARAMS = 0x08,
	UBLK_CMD_START_USER_RECOVERY = 0x10,
	UBLK_CMD_END_USER_RECOVERY = 0x11,
	UBLK_CMD_GET_FEATURES = 0x13,
	UBLK_CMD_DEL_DEV_ASYNC = 0x14,
	UBLK_CMD_UPDATE_SIZE = 0x15,
	UBLK_CMD_QUIESCE_DEV = 0x16,
	UBLK_CMD_TRY_STOP_DEV = 0x17,
};

/* Commands of a queue. */
enum {
	UBLK_IO_FETCH_REQ = 0x20,
	UBLK_IO_COMMIT_AND_FETCH_REQ = 0x21,
};

#define UBLK_F_USER_RECOVERY	     (UINT64_C(1) << 3)
#define UBLK_F_USER_RECOVERY_REISSUE (UINT64_C(1) << 4)
#define UBLK_F_CMD_IOCTL_ENCODE	     (UINT64_C(1) << 6)
#define UBLK_F_UPDATE_SIZE	     (UINT64_C(1) << 10)
#define UBLK_F_QUIESCE		     (UINT64_C(1) << 12)
#define UBLK_F_PER_IO_DAEMON	     (UINT64_C(1) << 13)
#define UBLK_F_SAFE_STOP_DEV	     (UINT64_C(1) << 17)

/* States of a disk. */
enum {
	UBLK_S_DEV_DEAD = 0,
	UBLK_S_DEV_LIVE = 1,
	UBLK_S_DEV_QUIESCED = 2, /* its server is gone; requests wait */
};

#define UBLK_PARAM_TYPE_BASIC	(1u << 0)
#define UBLK_PARAM_TYPE_DISCARD (1u << 1)

enum {
	UBLK_IO_OP_READ = 0,
	UBLK_IO_OP_WRITE = 1,
	UBLK_IO_OP_FLUSH = 2,
	UBLK_IO_OP_DISCARD = 3,
	UBLK_IO_OP_WRITE_ZEROES = 5,
};

#define UBLK_IO_OP_MASK 0xffu

/* What a command of a queue completes with when the disk ends. */
#define UBLK_IO_RES_ABORT (-ENODEV)

#define UBLK_MAX_QUEUE_DEPTH 4096

struct ublksrv_ctrl_cmd {
	uint32_t dev_id;
	uint16_t queue_id;
	uint16_t len;
	uint64_t addr;
	uint64_t data[2];
};

struct ublksrv_ctrl_dev_info {
	uint16_t nr_hw_queues;
	uint16_t queue_depth;
	uint16_t state;
	uint16_t pad0;
	uint32_t max_io_buf_bytes;
	uint32_t dev_id;
	int32_t ublksrv_pid;
	uint32_t pad1;
	uint64_t flags;
	uint64_t ublksrv_flags; /* the server's own; kept by the kernel */
	uint64_t reserved[3];
};

struct ublksrv_io_cmd {
	uint16_t q_id;
	uint16_t tag;
	int32_t result;
	uint64_t addr;
};

struct ublksrv_io_desc {
	uint32_t op_flags;
	uint32_t nr_sectors;
	uint64_t start_sector;
	uint64_t addr;
};

struct ublk_param_basic {
	uint32_t attrs;
	uint8_t logical_bs_shift;
	uint8_t physical_bs_shift;
	uint8_t io_opt_shift;
	uint8_t io_min_shift;
	uint32_t max_sectors;
	uint32_t chunk_sectors;
	uint64_t dev_sectors;
	uint64_t virt_boundary_mask;
};

struct ublk_param_discard {
	uint32_t discard_alignment;
	uint32_t discard_granularity;
	uint32_t max_discard_sectors;
	uint32_t max_write_zeroes_sectors;
	uint16_t max_discard_segments;
	uint16_t reserved0;
};

/* As much of it as we set; @len tells the kernel where it ends. */
struct ublk_params {
	uint32_t len;
	uint32_t types;
	struct ublk_param_basic basic;
	struct ublk_param_discard discard;
};

/* The encoding: those that only ask are "read", all others both. */
static inline uint32_t uz__ublk_encode(unsigned int nr)
{
	switch (nr) {
	case UBLK_CMD_GET_QUEUE_AFFINITY:
	case UBLK_CMD_GET_DEV_INFO:
	case UBLK_CMD_GET_FEATURES:
	case UBLK_CMD_DEL_DEV_ASYNC:
		return _IOR('u', nr, struct ublksrv_ctrl_cmd);
	case UBLK_IO_FETCH_REQ:
	case UBLK_IO_COMMIT_AND_FETCH_REQ:
		return _IOWR('u', nr, struct ublksrv_io_cmd);
	default:
		return _IOWR('u', nr, struct ublksrv_ctrl_cmd);
	}
}

#endif
