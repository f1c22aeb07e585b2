// SPDX-License-Identifier: MIT
/*
 * Requests over io_uring, served by processes that die at any instruction.
 *
 * A child serves the entries of an area, on a kernel that it plays itself: what
 * the kernel does is not cut short, as in truth. The parent lets it run for a
 * while, then takes it through one instruction at a time, and kills it. The
 * next child adopts what is there. The kernel's part is to know what clients
 * may see: each write is carried out and told of once, a read brings no version
 * older than the last that was acknowledged before it began, and nobody is told
 * of an error. Now and then the kernel fails in the middle of a request.
 *
 * UZ_ROUNDS says how many die (400), UZ_SEED repeats a run as far as the
 * compiler's instructions are the same.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fake_device.h>
#include <uring_priv.h>
#include <uzram/util/shm.h>

#define ENTRIES	 5
#define PAGES	 8
#define UNIT	 64 /* bytes: to step through copies takes long */
#define WORDS	 (UNIT / sizeof(uint64_t))
#define DISKSIZE (1u << 20)

/* What the kernel has given out with an entry; @unique 0: nothing. */
struct given {
	uint64_t unique;
	uint64_t version; /* that is written, or the oldest that may be read */
	unsigned int page;
	bool write;
};

struct shared {
	_Atomic bool busy; /* in the kernel */
	_Atomic bool pause; /* stop when you leave it */
	uint64_t unique;
	uint64_t seed;
	struct given given[ENTRIES];
	uint64_t asked[PAGES];
	uint64_t acked[PAGES];
	bool writing[PAGES];
	uint64_t answered;
	uint64_t unknown;
	uint64_t served_again;
	unsigned char data[DISKSIZE];
};

static struct shared *sh;
static struct uz__fuse_area area;
static struct uz_device dev;
static struct uz__fuse fuse;
static struct uz__fuse_call call;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "stress_uring_adopt: %s\n", what);
	_exit(1);
}

static void must(bool truth, const char *what)
{
	if (!truth)
		die(what);
}

static uint64_t draw(void)
{
	sh->seed ^= sh->seed << 13;
	sh->seed ^= sh->seed >> 7;
	sh->seed ^= sh->seed << 17;
	return sh->seed;
}

/* ---- the kernel ---- */

static struct uz__fuse_slot *slot_at(unsigned int i)
{
	return (struct uz__fuse_slot *)(area.slots +
					i * uz__fuse_slot_size(&area.plan));
}

static uint64_t word_of(unsigned int page, uint64_t version)
{
	return version ? version * 0x9e3779b97f4a7c15 + page : 0;
}

static void enter(void)
{
	atomic_store(&sh->busy, true);
}

static void leave(void)
{
	atomic_store(&sh->busy, false);
	if (atomic_load(&sh->pause))
		raise(SIGSTOP);
}

/* A request comes in for an entry that has none; or part of it. */
static void kernel_give(unsigned int i)
{
	struct uz__fuse_slot *slot = slot_at(i);
	uint64_t *payload =
		(void *)((unsigned char *)slot + UZ__FUSE_ENTRY_HEAD);
	struct given *g = &sh->given[i];
	struct fuse_in_header in = { .nodeid = UZ__FUSE_BLOCK };
	struct fuse_write_in rw = { .size = UNIT };
	const bool fails = draw() % 16 == 0;
	unsigned int w;

	g->page = draw() % PAGES;
	g->write = draw() % 2 && !sh->writing[g->page];
	g->version = g->write ? sh->asked[g->page] + 1 : sh->acked[g->page];
	in.opcode = g->write ? FUSE_WRITE : FUSE_READ;
	in.unique = sh->unique += 2;
	rw.offset = (uint64_t)g->page * UZ_PAGE_SIZE;
	memcpy(slot->hdr.op_in, &rw, sizeof(rw));
	for (w = 0; g->write && w < WORDS; w++)
		payload[w] = word_of(g->page, g->version + fails * 1000);
	slot->hdr.ent.payload_sz = g->write ? UNIT : 0;
	slot->hdr.ent.commit_id = in.unique;
	if (fails)
		return;
	memcpy(slot->hdr.in_out, &in, sizeof(in));
	g->unique = in.unique;
	if (g->write) {
		sh->writing[g->page] = true;
		sh->asked[g->page]++;
	}
}

static void check_read(const struct given *g, const uint64_t *payload)
{
	uint64_t v;
	unsigned int w;

	for (v = g->version; payload[0] != word_of(g->page, v); v++)
		must(v < sh->asked[g->page], "a read brought what never was");
	/* A write that is under way may be half done. */
	for (w = 1; w < WORDS && !sh->writing[g->page]; w++)
		must(payload[w] == payload[0], "a page of several versions");
}

static int kernel_commit(unsigned int i, uint64_t unique)
{
	struct uz__fuse_slot *slot = slot_at(i);
	const void *payload = (unsigned char *)slot + UZ__FUSE_ENTRY_HEAD;
	struct given *g = &sh->given[i];
	struct fuse_out_header out;
	struct fuse_write_out written;

	if (g->unique != unique) {
		sh->unknown++;
		return -ENOENT;
	}
	memcpy(&out, slot->hdr.in_out, sizeof(out));
	must(out.unique == unique, "an answer with another number");
	must(!out.error, "a client was told of an error");
	if (g->write) {
		must(slot->hdr.ent.payload_sz == sizeof(written),
		     "length of the answer to a write");
		memcpy(&written, payload, sizeof(written));
		must(written.size == UNIT, "a short write");
		sh->writing[g->page] = false;
		sh->acked[g->page] = g->version;
	} else {
		must(slot->hdr.ent.payload_sz == UNIT, "a short read");
		check_read(g, payload);
	}
	g->unique = 0;
	sh->answered++;
	return 0;
}

/* ---- who serves ---- */

static void commit(unsigned int i, const struct uz__fuse_entry *entry)
{
	enter();
	if (!kernel_commit(i, entry->commit_id) && draw() % 2)
		kernel_give(i);
	leave();
}

static void serve(unsigned int i, struct uz__fuse_entry *entry)
{
	uz__fuse_entry_serve(entry, &call);
	commit(i, entry);
	entry->left = UZ__FUSE_LEFT_NOTHING;
}

static void take_over(unsigned int i, struct uz__fuse_entry *entry)
{
	unsigned char *at = (unsigned char *)slot_at(i);

	*entry = (struct uz__fuse_entry){
		.hdr = &slot_at(i)->hdr,
		.outcome = &slot_at(i)->outcome,
		.payload = at + UZ__FUSE_ENTRY_HEAD,
		.cap = area.plan.payload,
	};
	entry->left = uz__fuse_entry_adopt(entry);
	if (entry->left == UZ__FUSE_LEFT_ANSWER)
		commit(i, entry);
	if (entry->left == UZ__FUSE_LEFT_REQUEST) {
		sh->served_again++;
		serve(i, entry);
	}
}

/* Stops itself after so many turns; or serves what there is, and ends. */
static _Noreturn void child(unsigned int turns, bool last)
{
	struct uz__fuse_entry entries[ENTRIES];
	unsigned int i;

	if (!last)
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	if (!turns && !last)
		raise(SIGSTOP);
	for (i = 0; i < ENTRIES; i++)
		take_over(i, &entries[i]);
	for (i = 0; last && i < ENTRIES; i++)
		while (sh->given[i].unique)
			serve(i, &entries[i]);
	if (last)
		_exit(0);
	for (;;) {
		if (turns && !--turns)
			raise(SIGSTOP);
		i = draw() % ENTRIES;
		enter();
		if (!sh->given[i].unique)
			kernel_give(i);
		leave();
		if (sh->given[i].unique)
			serve(i, &entries[i]);
	}
}

/* ---- who kills ---- */

static void await_stop(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid, "waitpid");
	/* The child has said why. */
	if (!WIFSTOPPED(status))
		_exit(1);
}

static void resume(enum __ptrace_request how, pid_t pid)
{
	must(!ptrace(how, pid, NULL, NULL), "ptrace");
	await_stop(pid);
}

static void one_life(unsigned int turns, unsigned int steps)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid)
		child(turns, false);
	await_stop(pid);
	while (steps--) {
		if (atomic_load(&sh->busy)) {
			atomic_store(&sh->pause, true);
			resume(PTRACE_CONT, pid);
			atomic_store(&sh->pause, false);
		}
		resume(PTRACE_SINGLESTEP, pid);
	}
	if (atomic_load(&sh->busy)) {
		atomic_store(&sh->pause, true);
		resume(PTRACE_CONT, pid);
		atomic_store(&sh->pause, false);
	}
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
}

static void last_life(void)
{
	int status;
	pid_t pid = fork();
	unsigned int i;

	must(pid >= 0, "fork");
	if (!pid)
		child(0, true);
	must(waitpid(pid, &status, 0) == pid && !status, "the last one");
	for (i = 0; i < PAGES; i++) {
		must(sh->acked[i] == sh->asked[i], "a write without answer");
		must(!memcmp(sh->data + i * UZ_PAGE_SIZE,
			     &(uint64_t){ word_of(i, sh->acked[i]) }, 8),
		     "an old version at the end");
	}
}

static void set_up(int mem)
{
	const struct uz__fuse_plan plan = {
		.queues = 1,
		.depth = ENTRIES,
		.payload = FUSE_MIN_READ_BUFFER,
	};

	fake_device_init(&dev);
	must(!uz_device_set_disksize(&dev, DISKSIZE, NULL), "device");
	free(dev.data);
	dev.data = sh->data;
	must(!uz_attr_ctx_create(&fuse.attrs, &dev, 1, NULL, NULL) &&
		     !uz_io_create(&dev, &call.io) &&
		     !uz__fuse_area_create(&area, mem, 0, &plan),
	     "set-up");
	fuse.dev = &dev;
	call.fuse = &fuse;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
	uint64_t rounds = number_of("UZ_ROUNDS", 400), i;
	const uint64_t seed = number_of("UZ_SEED", (uint64_t)time(NULL));
	int mem = uz_shm_memfd("test");

	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(sh != MAP_FAILED && mem >= 0, "memory");
	sh->seed = seed * 2 + 1;
	set_up(mem);
	for (i = 0; i < rounds; i++)
		one_life(draw() % 4 ? draw() % 20 : 0, draw() % 1500);
	last_life();
	printf("%llu lives, %llu answers, %llu of them twice, "
	       "%llu requests begun again\n",
	       (unsigned long long)rounds, (unsigned long long)sh->answered,
	       (unsigned long long)sh->unknown,
	       (unsigned long long)sh->served_again);
	dev.data = NULL;
	uz_io_destroy(call.io);
	uz_attr_ctx_destroy(fuse.attrs);
	uz__fuse_area_end(&area);
	close(mem);
	return 0;
}
