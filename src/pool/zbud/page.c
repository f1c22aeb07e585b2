// SPDX-License-Identifier: MIT
/*
 * One page: its places, and the list that it belongs in.
 *
 * settle() ends every change of a page: it puts it in the list in which it
 * now belongs. Whether the page before may begin an object that is larger
 * than a page depends on this one's first chunk, so settle() and isolate()
 * look after that one as well, if it is empty.
 *
 * The pool's lock is held throughout.
 */
#include <assert.h>

#include "zbud_priv.h"

static bool taken(const struct uz__bud_page *p, unsigned int i)
{
	return p->place[i].state != UZ__BUD_EMPTY;
}

static unsigned int end_of(const struct uz__bud_place *place)
{
	unsigned int end = place->start + place->chunks;

	return end < UZ__BUD_CHUNKS ? end : UZ__BUD_CHUNKS;
}

bool uz__bud_empty(const struct uz__bud_page *p)
{
	return !taken(p, UZ__BUD_FIRST) && !taken(p, UZ__BUD_MIDDLE) &&
	       !taken(p, UZ__BUD_LAST);
}

/* The chunks that an object in place @i could have; 0 if it is taken. */
static unsigned int room_at(const struct uz__bud *pool,
			    const struct uz__bud_page *p, unsigned int i)
{
	const struct uz__bud_place *place = p->place;
	unsigned int from = 0, to = UZ__BUD_CHUNKS;

	if (taken(p, i))
		return 0;
	/* Between two others only; otherwise there is a better place. */
	if (i == UZ__BUD_MIDDLE && (!pool->middle || !taken(p, UZ__BUD_FIRST) ||
				    !taken(p, UZ__BUD_LAST)))
		return 0;
	if (i != UZ__BUD_FIRST) {
		if (taken(p, UZ__BUD_MIDDLE))
			from = end_of(&place[UZ__BUD_MIDDLE]);
		else if (taken(p, UZ__BUD_FIRST))
			from = end_of(&place[UZ__BUD_FIRST]);
	}
	if (i != UZ__BUD_LAST) {
		if (taken(p, UZ__BUD_MIDDLE))
			to = place[UZ__BUD_MIDDLE].start;
		else if (taken(p, UZ__BUD_LAST))
			to = place[UZ__BUD_LAST].start;
	}
	return to - from;
}

/* The chunks of the largest object that fits. */
unsigned int uz__bud_room(const struct uz__bud *pool,
			  const struct uz__bud_page *p)
{
	unsigned int most = 0, room, i;

	for (i = 0; i < UZ__BUD_PLACES; i++) {
		room = room_at(pool, p, i);
		if (room > most)
			most = room;
	}
	return most;
}

/* Whether the object in the page before may end here. */
static bool takes_tail(const struct uz__bud *pool, uint32_t page)
{
	const struct uz__bud_page *p = &pool->pages[page];

	return page < pool->bump && p->list != UZ__BUD_PRIVATE &&
	       room_at(pool, p, UZ__BUD_FIRST);
}

/* The list that a page belongs in, going by what it holds. */
unsigned int uz__bud_belongs(const struct uz__bud *pool, uint32_t page)
{
	const struct uz__bud_page *p = &pool->pages[page];
	bool pair;

	if (!uz__bud_empty(p))
		return uz__bud_room(pool, p);
	pair = takes_tail(pool, page + 1);
	if (p->held)
		return pair ? UZ__BUD_KEPT_PAIR : UZ__BUD_KEPT;
	return pair ? UZ__BUD_FREE_PAIR : UZ__BUD_FREE;
}

static void count(struct uz__bud *pool, unsigned int list, int one)
{
	if (list < UZ__BUD_CHUNKS)
		pool->nr_live += (uint64_t)one;
	if (!list)
		pool->nr_full += (uint64_t)one;
	if (list == UZ__BUD_KEPT || list == UZ__BUD_KEPT_PAIR)
		pool->nr_kept += (uint64_t)one;
}

static void unlist(struct uz__bud *pool, uint32_t page)
{
	struct uz__bud_page *p = &pool->pages[page];

	if (p->list == UZ__BUD_PRIVATE)
		return;
	if (p->prev != UZ__BUD_NONE)
		pool->pages[p->prev].next = p->next;
	else
		pool->head[p->list] = p->next;
	if (p->next != UZ__BUD_NONE)
		pool->pages[p->next].prev = p->prev;
	if (p->list < UZ__BUD_CHUNKS && pool->head[p->list] == UZ__BUD_NONE)
		pool->live_lists &= ~(UINT64_C(1) << p->list);
	count(pool, p->list, -1);
	p->list = UZ__BUD_PRIVATE;
}

static void list(struct uz__bud *pool, uint32_t page)
{
	struct uz__bud_page *p = &pool->pages[page];
	unsigned int to = uz__bud_belongs(pool, page);

	if (to == p->list)
		return;
	unlist(pool, page);
	p->list = (uint8_t)to;
	p->prev = UZ__BUD_NONE;
	p->next = pool->head[to];
	if (p->next != UZ__BUD_NONE)
		pool->pages[p->next].prev = page;
	pool->head[to] = page;
	if (to < UZ__BUD_CHUNKS)
		pool->live_lists |= UINT64_C(1) << to;
	count(pool, to, 1);
}

static void list_page_before(struct uz__bud *pool, uint32_t page)
{
	if (page && uz__bud_is_spare(&pool->pages[page - 1]))
		list(pool, page - 1);
}

/* Make a page the caller's own. */
void uz__bud_isolate(struct uz__bud *pool, uint32_t page)
{
	unlist(pool, page);
	list_page_before(pool, page);
}

/* Put a page, private or listed, where it belongs. */
void uz__bud_settle(struct uz__bud *pool, uint32_t page)
{
	list(pool, page);
	list_page_before(pool, page);
}

/* Put an object in an empty place. */
struct uz__bud_place *uz__bud_occupy(struct uz__bud *pool,
				     struct uz__bud_place *place,
				     unsigned int start, unsigned int chunks,
				     uint32_t owner)
{
	*place = (struct uz__bud_place){
		.owner = owner,
		.start = (uint8_t)start,
		.chunks = (uint8_t)chunks,
		.state = UZ__BUD_LIVE,
	};
	pool->objects++;
	pool->chunks += chunks;
	return place;
}

/* Use a place of a page that has room. */
struct uz__bud_place *uz__bud_take(struct uz__bud *pool, uint32_t page,
				   unsigned int chunks, uint32_t owner)
{
	struct uz__bud_page *p = &pool->pages[page];
	struct uz__bud_place *place = p->place;

	if (chunks <= room_at(pool, p, UZ__BUD_FIRST))
		return uz__bud_occupy(pool, &place[UZ__BUD_FIRST], 0, chunks,
				      owner);
	if (chunks <= room_at(pool, p, UZ__BUD_LAST))
		return uz__bud_occupy(pool, &place[UZ__BUD_LAST],
				      UZ__BUD_CHUNKS - chunks, chunks, owner);
	assert(chunks <= room_at(pool, p, UZ__BUD_MIDDLE));
	return uz__bud_occupy(pool, &place[UZ__BUD_MIDDLE],
			      end_of(&place[UZ__BUD_FIRST]), chunks, owner);
}

/* An object that fills an empty page and goes on in the next one. */
void uz__bud_take_pair(struct uz__bud *pool, uint32_t page, uint32_t owner)
{
	struct uz__bud_place *place = pool->pages[page].place;
	struct uz__bud_place *tail = pool->pages[page + 1].place;

	assert(uz__bud_empty(&pool->pages[page]));
	assert(tail[UZ__BUD_FIRST].state == UZ__BUD_EMPTY);
	uz__bud_occupy(pool, &place[UZ__BUD_FIRST], 0, UZ__BUD_CHUNKS + 1,
		       owner);
	tail[UZ__BUD_FIRST] = (struct uz__bud_place){
		.chunks = 1,
		.state = UZ__BUD_TAIL,
	};
}

/*
 * A place is empty. Settles the next page if that had the object's end.
 *
 * That the next page may be pinned does not matter: who pins it reads an
 * object of its own there, and who reads this end has pinned this page.
 */
static void vacate(struct uz__bud *pool, uint32_t page,
		   struct uz__bud_place *place)
{
	place->state = UZ__BUD_EMPTY;
	if (place->chunks <= UZ__BUD_CHUNKS)
		return;
	pool->pages[page + 1].place[UZ__BUD_FIRST].state = UZ__BUD_EMPTY;
	if (pool->pages[page + 1].list != UZ__BUD_PRIVATE)
		uz__bud_settle(pool, page + 1);
}

/* Free a live object; its page is the caller's to settle. */
void uz__bud_put(struct uz__bud *pool, uint32_t page,
		 struct uz__bud_place *place)
{
	pool->objects--;
	pool->chunks -= place->chunks;
	vacate(pool, page, place);
}

/* Free an object when its pins are gone; drain() comes next. */
void uz__bud_defer(struct uz__bud *pool, struct uz__bud_place *place)
{
	place->state = UZ__BUD_FOLLOWING;
	pool->objects--;
	pool->chunks -= place->chunks;
	pool->deferred++;
	pool->deferred_chunks += place->chunks;
}

static void put_deferred(struct uz__bud *pool, uint32_t page,
			 enum uz__bud_state state)
{
	struct uz__bud_place *place = pool->pages[page].place;
	unsigned int i;

	for (i = 0; i < UZ__BUD_PLACES; i++) {
		if (place[i].state != state)
			continue;
		pool->deferred--;
		pool->deferred_chunks -= place[i].chunks;
		vacate(pool, page, &place[i]);
	}
}

static bool any_following(const struct uz__bud_page *p)
{
	return p->place[UZ__BUD_FIRST].state == UZ__BUD_FOLLOWING ||
	       p->place[UZ__BUD_MIDDLE].state == UZ__BUD_FOLLOWING ||
	       p->place[UZ__BUD_LAST].state == UZ__BUD_FOLLOWING;
}

/*
 * Free what waits for no pin any more, and begin the next wait (pin.h). The
 * page is the caller's to settle.
 */
void uz__bud_drain(struct uz__bud *pool, uint32_t page)
{
	struct uz__bud_page *p = &pool->pages[page];
	unsigned int i;

	switch (uz__pin_turn(&p->pins, any_following(p))) {
	case UZ__PIN_NONE:
		break;
	case UZ__PIN_WAITING:
		put_deferred(pool, page, UZ__BUD_WAITING);
		for (i = 0; i < UZ__BUD_PLACES; i++)
			if (p->place[i].state == UZ__BUD_FOLLOWING)
				p->place[i].state = UZ__BUD_WAITING;
		break;
	case UZ__PIN_ALL:
		put_deferred(pool, page, UZ__BUD_WAITING);
		put_deferred(pool, page, UZ__BUD_FOLLOWING);
		break;
	}
}
