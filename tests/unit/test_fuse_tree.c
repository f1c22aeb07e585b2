// SPDX-License-Identifier: MIT
/*
 * The directory: look-ups, attributes, listings of any buffer size, and that
 * nothing of it can be changed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fuse_fixture.h"

static int ask_getattr(struct fixture *f, uint64_t nodeid)
{
	static const unsigned char in[16];

	return ask(f, FUSE_GETATTR, nodeid, in, sizeof(in), NULL, 0);
}

static void test_lookup(void **state)
{
	struct fixture *f = *state;
	const struct fuse_entry_out *e = &f->call.reply.out.entry;

	f->dev.stat.mem_used_total = 10 * 512;
	assert_int_equal(ask_lookup(f, "block"), 0);
	assert_int_equal(f->call.reply.len, sizeof(*e));
	assert_int_equal(e->nodeid, UZ__FUSE_BLOCK);
	assert_int_equal(e->attr.ino, UZ__FUSE_BLOCK);
	/* With size 0 every write would be one beyond the end. */
	assert_int_equal(e->attr.size, DISKSIZE);
	assert_int_equal(e->attr.blocks, 10);
	assert_int_equal(e->attr.blksize, 4096);
	assert_int_equal(e->attr.mode, S_IFREG | 0600);
	assert_int_equal(e->attr.uid, 11);
	assert_int_equal(e->attr.gid, 22);
	assert_true(e->attr_valid <= 1);
	assert_true(e->entry_valid > 60);

	assert_int_equal(ask_lookup(f, "disksize"), 0);
	assert_int_equal(e->nodeid, UZ__FUSE_FIRST_ATTR);
	assert_int_equal(e->attr.mode, S_IFREG | 0644);
	assert_int_equal(e->attr.size, 4096);

	assert_int_equal(ask_lookup(f, "blocks"), -ENOENT);
	assert_int_equal(ask_lookup(f, "blo"), -ENOENT);
	assert_int_equal(ask_lookup(f, ".."), -ENOENT);
	assert_int_equal(ask(f, FUSE_LOOKUP, UZ__FUSE_BLOCK, NULL, 0, "a", 2),
			 -ENOTDIR);
}

static void test_getattr(void **state)
{
	struct fixture *f = *state;
	const struct fuse_attr_out *a = &f->call.reply.out.attr;

	assert_int_equal(ask_getattr(f, FUSE_ROOT_ID), 0);
	assert_int_equal(f->call.reply.len, sizeof(*a));
	assert_int_equal(a->attr.mode, S_IFDIR | 0755);
	assert_int_equal(ask_getattr(f, UZ__FUSE_BLOCK), 0);
	assert_int_equal(a->attr.size, DISKSIZE);
	assert_true(a->attr_valid <= 1);
	assert_int_equal(ask_getattr(f, inode_of(f, "mm_stat")), 0);
	assert_int_equal(a->attr.mode, S_IFREG | 0444);

	assert_int_equal(ask_getattr(f, 0), -ENOENT);
	assert_int_equal(ask_getattr(f, 1000), -ENOENT);
	/* Not the inode that it would be when cut to 32 bits. */
	assert_int_equal(ask_getattr(f, (UINT64_C(1) << 32) + 3), -ENOENT);
	assert_int_equal(ask_getattr(f, UINT64_MAX), -ENOENT);
}

static void test_link_to_a_disk(void **state)
{
	const struct uz_frontend_disk disk = { .path = "/dev/ublkb7" };
	struct fixture *f = *state;
	const struct fuse_entry_out *e = &f->call.reply.out.entry;

	assert_int_equal(
		ask(f, FUSE_READLINK, UZ__FUSE_BLOCK, NULL, 0, NULL, 0),
		-EINVAL);
	f->fuse.disk = &disk;
	assert_int_equal(ask_lookup(f, "block"), 0);
	assert_int_equal(e->attr.mode, S_IFLNK | 0777);
	assert_int_equal(e->attr.size, strlen(disk.path));
	assert_int_equal(
		ask(f, FUSE_READLINK, UZ__FUSE_BLOCK, NULL, 0, NULL, 0), 0);
	assert_int_equal(f->call.reply.len, strlen(disk.path));
	assert_memory_equal(f->call.reply.data, disk.path, strlen(disk.path));
	assert_int_equal(ask(f, FUSE_READLINK, FUSE_ROOT_ID, NULL, 0, NULL, 0),
			 -EINVAL);
	assert_int_equal(
		ask(f, FUSE_READLINK, inode_of(f, "mm_stat"), NULL, 0, NULL, 0),
		-EINVAL);
}

static int ask_setattr(struct fixture *f, uint64_t nodeid, uint32_t valid,
		       uint64_t size)
{
	const struct fuse_setattr_in in = { .valid = valid, .size = size };

	return ask(f, FUSE_SETATTR, nodeid, &in, sizeof(in), NULL, 0);
}

static void test_setattr(void **state)
{
	struct fixture *f = *state;
	const uint64_t attr = inode_of(f, "disksize");
	const struct fuse_attr_out *a = &f->call.reply.out.attr;

	/* O_TRUNC: done, and the size is what it was. */
	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, FATTR_SIZE, 0), 0);
	assert_int_equal(a->attr.size, DISKSIZE);
	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, FATTR_SIZE, DISKSIZE),
			 0);
	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, FATTR_SIZE, 4096),
			 -EINVAL);
	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, FATTR_SIZE, UINT64_MAX),
			 -EINVAL);
	assert_int_equal(ask_setattr(f, attr, FATTR_SIZE, 0), 0);
	assert_int_equal(a->attr.size, 4096);
	assert_int_equal(ask_setattr(f, attr, FATTR_SIZE, 1), -EINVAL);
	assert_int_equal(f->dev.submits, 0);

	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, 1u << 5, 0), 0);
	assert_int_equal(ask_setattr(f, UZ__FUSE_BLOCK, FATTR_MODE, 0), -EPERM);
	assert_int_equal(ask_setattr(f, attr, FATTR_UID, 0), -EPERM);
	assert_int_equal(ask_setattr(f, FUSE_ROOT_ID, FATTR_GID, 0), -EPERM);
	assert_int_equal(ask_setattr(f, 999, FATTR_SIZE, 0), -ENOENT);
}

/*
 * Lists the directory in pieces of @size: how many names, and how many pieces.
 * Every record is walked as the kernel walks it.
 */
static unsigned int list(struct fixture *f, bool plus, uint32_t size,
			 unsigned int *pieces)
{
	struct fuse_read_in in = { .size = size };
	const size_t before = plus ? sizeof(struct fuse_entry_out) : 0;
	unsigned int names = 0;
	struct fuse_dirent ent;
	const unsigned char *p;

	for (*pieces = 0;; ++*pieces) {
		assert_int_equal(ask(f, plus ? FUSE_READDIRPLUS : FUSE_READDIR,
				     FUSE_ROOT_ID, &in, sizeof(in), NULL, 0),
				 0);
		assert_true(f->call.reply.len <= size);
		if (!f->call.reply.len)
			return names;
		p = f->call.reply.data;
		while (p < f->room + f->call.reply.len) {
			memcpy(&ent, p + before, sizeof(ent));
			assert_true(ent.namelen > 0 && ent.namelen < 256);
			assert_true(ent.off > in.offset);
			in.offset = ent.off;
			names++;
			p += before +
			     ((sizeof(ent) + ent.namelen + 7) & ~(size_t)7);
		}
		assert_ptr_equal(p, f->room + f->call.reply.len);
	}
}

static void test_readdir(void **state)
{
	struct fixture *f = *state;
	unsigned int all = 3, pieces; /* ".", "..", "block" */

	while (uz_attr_at(all - 3))
		all++;
	assert_int_equal(list(f, false, 4096, &pieces), all);
	assert_int_equal(pieces, 1);
	assert_int_equal(list(f, true, 8192, &pieces), all);
	assert_int_equal(pieces, 1);
	assert_int_equal(list(f, false, 48, &pieces), all);
	assert_true(pieces > all / 2);
	assert_int_equal(list(f, true, 200, &pieces), all);
	/* Too small for one entry: nothing, not half of it. */
	assert_int_equal(list(f, false, 16, &pieces), 0);
	assert_int_equal(list(f, false, 0, &pieces), 0);
	assert_int_equal(list(f, true, 100, &pieces), 0);
	/* More than there is room for is cut to the room. */
	assert_int_equal(list(f, true, UINT32_MAX, &pieces), all);
}

static void test_readdir_plus_looks_up(void **state)
{
	struct fixture *f = *state;
	const struct fuse_read_in in = { .offset = 2, .size = 300 };
	struct fuse_entry_out entry;

	assert_int_equal(ask(f, FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in),
			     NULL, 0),
			 0);
	memcpy(&entry, f->room, sizeof(entry));
	assert_int_equal(entry.nodeid, UZ__FUSE_BLOCK);
	assert_int_equal(entry.attr.size, DISKSIZE);
	assert_memory_equal(f->room + sizeof(entry) +
				    sizeof(struct fuse_dirent),
			    "block", 5);
}

static void test_readdir_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct fuse_read_in in = { .offset = UINT64_MAX, .size = 4096 };

	assert_int_equal(
		ask(f, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0),
		0);
	assert_int_equal(f->call.reply.len, 0);
	assert_int_equal(
		ask(f, FUSE_READDIR, UZ__FUSE_BLOCK, &in, sizeof(in), NULL, 0),
		-ENOTDIR);
}

static void test_statfs(void **state)
{
	struct fixture *f = *state;
	const struct fuse_statfs_out *s = &f->call.reply.out.statfs;

	f->dev.stat.orig_data_size = 6 * 4096;
	assert_int_equal(ask(f, FUSE_STATFS, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(f->call.reply.len, 80);
	assert_int_equal(s->bsize, 4096);
	assert_int_equal(s->frsize, 4096);
	assert_int_equal(s->blocks, DISKSIZE / 4096);
	assert_int_equal(s->bfree, DISKSIZE / 4096 - 6);
	assert_int_equal(s->bavail, s->bfree);
}

static void test_nothing_can_be_changed(void **state)
{
	static const uint32_t opcodes[] = {
		FUSE_SYMLINK, FUSE_MKNOD,   FUSE_MKDIR,	  FUSE_UNLINK,
		FUSE_RMDIR,   FUSE_RENAME,  FUSE_RENAME2, FUSE_LINK,
		FUSE_CREATE,  FUSE_TMPFILE,
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		assert_int_equal(ask(f, opcodes[i], 1, "a", 2, NULL, 0),
				 -EPERM);
		/* Nor is anything looked at that might not be there. */
		assert_int_equal(ask(f, opcodes[i], 1, NULL, 0, NULL, 0),
				 -EPERM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_lookup),
		fixture_test(test_getattr),
		fixture_test(test_link_to_a_disk),
		fixture_test(test_setattr),
		fixture_test(test_readdir),
		fixture_test(test_readdir_plus_looks_up),
		fixture_test(test_readdir_elsewhere),
		fixture_test(test_statfs),
		fixture_test(test_nothing_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
