/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_PROTO_H
#define UZRAM_FUSE_PROTO_H

#include <assert.h>
#include <stdint.h>

/**
 * DOC: the FUSE protocol as far as we speak it
 *
 * What goes over /dev/fuse: layouts and numbers only, of protocol 7.28 and
 * later, under the names that everybody knows them by. It is our own copy so
 * that the newest flags are there whatever headers a system has; each size is
 * asserted. All numbers are in the machine's byte order, all structs are
 * padded to eight bytes.
 */

#define FUSE_MAJOR     7
#define FUSE_MINOR     45 /* the newest whose messages we know */
#define FUSE_MINOR_MIN 28 /* Linux 4.20: max_pages */

#define FUSE_ROOT_ID 1

enum fuse_opcode {
	FUSE_LOOKUP = 1,
	FUSE_FORGET = 2,
	FUSE_GETATTR = 3,
	FUSE_SETATTR = 4,
	FUSE_READLINK = 5,
	FUSE_SYMLINK = 6,
	FUSE_MKNOD = 8,
	FUSE_MKDIR = 9,
	FUSE_UNLINK = 10,
	FUSE_RMDIR = 11,
	FUSE_RENAME = 12,
	FUSE_LINK = 13,
	FUSE_OPEN = 14,
	FUSE_READ = 15,
	FUSE_WRITE = 16,
	FUSE_STATFS = 17,
	FUSE_RELEASE = 18,
	FUSE_FSYNC = 20,
	FUSE_FLUSH = 25,
	FUSE_INIT = 26,
	FUSE_OPENDIR = 27,
	FUSE_READDIR = 28,
	FUSE_RELEASEDIR = 29,
	FUSE_CREATE = 35,
	FUSE_INTERRUPT = 36,
	FUSE_DESTROY = 38,
	FUSE_NOTIFY_REPLY = 41,
	FUSE_BATCH_FORGET = 42,
	FUSE_FALLOCATE = 43,
	FUSE_READDIRPLUS = 44,
	FUSE_RENAME2 = 45,
	FUSE_LSEEK = 46,
	FUSE_TMPFILE = 51,
};

/* struct fuse_init_in/out: flags; from 1ull << 32 on they go into flags2. */
#define FUSE_ASYNC_READ		  (1ull << 0)
#define FUSE_BIG_WRITES		  (1ull << 5)
#define FUSE_DO_READDIRPLUS	  (1ull << 13)
#define FUSE_READDIRPLUS_AUTO	  (1ull << 14)
#define FUSE_ASYNC_DIO		  (1ull << 15)
#define FUSE_PARALLEL_DIROPS	  (1ull << 18)
#define FUSE_MAX_PAGES		  (1ull << 22)
#define FUSE_INIT_EXT		  (1ull << 30)
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ull << 36)
#define FUSE_HAS_RESEND		  (1ull << 39)
#define FUSE_OVER_IO_URING	  (1ull << 41)

/* struct fuse_open_out: open_flags */
#define FOPEN_DIRECT_IO		     (1u << 0)
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)

/* struct fuse_setattr_in: valid */
#define FATTR_MODE (1u << 0)
#define FATTR_UID  (1u << 1)
#define FATTR_GID  (1u << 2)
#define FATTR_SIZE (1u << 3)

/* A message of ours that answers nothing: unique 0, this as error. */
#define FUSE_NOTIFY_INVAL_INODE 2
#define FUSE_NOTIFY_RETRIEVE	5
#define FUSE_NOTIFY_RESEND	7

/* In a request's unique: it may have been given to a server before. */
#define FUSE_UNIQUE_RESEND (1ull << 63)

struct fuse_in_header {
	uint32_t len; /* of the whole message */
	uint32_t opcode;
	uint64_t unique; /* names the request in the reply */
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen;
	uint16_t padding;
};

struct fuse_out_header {
	uint32_t len;
	int32_t error; /* 0 or -errno */
	uint64_t unique;
};

struct fuse_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t blksize;
	uint32_t flags;
};

struct fuse_entry_out {
	uint64_t nodeid;
	uint64_t generation;
	uint64_t entry_valid; /* seconds that the name may be kept */
	uint64_t attr_valid; /* seconds that the attributes may be kept */
	uint32_t entry_valid_nsec;
	uint32_t attr_valid_nsec;
	struct fuse_attr attr;
};

struct fuse_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t dummy;
	struct fuse_attr attr;
};

struct fuse_setattr_in {
	uint32_t valid; /* FATTR_* */
	uint32_t padding;
	uint64_t fh;
	uint64_t size;
	uint64_t lock_owner;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t unused4;
	uint32_t uid;
	uint32_t gid;
	uint32_t unused5;
};

struct fuse_open_in {
	uint32_t flags; /* as open(2) */
	uint32_t open_flags;
};

struct fuse_open_out {
	uint64_t fh;
	uint32_t open_flags; /* FOPEN_* */
	uint32_t padding;
};

struct fuse_release_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t release_flags;
	uint64_t lock_owner;
};

/* FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS */
struct fuse_read_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t read_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

/* The bytes to write follow it. */
struct fuse_write_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t write_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

struct fuse_write_out {
	uint32_t size;
	uint32_t padding;
};

struct fuse_statfs_out {
	uint64_t blocks;
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t frsize;
	uint32_t padding;
	uint32_t spare[6];
};

/* Kernels before 7.36 send the first 16 bytes only. */
struct fuse_init_in {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2; /* valid with FUSE_INIT_EXT */
	uint32_t unused[11];
};

#define FUSE_INIT_IN_MIN 16

struct fuse_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran; /* nanoseconds */
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t unused[7];
};

struct fuse_fallocate_in {
	uint64_t fh;
	uint64_t offset;
	uint64_t length;
	uint32_t mode; /* as fallocate(2) */
	uint32_t padding;
};

struct fuse_interrupt_in {
	uint64_t unique;
};

struct fuse_lseek_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t whence;
	uint32_t padding;
};

struct fuse_lseek_out {
	uint64_t offset;
};

/* The name follows, then zeroes up to a multiple of eight bytes. */
struct fuse_dirent {
	uint64_t ino;
	uint64_t off; /* where the next entry begins */
	uint32_t namelen;
	uint32_t type;
};

struct fuse_notify_inval_inode_out {
	uint64_t ino;
	int64_t off; /* negative: the attributes only */
	int64_t len;
};

/* It is answered by a FUSE_NOTIFY_REPLY with the unique that it names. */
struct fuse_notify_retrieve_out {
	uint64_t notify_unique;
	uint64_t nodeid;
	uint64_t offset;
	uint32_t size;
	uint32_t padding;
};

/*
 * Over io_uring a request lies in two buffers of ours. The first is this; the
 * second, the payload, has data only, in either direction.
 */
struct fuse_uring_ent_in_out {
	uint64_t flags;
	uint64_t commit_id; /* to be given back with the answer */
	uint32_t payload_sz; /* bytes in the payload */
	uint32_t padding;
	uint64_t reserved;
};

struct fuse_uring_req_header {
	char in_out[128]; /* struct fuse_in_header, then fuse_out_header */
	char op_in[128]; /* the fixed part */
	struct fuse_uring_ent_in_out ent;
};

/* struct io_uring_sqe: cmd_op */
enum fuse_uring_cmd {
	FUSE_IO_URING_CMD_REGISTER = 1,
	FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2,
};

/* In the part of a submission that a command has for itself. */
struct fuse_uring_cmd_req {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};

/* The kernel takes no smaller payload, and no smaller read of /dev/fuse. */
#define FUSE_MIN_READ_BUFFER 8192

static_assert(sizeof(struct fuse_in_header) == 40, "layout");
static_assert(sizeof(struct fuse_uring_req_header) == 288, "layout");
static_assert(sizeof(struct fuse_uring_cmd_req) == 24, "layout");
static_assert(sizeof(struct fuse_out_header) == 16, "layout");
static_assert(sizeof(struct fuse_attr) == 88, "layout");
static_assert(sizeof(struct fuse_entry_out) == 128, "layout");
static_assert(sizeof(struct fuse_attr_out) == 104, "layout");
static_assert(sizeof(struct fuse_setattr_in) == 88, "layout");
static_assert(sizeof(struct fuse_open_in) == 8, "layout");
static_assert(sizeof(struct fuse_open_out) == 16, "layout");
static_assert(sizeof(struct fuse_release_in) == 24, "layout");
static_assert(sizeof(struct fuse_read_in) == 40, "layout");
static_assert(sizeof(struct fuse_write_in) == 40, "layout");
static_assert(sizeof(struct fuse_write_out) == 8, "layout");
static_assert(sizeof(struct fuse_statfs_out) == 80, "layout");
static_assert(sizeof(struct fuse_init_in) == 64, "layout");
static_assert(sizeof(struct fuse_init_out) == 64, "layout");
static_assert(sizeof(struct fuse_fallocate_in) == 32, "layout");
static_assert(sizeof(struct fuse_interrupt_in) == 8, "layout");
static_assert(sizeof(struct fuse_lseek_in) == 24, "layout");
static_assert(sizeof(struct fuse_lseek_out) == 8, "layout");
static_assert(sizeof(struct fuse_dirent) == 24, "layout");
static_assert(sizeof(struct fuse_notify_inval_inode_out) == 24, "layout");
static_assert(sizeof(struct fuse_notify_retrieve_out) == 32, "layout");

#endif
