// SPDX-License-Identifier: MIT
/* A stub until the layer is written. */
#include <errno.h>
#include <uzram/util/size.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
int uz_size_parse(const char *text, uint64_t ram, uint64_t *size)
{
	return -ENOTSUP;
}
int uz_size_memparse(const char *text, uint64_t *size)
{
	return -ENOTSUP;
}
uint64_t uz_size_ram(void)
{
	return 0;
}
void uz_size_format(uint64_t size, char text[UZ_SIZE_TEXT])
{
}
