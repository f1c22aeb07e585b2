// SPDX-License-Identifier: MIT
/*
 * Doubly linked lists of descriptors, by window number, last in first out.
 * Whoever calls holds the lock of the list.
 */
#include "zsmalloc_priv.h"

void uz__list_push(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z)
{
	uint32_t window = uz__zspage_window(pool, z);

	z->prev = UZ__NONE;
	z->next = *head;
	if (*head != UZ__NONE)
		pool->zspages[*head].prev = window;
	*head = window;
}

void uz__list_remove(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z)
{
	if (z->prev != UZ__NONE)
		pool->zspages[z->prev].next = z->next;
	else
		*head = z->next;
	if (z->next != UZ__NONE)
		pool->zspages[z->next].prev = z->prev;
}
