/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_IDLE_H
#define UZ_DEVICE_IDLE_H

#include <uzram/device.h>

/* Memory for the times of last use, if they are wanted and not there. */
int uz__ages_map(struct uz_device *dev);
/* For so many pages, if there are any; the table has not grown yet. */
int uz__ages_grow(struct uz_device *dev, uint64_t nr_pages);
void uz__ages_unmap(struct uz_device *dev);
uint64_t uz__ages_resident(const struct uz_device *dev);

void uz__age_note(_Atomic uint32_t *ages, uint64_t index);
void uz__idle_clear(const struct uz_io *io, uint64_t index);
void uz__idle_set(struct uz_device *dev, uint64_t index);

#endif
