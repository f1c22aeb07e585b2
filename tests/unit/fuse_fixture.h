/* SPDX-License-Identifier: MIT */
#ifndef FUSE_FIXTURE_H
#define FUSE_FIXTURE_H

/*
 * What the tests of FUSE operations share: a call on a fake device, as a
 * transport would have it, but from bytes in memory. Include after <cmocka.h>.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <session_priv.h>

#include "fake_device.h"

#define DISKSIZE (1u << 20)
#define ROOM	 (64u << 10)

struct fixture {
	struct uz_device dev;
	struct uz__fuse fuse;
	struct uz__fuse_call call;
	int session;
	unsigned char room[ROOM];
	_Alignas(8) unsigned char msg[ROOM]; /* read as structures */
};

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	f->session = uz__fuse_session_create("/nowhere");
	if (f->session < 0 ||
	    uz__fuse_session_map(&f->fuse, f->session, NULL) ||
	    uz_device_set_disksize(&f->dev, DISKSIZE, NULL) ||
	    uz_attr_ctx_create(&f->fuse.attrs, &f->dev, 2, NULL, NULL) ||
	    uz_io_create(&f->dev, &f->call.io))
		return -1;
	f->fuse.dev = &f->dev;
	f->fuse.uid = 11;
	f->fuse.gid = 22;
	f->call.fuse = &f->fuse;
	f->call.reply.room = f->room;
	f->call.reply.cap = sizeof(f->room);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	uz_io_destroy(f->call.io);
	uz_attr_ctx_destroy(f->fuse.attrs);
	uz__fuse_session_unmap(&f->fuse);
	close(f->session);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

/* Lays a message out: header, fixed part, payload. */
static inline size_t message(struct fixture *f, uint32_t opcode,
			     uint64_t nodeid, const void *arg, size_t arg_len,
			     const void *payload, size_t payload_len)
{
	struct fuse_in_header hdr = {
		.len = (uint32_t)(sizeof(hdr) + arg_len + payload_len),
		.opcode = opcode,
		.unique = 77,
		.nodeid = nodeid,
	};

	memcpy(f->msg, &hdr, sizeof(hdr));
	if (arg_len)
		memcpy(f->msg + sizeof(hdr), arg, arg_len);
	if (payload_len)
		memcpy(f->msg + sizeof(hdr) + arg_len, payload, payload_len);
	return hdr.len;
}

/* Sends a message through decoder and operations: the answer's error. */
static inline int ask(struct fixture *f, uint32_t opcode, uint64_t nodeid,
		      const void *arg, size_t arg_len, const void *payload,
		      size_t payload_len)
{
	size_t len =
		message(f, opcode, nodeid, arg, arg_len, payload, payload_len);
	int ret = uz__fuse_decode(&f->call.msg, f->msg, len);

	return ret ? ret : uz__fuse_handle(&f->call);
}

static inline int ask_read(struct fixture *f, uint64_t nodeid, uint64_t offset,
			   uint32_t size)
{
	struct fuse_read_in in = { .offset = offset, .size = size };

	return ask(f, FUSE_READ, nodeid, &in, sizeof(in), NULL, 0);
}

static inline int ask_write(struct fixture *f, uint64_t nodeid, uint64_t offset,
			    const void *data, uint32_t size)
{
	struct fuse_write_in in = { .offset = offset, .size = size };

	return ask(f, FUSE_WRITE, nodeid, &in, sizeof(in), data, size);
}

static inline int ask_lookup(struct fixture *f, const char *name)
{
	return ask(f, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, name,
		   strlen(name) + 1);
}

static inline uint64_t inode_of(struct fixture *f, const char *name)
{
	assert_int_equal(ask_lookup(f, name), 0);
	return f->call.reply.out.entry.nodeid;
}

#define fixture_test(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
