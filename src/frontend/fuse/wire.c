// SPDX-License-Identifier: MIT
/*
 * Between the bytes of the FUSE protocol and structs. Pure functions: no I/O,
 * no state, no allocation; whatever bytes come in, nothing outside of them is
 * read. What decodes without error is safe to use: the fixed part is there (or
 * zeroes), a name ends within the message, a write has all its data.
 *
 * It checks form, not sense: inodes, offsets and modes are for those who use
 * them. More bytes than an opcode needs are allowed, newer kernels may send
 * them.
 */
#include <errno.h>
#include <string.h>

#include "fuse_priv.h"

enum payload {
	PAYLOAD_IGNORED,
	PAYLOAD_NAME,
	PAYLOAD_DATA,
};

/*
 * What the operations that we look into carry. An opcode that is not here is
 * decoded to its header alone.
 */
static const struct form {
	size_t size; /* of the fixed part */
	size_t least; /* what the oldest kernel sends of it; 0: all */
	enum payload payload;
} forms[] = {
	[FUSE_LOOKUP] = { .payload = PAYLOAD_NAME },
	[FUSE_SETATTR] = { .size = sizeof(struct fuse_setattr_in) },
	[FUSE_OPEN] = { .size = sizeof(struct fuse_open_in) },
	[FUSE_READ] = { .size = sizeof(struct fuse_read_in) },
	[FUSE_WRITE] = { .size = sizeof(struct fuse_write_in),
			 .payload = PAYLOAD_DATA },
	[FUSE_RELEASE] = { .size = sizeof(struct fuse_release_in) },
	[FUSE_INIT] = { .size = sizeof(struct fuse_init_in),
			.least = FUSE_INIT_IN_MIN },
	[FUSE_OPENDIR] = { .size = sizeof(struct fuse_open_in) },
	[FUSE_READDIR] = { .size = sizeof(struct fuse_read_in) },
	[FUSE_FALLOCATE] = { .size = sizeof(struct fuse_fallocate_in) },
	[FUSE_READDIRPLUS] = { .size = sizeof(struct fuse_read_in) },
	[FUSE_INTERRUPT] = { .size = sizeof(struct fuse_interrupt_in) },
	[FUSE_LSEEK] = { .size = sizeof(struct fuse_lseek_in) },
};

static struct form form_of(uint32_t opcode)
{
	static const struct form nothing;

	if (opcode >= sizeof(forms) / sizeof(forms[0]))
		return nothing;
	return forms[opcode];
}

static int decode_name(struct uz__fuse_msg *msg, size_t len)
{
	const char *end = len ? memchr(msg->payload, 0, len) : NULL;

	if (!end || end == msg->payload)
		return -EINVAL;
	msg->payload_len = (size_t)(end - (const char *)msg->payload);
	return 0;
}

int uz__fuse_decode_parts(struct uz__fuse_msg *msg, const void *arg,
			  size_t arg_len, void *payload, size_t payload_len)
{
	const struct form form = form_of(msg->hdr.opcode);

	if (arg_len < (form.least ? form.least : form.size))
		return -EINVAL;
	memset(&msg->in, 0, sizeof(msg->in));
	memcpy(&msg->in, arg, arg_len < form.size ? arg_len : form.size);
	msg->payload = payload;
	msg->payload_len = 0;

	switch (form.payload) {
	case PAYLOAD_NAME:
		return decode_name(msg, payload_len);
	case PAYLOAD_DATA:
		if (msg->in.write.size > payload_len)
			return -EINVAL;
		msg->payload_len = msg->in.write.size;
		return 0;
	case PAYLOAD_IGNORED:
		break;
	}
	return 0;
}

int uz__fuse_decode(struct uz__fuse_msg *msg, void *buf, size_t len)
{
	unsigned char *body = (unsigned char *)buf + sizeof(msg->hdr);
	size_t body_len, arg_len;

	if (len < sizeof(msg->hdr))
		return -EBADMSG;
	memcpy(&msg->hdr, buf, sizeof(msg->hdr));
	/* An answer to 0 would be taken for a message of another kind. */
	if (!msg->hdr.unique)
		return -EBADMSG;
	if (msg->hdr.len != len)
		return -EINVAL;
	body_len = len - sizeof(msg->hdr);
	arg_len = form_of(msg->hdr.opcode).size;
	if (arg_len > body_len)
		arg_len = body_len;
	return uz__fuse_decode_parts(msg, body, arg_len, body + arg_len,
				     body_len - arg_len);
}

void uz__fuse_encode(struct fuse_out_header *out, struct uz__fuse_call *call,
		     int error)
{
	/* The kernel takes no errno of 512 and up, and nothing above 0. */
	if (error > 0 || error <= -512)
		error = -EIO;
	if (error) {
		call->reply.data = NULL;
		call->reply.len = 0;
	}
	out->len = (uint32_t)(sizeof(*out) + call->reply.len);
	out->error = error;
	out->unique = call->msg.hdr.unique;
}
