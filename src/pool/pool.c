// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/pool.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
void uz_pool_config_default(struct uz_pool_config *config, uint64_t data_bytes)
{
}
int uz_pool_create(struct uz_pool **pool, int fd,
		   const struct uz_pool_config *config)
{
	return -ENOTSUP;
}
void uz_pool_destroy(struct uz_pool *pool)
{
}
int uz_pool_adopt_object(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			 uint32_t owner)
{
	return -ENOTSUP;
}
int uz_pool_adopt_end(struct uz_pool *pool)
{
	return -ENOTSUP;
}
int uz_pool_alloc(struct uz_pool *pool, uint32_t size, uint32_t owner,
		  unsigned int flags, uz_ref_t *ref)
{
	return -ENOTSUP;
}
void *uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref)
{
	return 0;
}
void uz_pool_free(struct uz_pool *pool, uz_ref_t ref)
{
}
void uz_pool_map(struct uz_pool *pool, uz_ref_t ref, struct uz_map *map)
{
}
void uz_pool_unmap(struct uz_pool *pool, const struct uz_map *map)
{
}
uint32_t uz_pool_class_size(const struct uz_pool *pool, uint32_t size)
{
	return 0;
}
void uz_pool_set_limit(struct uz_pool *pool, uint64_t bytes)
{
}
void uz_pool_trim(struct uz_pool *pool)
{
}
void uz_pool_stat(struct uz_pool *pool, struct uz_pool_stat *stat)
{
}
uint64_t uz_pool_used_bytes(const struct uz_pool *pool)
{
	return 0;
}
void uz_pool_reset_max(struct uz_pool *pool)
{
}
int uz_pool_check(struct uz_pool *pool, struct uz_err *err)
{
	return -ENOTSUP;
}
int uz_pool_for_each(struct uz_pool *pool,
		     int (*fn)(void *arg, uz_ref_t ref, uint32_t class_size,
			       uint32_t owner),
		     void *arg)
{
	return -ENOTSUP;
}
