// SPDX-License-Identifier: MIT
/*
 * Which allocator the device's pages lie in, and whom it tells that they lie
 * badly. The choice is made before the size and lies in the superblock; the
 * listener belongs to the process. Both under the configuration lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device_priv.h"

/* Enough for a dozen names; a longer list is cut. */
#define KNOWN_TEXT 160

static void zpool_list(char text[KNOWN_TEXT])
{
	const char *known;
	size_t len = 0;
	unsigned int i;

	text[0] = '\0';
	for (i = 0; (known = uz_pool_backend(i)) && len < KNOWN_TEXT; i++)
		len += (size_t)snprintf(text + len, KNOWN_TEXT - len, "%s%s",
					i ? ", " : "", known);
}

/* The name as long as the program lives, or NULL. */
const char *uz__zpool_find(const char *name)
{
	const char *known;
	unsigned int i;

	for (i = 0; (known = uz_pool_backend(i)); i++)
		if (!strncmp(name, known, UZ_POOL_NAME_MAX + 1))
			return known;
	return NULL;
}

int uz_device_check_zpool(const char *name, struct uz_err *err)
{
	char text[KNOWN_TEXT];

	if (uz__zpool_find(name))
		return 0;
	zpool_list(text);
	return uz_err_set(err, -ENOTSUP,
			  "zpool '%.40s' is not in this build; known are %s",
			  name, text);
}

int uz_device_set_zpool(struct uz_device *dev, const char *name,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	int ret;

	if (dev->table)
		return uz_err_set(
			err, -EBUSY,
			"cannot change the zpool of %s: it has a size already; reset the device first",
			dev->name);
	ret = uz_device_check_zpool(name, err);
	if (!ret)
		uz__super_set_zpool(dev, name);
	return ret;
}

void uz_device_zpool(struct uz_device *dev, char name[UZ_POOL_NAME_MAX + 1])
{
	uz_scoped_acquire(guard, &dev->lock);

	strcpy(name, dev->zpool);
}

void uz_device_on_fragmented(struct uz_device *dev, void (*fn)(void *arg),
			     void *arg)
{
	uz_scoped_acquire(guard, &dev->lock);

	dev->fragmented = fn;
	dev->arg = arg;
	if (dev->pool) /* adopted */
		uz_pool_on_fragmented(dev->pool, fn, arg);
}
