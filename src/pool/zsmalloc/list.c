// SPDX-License-Identifier: MIT
/*
 * Doubly linked lists of descriptors, by window number, last in first out.
 * They are rings: the one before the head is the last. Whoever calls holds the
 * lock of the list.
 */
#include "zsmalloc_priv.h"

void uz__list_push(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z)
{
	uint32_t window = uz__zspage_window(pool, z);

	z->next = *head == UZ__NONE ? window : *head;
	z->prev = *head == UZ__NONE ? window : pool->zspages[*head].prev;
	pool->zspages[z->prev].next = window;
	pool->zspages[z->next].prev = window;
	*head = window;
}

void uz__list_remove(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z)
{
	uint32_t window = uz__zspage_window(pool, z);

	pool->zspages[z->prev].next = z->next;
	pool->zspages[z->next].prev = z->prev;
	if (*head == window)
		*head = z->next == window ? UZ__NONE : z->next;
}

/* Make one of a list the last. */
void uz__list_last(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z)
{
	if (*head != uz__zspage_window(pool, z)) {
		uz__list_remove(pool, head, z);
		uz__list_push(pool, head, z);
	}
	*head = z->next;
}
