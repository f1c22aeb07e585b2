/* SPDX-License-Identifier: MIT */
/*
 * A model of publish, map, free, deferred free, move and death: the protocol
 * of src/pool/pin.h, of zsmalloc's pins, frees and moves beside it, and of
 * src/device/{page,pinned,relocate}.c, for Spin.
 *
 * One page, whose slot names one of PLACES places in one zspage, or none. A
 * writer stores new versions and a reader reads. With them, by choice of what
 * is defined:
 *   PART  a partial writer reads, modifies and swaps, the old place pinned
 *   COPY  the same by copies, for pools in which maps must be short: it pins a
 *         second time, looks again, compares the bytes, and swaps
 *   MOVE  a compactor moves an object that it knows from the pool alone
 * Pins are counted in two epochs, as in the pool. Death may come at any step:
 * then nobody moves any more and whoever adopts looks at slot and places alone.
 *
 * What must hold:
 *   - what a reader uses is a version that was stored, whole, and stays so
 *     until it unmaps;
 *   - a place is not filled anew while somebody uses it;
 *   - a place is freed once;
 *   - a swap succeeds only if the slot still holds the version that was read;
 *   - when all have ended, exactly the place that the slot names is used;
 *   - after death, in the middle of a move too, the slot names a place that
 *     holds, whole, the version that was last published; nothing acknowledged
 *     is missing.
 *
 * Spin's memory is sequentially consistent; a weaker order is modelled by the
 * reordering that it would allow. Each mutation must be caught (run.sh):
 *   WEAK_PIN        the slot is read again before the pin can be seen
 *   WEAK_FREE       the pins are read before the slot is changed
 *   NO_RECHECK      the slot is not read again
 *   NO_DEFER        a free does not look at the pins
 *   NO_FLIP         a deferred free waits for one count and new pins join it
 *   EARLY_PUBLISH   the slot is changed before the object is filled
 *   LOST_DRAIN      the last unmap does not look for deferred frees
 *   EARLY_UNMAP     the partial writer unmaps before its swap
 *   COPY_BLIND      it does not compare the bytes with its copy (ABA)
 *   COPY_UNPINNED   it compares, but does not pin the place until the swap
 *   MOVE_UNPINNED   the compactor does not pin what it moves (ABA)
 *   MOVE_NO_LOOK    it copies without a look at the slot
 *   MOVE_BLIND      it exchanges instead of swapping
 *   MOVE_SWAP_FIRST it swaps before it copies
 *   MOVE_EARLY_FREE it frees the old place before the swap
 *   MOVE_NO_DEFER   it frees the old place without a look at others' pins
 *   MOVE_LEAK       it keeps the new place when the swap fails
 */

#ifdef PART
#define PARTS 1
#else
#define PARTS 0
#endif
#ifdef COPY
#define COPIES 1
#else
#define COPIES 0
#endif
#ifdef MOVE
#define MOVES 1
#else
#define MOVES 0
#endif
#define CAST (2 + PARTS + COPIES + MOVES)

#ifndef STORES
#define STORES 2 /* of the writer; some mutations need one more to be seen */
#endif

#define PLACES 3
#define NONE   7

/* The shared memory that outlives a process. A word is place and version. */
byte slot_place = NONE;
byte slot_version = 0; /* ghost: what the place is supposed to hold */
byte content[PLACES];
bool whole[PLACES] = true;

/* The pool's own memory. */
bool used[PLACES];
byte waiting = 0; /* sets of places, a bit for each */
byte following = 0;
byte pins[2];
bit epoch = 0;
bool deferred = false;

/* Ghosts. */
byte users[PLACES]; /* who uses the bytes, having read the slot again */
bool acked = false; /* some store was acknowledged */
byte next_version = 1;
byte ended = 0;
bool dead = false;

/* ---- the pool ---- */

/* Under the class's lock in the code, hence atomic here. */
inline alloc(p)
{
	atomic {
		if
		:: !used[0] -> p = 0
		:: !used[1] -> p = 1
		:: !used[2] -> p = 2
		:: else -> p = NONE
		fi;
		if
		:: p != NONE -> used[p] = true
		:: else
		fi
	}
}

inline fill(p, v)
{
	atomic {
		assert(users[p] == 0); /* no reuse while somebody reads */
		whole[p] = false
	}
	atomic {
		assert(users[p] == 0);
		content[p] = v;
		whole[p] = true
	}
}

#define HAS(set, p) ((set >> p) & 1)

inline drop_all(set)
{
	if :: HAS(set, 0) -> used[0] = false :: else fi;
	if :: HAS(set, 1) -> used[1] = false :: else fi;
	if :: HAS(set, 2) -> used[2] = false :: else fi;
	set = 0
}

/* uz__free_drain(): old count zero: free; then flip and wait for the rest. */
inline drain()
{
	if
	:: pins[1 - epoch] == 0 ->
		drop_all(waiting);
		if
		:: pins[epoch] == 0 -> drop_all(following)
		:: else
		fi;
		if
		:: following ->
#ifndef NO_FLIP
			epoch = 1 - epoch;
#endif
			waiting = following;
			following = 0
		:: else -> deferred = false
		fi
	:: else
	fi
}

inline free_place(p)
{
	atomic {
		assert(used[p] && !HAS((waiting | following), p));
#ifdef NO_DEFER
		used[p] = false
#else
		if
		:: pins[0] + pins[1] == 0 && !deferred -> used[p] = false
		:: else ->
			following = following | (1 << p);
			deferred = true;
			drain()
		fi
#endif
	}
}

/* The count is chosen first and raised later: the epoch may flip between. */
inline pin(e)
{
	e = epoch;
	atomic { pins[e]++ }
}

/* The count goes down without the lock, so the drain is a step of its own. */
inline unpin(e)
{
	atomic {
		pins[e]--;
		last = deferred && pins[e] == 0
	};
#ifndef LOST_DRAIN
	atomic {
		if
		:: last -> last = false; drain()
		:: else
		fi
	}
#endif
}

/* ---- the device ---- */

/*
 * Load the slot, pin, load again; ok: (p, v) is in use and stays. In the end
 * p is NONE if the slot was empty.
 */
inline map(p, v, e, ok)
{
	do
	:: atomic { p = slot_place; v = slot_version };
	   if
	   :: p == NONE -> ok = false; break
	   :: else
	   fi;
#ifdef WEAK_PIN
	   atomic {
		   ok = (slot_place == p && slot_version == v);
		   if :: ok -> users[p]++ :: else fi
	   };
	   pin(e);
#else
	   pin(e);
#ifdef NO_RECHECK
	   atomic { ok = true; users[p]++ };
#else
	   /* The word is place and size, not version: ABA is possible. */
	   atomic {
		   ok = (slot_place == p);
		   if :: ok -> users[p]++; v = slot_version :: else fi
	   };
#endif
#endif
	   if
	   :: ok -> break
	   :: else -> unpin(e)
	   fi
	od
}

inline use(p, v)
{
	assert(whole[p]);
	assert(content[p] == v)
}

inline unmap(p, e)
{
	atomic { users[p]-- };
	unpin(e)
}

inline publish(p, v, old)
{
	atomic { old = slot_place; slot_place = p; slot_version = v }
}

/* ---- who is there ---- */

active proctype writer() provided (!dead)
{
	byte p, v, old, n;

	for (n : 1 .. STORES) {
		atomic { v = next_version; next_version++ };
		do
		:: alloc(p); if :: p != NONE -> break :: else fi
		od;
#ifdef EARLY_PUBLISH
		publish(p, v, old);
		fill(p, v);
#else
		fill(p, v);
#ifdef WEAK_FREE
		/* The freer's look at the pins, before its exchange is seen. */
		bool pinned;
		atomic { pinned = (pins[0] + pins[1] > 0 || deferred) };
		publish(p, v, old);
		if
		:: old != NONE && pinned -> free_place(old)
		:: old != NONE && !pinned -> atomic { used[old] = false }
		:: else
		fi;
		old = NONE;
#else
		publish(p, v, old);
#endif
#endif
		acked = true;
		if
		:: old != NONE -> free_place(old)
		:: else
		fi
	}
	ended++
}

/* Swap the slot from one place and version to others. */
inline swap(from, had, to, has, success)
{
	atomic {
		success = (slot_place == from);
		if
		:: success ->
			assert(slot_version == had); /* no lost update */
			slot_place = to;
			slot_version = has
		:: else
		fi
	}
}

#ifdef PART
/* Read, modify, swap: uz_page_store_part(), one try. */
active proctype part_writer() provided (!dead)
{
	byte p, q = NONE, v, e, read;
	bool ok, swapped, last;

	map(p, v, e, ok);
	if
	:: !ok -> skip
	:: else ->
		use(p, v);
		read = content[p];
#ifdef EARLY_UNMAP
		unmap(p, e);
#endif
		alloc(q);
		if
		:: q == NONE -> skip
		:: else ->
			atomic { v = next_version; next_version++ };
			fill(q, v);
			atomic {
				swap(p, read, q, v, swapped);
				if :: swapped -> acked = true :: else fi
			};
			if
			:: !swapped -> free_place(q)
			:: else
			fi
		fi;
#ifndef EARLY_UNMAP
		unmap(p, e);
#endif
		if
		:: q != NONE && swapped -> free_place(p)
		:: else
		fi
	fi;
	ended++
}
#endif

#ifdef COPY
/* The same by copies: swap_copied() of pinned.c. */
active proctype copying_writer() provided (!dead)
{
	byte p, q = NONE, v, e, read;
	bool ok, swapped, last;

	map(p, v, e, ok);
	if
	:: !ok -> goto done
	:: else
	fi;
	use(p, v);
	read = content[p];
	unmap(p, e);
	alloc(q);
	if
	:: q == NONE -> goto done
	:: else
	fi;
	atomic { v = next_version; next_version++ };
	fill(q, v);
#ifndef COPY_UNPINNED
	pin(e);
#endif
	/* Only if the slot names the place its bytes are looked at. */
	atomic {
		ok = (slot_place == p);
#ifndef COPY_UNPINNED
		if :: ok -> users[p]++ :: else fi
#endif
	};
	if
	:: ok ->
#ifndef COPY_UNPINNED
		assert(whole[p]);
#endif
#ifndef COPY_BLIND
		ok = (content[p] == read);
#endif
		if
		:: ok -> atomic {
			swap(p, read, q, v, swapped);
			if :: swapped -> acked = true :: else fi }
		:: else
		fi;
#ifndef COPY_UNPINNED
		atomic { users[p]-- }
#endif
	:: else
	fi;
#ifndef COPY_UNPINNED
	unpin(e);
#endif
	if
	:: swapped -> free_place(p)
	:: else -> free_place(q)
	fi;
done:
	ended++
}
#endif

active proctype reader() provided (!dead)
{
	byte p, v, e;
	bool ok, last;

	map(p, v, e, ok);
	if
	:: ok ->
		use(p, v); /* it may sleep here for a minute */
		use(p, v);
		unmap(p, e)
	:: else
	fi;
	ended++
}

#ifdef MOVE
/*
 * The pool's compaction and uz__relocate(), one object. The pool knows of an object
 * only that its place is used: it may not be published yet, or not any more.
 */
active proctype compactor() provided (!dead)
{
	byte p, q, v, e;
	bool ok, moved, last;

	/* Under the lock: what to move where, and the pin. */
	atomic {
		if
		:: pins[0] + pins[1] || deferred -> goto done
		:: else
		fi;
		if
		:: used[0] -> p = 0
		:: used[1] -> p = 1
		:: used[2] -> p = 2
		:: !used[0] && !used[1] && !used[2] -> goto done
		fi;
		alloc(q);
		if
		:: q == NONE -> goto done
		:: else
		fi;
		e = epoch;
#ifndef MOVE_UNPINNED
		pins[e]++
#endif
	};

	/* Without it: does the slot name the place? Then copy and swap. */
	atomic {
		v = slot_version;
#ifdef MOVE_NO_LOOK
		ok = true;
#else
		ok = (slot_place == p);
#endif
#ifndef MOVE_UNPINNED
		if :: ok -> users[p]++ :: else fi
#endif
	};
	if
	:: ok ->
#ifdef MOVE_SWAP_FIRST
		swap(p, v, q, v, moved);
#endif
#ifndef MOVE_UNPINNED
		assert(whole[p]);
#endif
		fill(q, content[p]);
#ifdef MOVE_EARLY_FREE
		free_place(p);
#endif
#ifdef MOVE_BLIND
		atomic {
			/* a move does not change what is stored */
			assert(slot_version == v);
			slot_place = q;
			moved = true
		};
#else
#ifndef MOVE_SWAP_FIRST
		swap(p, v, q, v, moved);
#endif
#endif
#ifndef MOVE_UNPINNED
		atomic { users[p]-- }
#endif
	:: else
	fi;

	/* Under the lock again. */
#ifndef MOVE_UNPINNED
	unpin(e);
#endif
	if
	:: moved ->
#ifdef MOVE_NO_DEFER
		atomic { used[p] = false }
#else
#ifndef MOVE_EARLY_FREE
		free_place(p)
#endif
#endif
	:: else ->
#ifndef MOVE_LEAK
		atomic { used[q] = false } /* no word has ever named it */
#endif
	fi;
done:
	ended++
}
#endif

/* Death at any step, and adoption; or the end of all, and quiescence. */
active proctype fate()
{
	byte i;

	if
	:: atomic { ended == CAST ->
		assert(!deferred && pins[0] + pins[1] == 0);
		assert(used[0] == (slot_place == 0));
		assert(used[1] == (slot_place == 1));
		assert(used[2] == (slot_place == 2)) }
	:: atomic { dead = true;
		if
		:: slot_place == NONE -> assert(!acked)
		:: else ->
			assert(whole[slot_place]);
			assert(content[slot_place] == slot_version)
		fi }
	fi
}
