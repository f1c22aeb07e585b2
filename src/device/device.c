// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/device.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
int uz_device_mem_create(struct uz_device_mem *mem)
{
	return -ENOTSUP;
}
void uz_device_mem_close(struct uz_device_mem *mem)
{
}
int uz_device_open(struct uz_device **dev, const char *name,
		   const struct uz_device_mem *mem, struct uz_err *err)
{
	return -ENOTSUP;
}
void uz_device_close(struct uz_device *dev)
{
}
const char *uz_device_name(const struct uz_device *dev)
{
	return 0;
}
int uz_device_set_disksize(struct uz_device *dev, uint64_t size,
			   struct uz_err *err)
{
	return -ENOTSUP;
}
uint64_t uz_device_disksize(const struct uz_device *dev)
{
	return 0;
}
int uz_device_set_codec(struct uz_device *dev, const char *text,
			struct uz_err *err)
{
	return -ENOTSUP;
}
void uz_device_codec(struct uz_device *dev, struct uz_codec *codec)
{
}
void uz_device_set_limit(struct uz_device *dev, uint64_t bytes)
{
}
void uz_device_hold(struct uz_device *dev)
{
}
void uz_device_release(struct uz_device *dev)
{
}
unsigned int uz_device_holders(const struct uz_device *dev)
{
	return 0;
}
int uz_device_reset(struct uz_device *dev, bool force, struct uz_err *err)
{
	return -ENOTSUP;
}
int uz_io_create(struct uz_device *dev, struct uz_io **io)
{
	return -ENOTSUP;
}
void uz_io_destroy(struct uz_io *io)
{
}
int uz_device_submit(struct uz_io *io, const struct uz_request *rq)
{
	return -ENOTSUP;
}
int uz_page_load(struct uz_io *io, uint64_t index, void *buf)
{
	return -ENOTSUP;
}
int uz_page_store(struct uz_io *io, uint64_t index, const void *buf)
{
	return -ENOTSUP;
}
int uz_page_store_part(struct uz_io *io, uint64_t index, uint32_t off,
		       uint32_t len, const void *buf)
{
	return -ENOTSUP;
}
void uz_page_drop(struct uz_io *io, uint64_t index)
{
}
void uz_device_stat(struct uz_device *dev, struct uz_device_stat *stat)
{
}
void uz_device_reset_max(struct uz_device *dev)
{
}
int uz_device_next(struct uz_device *dev, uint64_t offset, bool data,
		   uint64_t *found)
{
	return -ENOTSUP;
}
int uz_device_check(struct uz_device *dev, struct uz_err *err)
{
	return -ENOTSUP;
}
