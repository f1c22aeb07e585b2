// SPDX-License-Identifier: MIT
/*
 * Any bytes at all, as messages to the FUSE decoder and operations: each as
 * /dev/fuse brings it, and in parts as io_uring does. Nothing may be read or
 * written out of bounds (ASan), no request out of range may reach the device
 * (the fake aborts), every answer must be one that the kernel takes.
 *
 * An input is a row of messages, each with two bytes before it: its length,
 * and in the highest bit whether the header's own length and number are put
 * right, so that a fuzzer need not find that out. State lasts for one input.
 *
 * With libFuzzer (clang, -DUZ_LIBFUZZER, target fuzz_fuse_wire_libfuzzer) that
 * is all. Otherwise main() makes inputs: well-formed messages with values from
 * the edges, and most of them damaged. The seed is printed; UZ_SEED repeats a
 * run, UZ_SECONDS makes it longer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fake_device.h>
#include <session_priv.h>

#define DISKSIZE (1u << 20)
#define ROOM	 8192u
#define FIX_UP	 0x8000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

struct world {
	struct uz_device dev;
	struct uz__fuse fuse;
	struct uz__fuse_call call;
	int session;
};

static void world_begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	fake_device_init(&w->dev);
	w->session = uz__fuse_session_create("/nowhere");
	must(!uz__fuse_session_map(&w->fuse, w->session, NULL) &&
		     !uz_device_set_disksize(&w->dev, DISKSIZE, NULL) &&
		     !uz_attr_ctx_create(&w->fuse.attrs, &w->dev, 1, NULL,
					 NULL) &&
		     !uz_io_create(&w->dev, &w->call.io),
	     "set-up");
	w->fuse.dev = &w->dev;
	w->call.fuse = &w->fuse;
	w->call.reply.room = malloc(ROOM);
	w->call.reply.cap = ROOM;
}

static void world_end(struct world *w)
{
	free(w->call.reply.room);
	uz_io_destroy(w->call.io);
	uz_attr_ctx_destroy(w->fuse.attrs);
	uz__fuse_session_unmap(&w->fuse);
	close(w->session);
	fake_device_end(&w->dev);
}

static void check_answer(struct world *w, int error)
{
	struct uz__fuse_reply *reply = &w->call.reply;
	const unsigned char *data = reply->data;
	const unsigned char *room = reply->room;
	const unsigned char *out = (unsigned char *)&reply->out;
	struct fuse_out_header hdr;

	if (reply->none)
		return;
	must(error <= 0 && error > -512, "errno");
	if (!error && reply->len)
		must((data >= room && reply->len <= ROOM &&
		      data + reply->len <= room + ROOM) ||
			     (data == out && reply->len <= sizeof(reply->out)),
		     "place of the answer");
	uz__fuse_encode(&hdr, &w->call, error);
	must(hdr.len == sizeof(hdr) + reply->len, "length of the answer");
	must(!error || !reply->len, "an error with data");
	must(w->dev.holders < 100000, "holders");
}

/* @msg lies in memory of exactly @len bytes. */
static void one_message(struct world *w, unsigned char *msg, size_t len)
{
	struct uz__fuse_msg *m = &w->call.msg;
	int ret = uz__fuse_decode(m, msg, len);

	must(!ret || ret == -EBADMSG || ret == -EINVAL, "decoder's answer");
	if (ret == -EBADMSG)
		return;
	w->call.reply.none = false;
	if (!ret) {
		must(m->payload_len <= len, "payload longer than the message");
		must((unsigned char *)m->payload + m->payload_len <= msg + len,
		     "payload beyond the message");
		if (m->hdr.opcode == FUSE_INIT)
			ret = uz__fuse_init(&w->call);
		else
			ret = uz__fuse_handle(&w->call);
	}
	check_answer(w, ret);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The same bytes in parts; each part in memory of exactly its size. */
static void check_entry(const struct uz__fuse_entry *entry, uint64_t unique)
{
	struct fuse_out_header out;

	memcpy(&out, entry->hdr->in_out, sizeof(out));
	must(out.error <= 0 && out.error > -512, "errno over io_uring");
	must(out.unique == unique && entry->commit_id == unique,
	     "number of the answer");
	must(entry->hdr->ent.payload_sz <= ROOM, "length over io_uring");
	must(!out.error || !entry->hdr->ent.payload_sz, "an error with data");
}

static void one_entry(struct world *w, const unsigned char *msg, size_t len,
		      bool sound)
{
	struct uz__fuse_slot *slot = aligned_alloc(UZ_CACHELINE, sizeof(*slot));
	struct uz__fuse_entry entry = { .cap = ROOM };
	struct fuse_uring_req_header *hdr;
	struct fuse_in_header in = { 0 };
	size_t arg;

	must(slot != NULL, "memory");
	memset(slot, 0, sizeof(*slot));
	/* As a predecessor may have left it. */
	memcpy(&slot->outcome, msg, least(len, sizeof(slot->outcome)));
	hdr = entry.hdr = &slot->hdr;
	entry.outcome = &slot->outcome;
	entry.payload = w->call.reply.room;
	memcpy(&in, msg, least(len, sizeof(in)));
	memcpy(hdr->in_out, &in, sizeof(in));
	msg += least(len, sizeof(in));
	len -= least(len, sizeof(in));
	arg = in.opcode == FUSE_LOOKUP	? 0
	      : in.opcode == FUSE_WRITE ? sizeof(struct fuse_write_in)
					: sizeof(hdr->op_in);
	arg = least(arg, len);
	memcpy(hdr->op_in, msg, arg);
	memcpy(entry.payload, msg + arg, least(len - arg, ROOM));
	hdr->ent.payload_sz = sound ? (uint32_t)(len - arg) : in.len;
	hdr->ent.commit_id = in.unique;

	must(uz__fuse_entry_cost(&entry) > 0, "cost");
	entry.page = uz__fuse_entry_page(&entry, &entry.reads);
	entry.left = uz__fuse_entry_adopt(&entry);
	if (entry.left == UZ__FUSE_LEFT_ANSWER)
		check_entry(&entry, in.unique);
	memcpy(hdr->in_out, &in, sizeof(in));
	hdr->ent.payload_sz = sound ? (uint32_t)(len - arg) : in.len;
	uz__fuse_entry_serve(&entry, &w->call);
	check_entry(&entry, in.unique);
	must(w->dev.holders < 100000, "holders");
	free(slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuse_in_header hdr;
	unsigned char *msg;
	struct world w, u;
	uint16_t head;
	size_t len;

	world_begin(&w);
	world_begin(&u);
	while (size >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		data += sizeof(head);
		size -= sizeof(head);
		len = head & ~FIX_UP;
		if (len > size)
			len = size;
		msg = malloc(len ? len : 1);
		must(msg != NULL, "memory");
		memcpy(msg, data, len);
		if ((head & FIX_UP) && len >= sizeof(hdr)) {
			memcpy(&hdr, msg, sizeof(hdr));
			hdr.len = (uint32_t)len;
			hdr.unique |= 1;
			memcpy(msg, &hdr, sizeof(hdr));
		}
		one_entry(&u, msg, len, head & FIX_UP);
		one_message(&w, msg, len);
		free(msg);
		data += len;
		size -= len;
	}
	world_end(&w);
	world_end(&u);
	return 0;
}

#ifndef UZ_LIBFUZZER

#define MESSAGES	   10000u
#define MESSAGES_PER_INPUT 20u

static uint64_t rng;

static uint64_t rnd(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % below;
}

/* A number as it hurts: small, at a border, or anything. */
static uint64_t edge(void)
{
	static const uint64_t edges[] = {
		0,
		1,
		4095,
		4096,
		DISKSIZE - 1,
		DISKSIZE,
		DISKSIZE + 1,
		INT32_MAX,
		UINT32_MAX,
		INT64_MAX,
		UINT64_MAX - 4095,
		UINT64_MAX,
	};

	switch (rnd(4)) {
	case 0:
		return edges[rnd(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return rnd(32);
	case 2:
		return rnd(DISKSIZE);
	default:
		return rnd(UINT64_MAX);
	}
}

static const char *const texts[] = {
	"block", "disksize", "last_error",     "1M\n",
	"0\n",	 "force",    "zstd:level=3\n", "..",
};

/* What follows the header: words, a text, or nothing. */
static size_t any_body(unsigned char *body, size_t cap)
{
	const char *text = texts[rnd(sizeof(texts) / sizeof(texts[0]))];
	size_t len = rnd(16) * 8, i;
	uint64_t word;

	for (i = 0; i < len; i += 8) {
		word = edge();
		/* Two halves, as most fields are. */
		if (rnd(2))
			word = (word & UINT32_MAX) | edge() << 32;
		memcpy(body + i, &word, 8);
	}
	if (rnd(2)) {
		memcpy(body + len, text, strlen(text) + 1);
		return len + strlen(text) + rnd(2);
	}
	return rnd(8) ? len : rnd(cap);
}

/* The bytes of a well-formed request that somebody might really send. */
static size_t sound_body(uint32_t opcode, unsigned char *body, size_t cap)
{
	const char *text = texts[rnd(sizeof(texts) / sizeof(texts[0]))];
	const size_t len = strlen(text);

	switch (opcode) {
	case FUSE_LOOKUP:
		memcpy(body, text, len + 1);
		return len + 1;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS: {
		const struct fuse_read_in in = {
			.offset = opcode == FUSE_READ ? edge() : rnd(20),
			.size = (uint32_t)edge(),
		};

		memcpy(body, &in, sizeof(in));
		return sizeof(in);
	}
	case FUSE_WRITE: {
		const struct fuse_write_in in = {
			.offset = edge(),
			.size = (uint32_t)len,
		};

		memcpy(body, &in, sizeof(in));
		memcpy(body + sizeof(in), text, len);
		return sizeof(in) + len;
	}
	case FUSE_FALLOCATE: {
		const struct fuse_fallocate_in in = {
			.offset = edge(),
			.length = edge(),
			.mode = (uint32_t)rnd(32),
		};

		memcpy(body, &in, sizeof(in));
		return sizeof(in);
	}
	case FUSE_LSEEK: {
		const struct fuse_lseek_in in = {
			.offset = edge(),
			.whence = 3 + (uint32_t)rnd(2),
		};

		memcpy(body, &in, sizeof(in));
		return sizeof(in);
	}
	default:
		return any_body(body, cap);
	}
}

static size_t make_message(unsigned char *at, size_t cap)
{
	struct fuse_in_header hdr = {
		.opcode = (uint32_t)(rnd(8) ? rnd(60) : edge()),
		.unique = rnd(100) ? 1 + rnd(1000) : edge(),
		.nodeid = rnd(8) ? rnd(20) : edge(),
	};
	size_t len = sizeof(hdr), n;
	uint16_t head;

	cap -= 2 + sizeof(hdr);
	if (rnd(2))
		len += sound_body(hdr.opcode, at + 2 + sizeof(hdr), cap);
	else
		len += any_body(at + 2 + sizeof(hdr), cap);
	hdr.len = (uint32_t)(rnd(20) ? len : edge());
	memcpy(at + 2, &hdr, sizeof(hdr));
	/* Some are cut, some have bits turned over. */
	if (!rnd(10))
		len = rnd(len + 1);
	if (!rnd(4))
		for (n = rnd(8); n && len; n--)
			at[2 + rnd(len)] ^= (unsigned char)(1u << rnd(8));
	head = (uint16_t)(len | (rnd(10) ? FIX_UP : 0));
	memcpy(at, &head, sizeof(head));
	return 2 + len;
}

int main(void)
{
	static unsigned char input[MESSAGES_PER_INPUT * 2048];
	const char *seed = getenv("UZ_SEED"), *seconds = getenv("UZ_SECONDS");
	time_t end = seconds ? time(NULL) + atoi(seconds) : 0;
	unsigned long done = 0;
	size_t len;
	int i;

	rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("seed %" PRIu64 "\n", rng);
	fflush(stdout);
	rng = (rng + 1) * UINT64_C(0x9e3779b97f4a7c15);
	while (done < MESSAGES || time(NULL) < end) {
		for (len = 0, i = 0; i < (int)MESSAGES_PER_INPUT; i++)
			len += make_message(input + len, 2048);
		LLVMFuzzerTestOneInput(input, len);
		done += MESSAGES_PER_INPUT;
	}
	printf("%lu messages\n", done);
	return 0;
}

#endif
