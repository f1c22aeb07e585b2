// SPDX-License-Identifier: MIT
/*
 * Requests of which workers die. One that is under way when a worker dies is
 * carried out again by the next one. If it was the reason of the death, that
 * would go on for ever and take all other requests with it; so one that several
 * workers in a row have died with is failed instead.
 *
 * Each thread notes in the session's memory which request it is at work on, and
 * for the how manieth time. A successor turns what he finds there into a list
 * of suspects before he serves, and asks it about requests that come again, and
 * only about those. A request that was under way by chance leaves the list as
 * soon as it is done.
 *
 * A thread's note is its own; suspects are added while there is one thread, and
 * taken away by whoever has carried the request out. Who dies leaves what he
 * has stored in the order of the program, so a number is stored after what
 * belongs to it.
 */
#include <errno.h>

#include <uzram/util/log.h>

#include "session_priv.h"

struct uz__fuse_trial *uz__fuse_trial_of(const struct uz__fuse *fuse,
					 unsigned int index)
{
	return fuse->session ? &fuse->session->trials[index] : NULL;
}

static uint64_t unique_of(const struct uz__fuse_trial *trial)
{
	/* relaxed, here and below: each word by itself, see above. */
	return atomic_load_explicit(&trial->unique, memory_order_relaxed);
}

/* release: not before what belongs to it. */
static void set_unique(struct uz__fuse_trial *trial, uint64_t unique)
{
	atomic_store_explicit(&trial->unique, unique, memory_order_release);
}

static struct uz__fuse_trial *find(struct uz__fuse_session *s, uint64_t unique)
{
	unsigned int i;

	for (i = 0; i < UZ__FUSE_SUSPECTS; i++)
		if (unique_of(&s->suspects[i]) == unique)
			return &s->suspects[i];
	return NULL;
}

/*
 * What a client no longer waits for stays in the list, so somebody may have to
 * give way: who is suspected least.
 */
static struct uz__fuse_trial *room_for(struct uz__fuse_session *s,
				       uint64_t unique)
{
	struct uz__fuse_trial *room = find(s, unique);
	unsigned int i;

	if (!room)
		room = find(s, 0);
	if (room)
		return room;
	room = &s->suspects[0];
	for (i = 1; i < UZ__FUSE_SUSPECTS; i++)
		if (s->suspects[i].count < room->count)
			room = &s->suspects[i];
	return room;
}

void uz__fuse_trial_adopt(struct uz__fuse_session *s)
{
	struct uz__fuse_trial *trial, *suspect;
	unsigned int i;

	for (i = 0; i < UZ__FUSE_HEADS; i++) {
		trial = &s->trials[i];
		if (!unique_of(trial))
			continue;
		suspect = room_for(s, unique_of(trial));
		suspect->count = trial->count;
		set_unique(suspect, unique_of(trial));
		/* To die before this repeats it, which changes nothing. */
		set_unique(trial, 0);
	}
}

int uz__fuse_trial_begin(struct uz__fuse_call *call)
{
	const struct fuse_in_header *hdr = &call->msg.hdr;
	const uint64_t unique = hdr->unique & ~FUSE_UNIQUE_RESEND;
	const struct uz__fuse_trial *suspect = NULL;
	uint32_t count = 0;

	if (!call->trial)
		return 0;
	if (uz_unlikely(hdr->unique != unique))
		suspect = find(call->fuse->session, unique);
	if (suspect)
		count = suspect->count;
	if (count >= UZ__FUSE_TRIALS) {
		uz_log(UZ_LOG_ERR,
		       "a request (opcode %u, file %llu) fails: %u workers in a row died with it",
		       hdr->opcode, (unsigned long long)hdr->nodeid, count);
		return -EIO;
	}
	call->trial->count = count + 1;
	set_unique(call->trial, unique);
	return 0;
}

void uz__fuse_trial_end(struct uz__fuse_call *call)
{
	const uint64_t unique = call->msg.hdr.unique;
	struct uz__fuse_trial *suspect;

	if (!call->trial)
		return;
	set_unique(call->trial, 0);
	if (uz_likely(!(unique & FUSE_UNIQUE_RESEND)))
		return;
	suspect = find(call->fuse->session, unique & ~FUSE_UNIQUE_RESEND);
	if (suspect)
		set_unique(suspect, 0);
}
