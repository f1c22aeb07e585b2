// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/table.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
bool uz_slot_same(uint64_t value, uz_slot_t *slot)
{
	return 0;
}
uint64_t uz_slot_same_value(uz_slot_t slot)
{
	return 0;
}
bool uz_slot_valid(uz_slot_t slot)
{
	return 0;
}
int uz_table_create(struct uz_table **table, int fd, uint64_t nr_pages)
{
	return -ENOTSUP;
}
void uz_table_destroy(struct uz_table *table)
{
}
uz_slot_t uz_table_load(const struct uz_table *table, uint64_t index)
{
	return 0;
}
int uz_table_prepare(struct uz_table *table, uint64_t index)
{
	return -ENOTSUP;
}
uz_slot_t uz_table_exchange(struct uz_table *table, uint64_t index,
			    uz_slot_t slot)
{
	return 0;
}
bool uz_table_swap(struct uz_table *table, uint64_t index, uz_slot_t old,
		   uz_slot_t slot)
{
	return 0;
}
uint64_t uz_table_next(const struct uz_table *table, uint64_t index)
{
	return 0;
}
uint64_t uz_table_pages(const struct uz_table *table)
{
	return 0;
}
uint64_t uz_table_resident(const struct uz_table *table)
{
	return 0;
}
