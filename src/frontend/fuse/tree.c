// SPDX-License-Identifier: MIT
/*
 * The directory: what inodes there are, their names and attributes. It never
 * changes, so inodes are numbers and nothing is counted or forgotten: 1 the
 * directory, 2 the block file, from 3 on the attributes in their order.
 *
 * The size of the block file goes out with every look-up. Were it 0 in the
 * kernel's eyes, every write would count as one beyond the end and exclude all
 * others.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse_priv.h"

#define BLOCK_NAME "block"
#define BLOCK_MODE (S_IFREG | 0600)

/* As in sysfs: the size of an attribute's text is not known before. */
#define ATTR_SIZE 4096

/*
 * Seconds. What never changes is kept for a day; the size of the block file,
 * and what it takes, for a moment.
 */
#define KEEP_LONG  86400
#define KEEP_BLOCK 1

const struct uz_attr *uz__fuse_attr_of(uint64_t nodeid)
{
	if (nodeid < UZ__FUSE_FIRST_ATTR || nodeid > UINT32_MAX)
		return NULL;
	return uz_attr_at((unsigned int)nodeid - UZ__FUSE_FIRST_ATTR);
}

/* 0 when there is none. */
static uint64_t nodeid_of(const char *name)
{
	const struct uz_attr *attr;
	uint64_t id;

	if (!strcmp(name, BLOCK_NAME))
		return UZ__FUSE_BLOCK;
	for (id = UZ__FUSE_FIRST_ATTR; (attr = uz__fuse_attr_of(id)); id++)
		if (!strcmp(name, attr->name))
			return id;
	return 0;
}

/* Beside a disk there is no block file, but a link that leads to it. */
static bool is_link(const struct uz__fuse *fuse, uint64_t nodeid)
{
	return nodeid == UZ__FUSE_BLOCK && fuse->disk;
}

static uint64_t keep_seconds(uint64_t nodeid)
{
	return nodeid == UZ__FUSE_BLOCK ? KEEP_BLOCK : KEEP_LONG;
}

static int fill_attr(struct uz__fuse *fuse, uint64_t nodeid,
		     struct fuse_attr *out)
{
	const uint64_t sec = (uint64_t)fuse->born.tv_sec;
	const uint32_t nsec = (uint32_t)fuse->born.tv_nsec;
	const struct uz_attr *attr = uz__fuse_attr_of(nodeid);
	struct uz_device_stat stat;

	*out = (struct fuse_attr){
		.ino = nodeid,
		.atime = sec,
		.mtime = sec,
		.ctime = sec,
		.atimensec = nsec,
		.mtimensec = nsec,
		.ctimensec = nsec,
		.nlink = 1,
		.uid = fuse->uid,
		.gid = fuse->gid,
		.blksize = UZ_PAGE_SIZE,
	};
	if (nodeid == FUSE_ROOT_ID) {
		out->mode = S_IFDIR | 0755;
		out->nlink = 2;
	} else if (is_link(fuse, nodeid)) {
		out->mode = S_IFLNK | 0777;
		out->size = strlen(fuse->disk->path);
	} else if (nodeid == UZ__FUSE_BLOCK) {
		uz_device_stat(fuse->dev, &stat);
		out->mode = BLOCK_MODE;
		out->size = uz_device_disksize(fuse->dev);
		out->blocks = stat.mem_used_total / 512;
	} else if (attr) {
		out->mode = S_IFREG | attr->mode;
		out->size = ATTR_SIZE;
	} else {
		return -ENOENT;
	}
	return 0;
}

static int fill_entry(struct uz__fuse *fuse, uint64_t nodeid,
		      struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){
		.nodeid = nodeid,
		.entry_valid = KEEP_LONG,
		.attr_valid = keep_seconds(nodeid),
	};
	return fill_attr(fuse, nodeid, &out->attr);
}

int uz__fuse_lookup(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	uint64_t nodeid;

	if (msg->hdr.nodeid != FUSE_ROOT_ID)
		return -ENOTDIR;
	nodeid = nodeid_of(msg->payload);
	if (!nodeid)
		return -ENOENT;
	uz__fuse_answer(reply, entry);
	return fill_entry(call->fuse, nodeid, &reply->out.entry);
}

int uz__fuse_getattr(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;

	reply->out.attr = (struct fuse_attr_out){
		.attr_valid = keep_seconds(msg->hdr.nodeid),
	};
	uz__fuse_answer(reply, attr);
	return fill_attr(call->fuse, msg->hdr.nodeid, &reply->out.attr.attr);
}

/*
 * Nothing can be set. Emptying a file is what O_TRUNC asks for, and does what
 * it does to a block device: nothing. So do new time stamps.
 */
int uz__fuse_setattr(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct fuse_setattr_in *in = &msg->in.setattr;
	int ret = uz__fuse_getattr(call);

	if (ret)
		return ret;
	if (in->valid & (FATTR_MODE | FATTR_UID | FATTR_GID))
		return -EPERM;
	if ((in->valid & FATTR_SIZE) && in->size &&
	    in->size != reply->out.attr.attr.size)
		return -EINVAL;
	return 0;
}

/* The @i-th entry: "." and "..", then the inodes from 2 on. */
static const char *entry_at(uint64_t i, uint64_t *nodeid)
{
	const struct uz_attr *attr;

	*nodeid = i < 2 ? FUSE_ROOT_ID : i;
	if (i < 2)
		return i ? ".." : ".";
	if (i == UZ__FUSE_BLOCK)
		return BLOCK_NAME;
	attr = uz__fuse_attr_of(i);
	return attr ? attr->name : NULL;
}

static uint32_t type_of(const struct uz__fuse *fuse, uint64_t nodeid)
{
	if (is_link(fuse, nodeid))
		return S_IFLNK >> 12;
	return (nodeid == FUSE_ROOT_ID ? S_IFDIR : S_IFREG) >> 12;
}

int uz__fuse_readlink(struct uz__fuse_call *call)
{
	if (!is_link(call->fuse, call->msg.hdr.nodeid))
		return -EINVAL;
	call->reply.data = call->fuse->disk->path;
	call->reply.len = strlen(call->fuse->disk->path);
	return 0;
}

/* FUSE_READDIR, and FUSE_READDIRPLUS where each entry has its look-up. */
int uz__fuse_readdir(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const size_t plus = msg->hdr.opcode == FUSE_READDIRPLUS
				    ? sizeof(struct fuse_entry_out)
				    : 0;
	size_t cap = msg->in.read.size, need;
	struct fuse_entry_out entry;
	struct fuse_dirent ent;
	unsigned char *out = reply->room;
	const char *name;
	uint64_t i, nodeid;
	int ret;

	if (msg->hdr.nodeid != FUSE_ROOT_ID)
		return -ENOTDIR;
	if (cap > reply->cap)
		cap = reply->cap;
	reply->data = reply->room;
	for (i = msg->in.read.offset; (name = entry_at(i, &nodeid)); i++) {
		ent = (struct fuse_dirent){
			.ino = nodeid,
			.off = i + 1,
			.namelen = (uint32_t)strlen(name),
			.type = type_of(call->fuse, nodeid),
		};
		need = plus + ((sizeof(ent) + ent.namelen + 7) & ~(size_t)7);
		if (need > cap - reply->len)
			break;
		memset(out, 0, need);
		/* "." and ".." are not look-ups: their entry stays zero. */
		if (plus && i >= 2) {
			ret = fill_entry(call->fuse, nodeid, &entry);
			if (ret)
				return ret;
			memcpy(out, &entry, sizeof(entry));
		}
		memcpy(out + plus, &ent, sizeof(ent));
		memcpy(out + plus + sizeof(ent), name, ent.namelen);
		out += need;
		reply->len += need;
	}
	return 0;
}

int uz__fuse_statfs(struct uz__fuse_call *call)
{
	struct uz__fuse_reply *reply = &call->reply;
	const uint64_t blocks =
		uz_device_disksize(call->fuse->dev) / UZ_PAGE_SIZE;
	struct uz_device_stat stat;
	uint64_t stored, files = UZ__FUSE_FIRST_ATTR - 1;

	uz_device_stat(call->fuse->dev, &stat);
	stored = stat.orig_data_size / UZ_PAGE_SIZE;
	if (stored > blocks)
		stored = blocks;
	while (uz__fuse_attr_of(files + 1))
		files++;
	/* A loop device takes f_bsize for its discard granularity. */
	reply->out.statfs = (struct fuse_statfs_out){
		.blocks = blocks,
		.bfree = blocks - stored,
		.bavail = blocks - stored,
		.files = files,
		.bsize = UZ_PAGE_SIZE,
		.frsize = UZ_PAGE_SIZE,
		.namelen = 255,
	};
	uz__fuse_answer(reply, statfs);
	return 0;
}
