// SPDX-License-Identifier: MIT
/*
 * From opcode and inode to the function that does it. A function gets a
 * decoded request and fills an answer; it knows no descriptor, so any
 * transport can call it.
 *
 * An opcode without a function is answered ENOSYS, which the kernel remembers
 * where it matters: it then never sends FLUSH, FSYNC, ACCESS, POLL or xattr
 * calls again. FLUSH and FSYNC are among them because memory is all there is:
 * what was written is as safe as it will ever be. What would change the
 * directory is refused with EPERM.
 */
#include <errno.h>

#include "session_priv.h"

typedef int (*op_fn)(struct uz__fuse_call *call);

/* An operation on data: the block file's way, or the attributes'. */
static int on_file(struct uz__fuse_call *call, op_fn block, op_fn attr)
{
	const uint64_t nodeid = call->msg.hdr.nodeid;

	if (nodeid == UZ__FUSE_BLOCK)
		return block(call);
	if (nodeid == FUSE_ROOT_ID)
		return -EISDIR;
	if (!uz__fuse_attr_of(nodeid))
		return -ENOENT;
	return attr ? attr(call) : -EINVAL;
}

static int op_done(struct uz__fuse_call *call)
{
	(void)call;
	return 0;
}

static int op_refuse(struct uz__fuse_call *call)
{
	(void)call;
	return -EPERM;
}

/* The kernel awaits no answer. */
static int op_silent(struct uz__fuse_call *call)
{
	call->reply.none = true;
	return 0;
}

/*
 * No request sleeps for anything but memory and codecs, except for some stores
 * to attributes; these are answered soon after. For the interrupt itself the
 * kernel awaits no answer.
 */
static int op_interrupt(struct uz__fuse_call *call)
{
	uz_attr_interrupt(call->fuse->attrs, call->msg.in.interrupt.unique);
	return op_silent(call);
}

static int op_open(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_open, uz__fuse_attrfile_open);
}

static int op_release(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_release, op_done);
}

static int op_read(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_read, uz__fuse_attrfile_read);
}

static int op_write(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_write, uz__fuse_attrfile_write);
}

static int op_fallocate(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_fallocate, NULL);
}

static int op_lseek(struct uz__fuse_call *call)
{
	return on_file(call, uz__fuse_block_lseek, NULL);
}

static int op_opendir(struct uz__fuse_call *call)
{
	if (call->msg.hdr.nodeid != FUSE_ROOT_ID)
		return -ENOTDIR;
	call->reply.out.open = (struct fuse_open_out){ 0 };
	uz__fuse_answer(&call->reply, open);
	return 0;
}

static const op_fn ops[] = {
	[FUSE_LOOKUP] = uz__fuse_lookup,
	[FUSE_FORGET] = op_silent,
	[FUSE_GETATTR] = uz__fuse_getattr,
	[FUSE_SETATTR] = uz__fuse_setattr,
	[FUSE_READLINK] = uz__fuse_readlink,
	[FUSE_SYMLINK] = op_refuse,
	[FUSE_MKNOD] = op_refuse,
	[FUSE_MKDIR] = op_refuse,
	[FUSE_UNLINK] = op_refuse,
	[FUSE_RMDIR] = op_refuse,
	[FUSE_RENAME] = op_refuse,
	[FUSE_LINK] = op_refuse,
	[FUSE_OPEN] = op_open,
	[FUSE_READ] = op_read,
	[FUSE_WRITE] = op_write,
	[FUSE_STATFS] = uz__fuse_statfs,
	[FUSE_RELEASE] = op_release,
	[FUSE_OPENDIR] = op_opendir,
	[FUSE_READDIR] = uz__fuse_readdir,
	[FUSE_RELEASEDIR] = op_done,
	[FUSE_CREATE] = op_refuse,
	[FUSE_INTERRUPT] = op_interrupt,
	[FUSE_DESTROY] = op_done,
	[FUSE_NOTIFY_REPLY] = op_silent,
	[FUSE_BATCH_FORGET] = op_silent,
	[FUSE_FALLOCATE] = op_fallocate,
	[FUSE_READDIRPLUS] = uz__fuse_readdir,
	[FUSE_RENAME2] = op_refuse,
	[FUSE_LSEEK] = op_lseek,
	[FUSE_TMPFILE] = op_refuse,
};

int uz__fuse_handle(struct uz__fuse_call *call)
{
	const uint32_t opcode = call->msg.hdr.opcode;
	int ret;

	call->reply.none = false;
	call->reply.data = NULL;
	call->reply.len = 0;
	if (opcode >= sizeof(ops) / sizeof(ops[0]) || !ops[opcode])
		return -ENOSYS;
	ret = uz__fuse_trial_begin(call);
	if (uz_likely(!ret))
		ret = ops[opcode](call);
	uz__fuse_trial_end(call);
	return ret;
}
