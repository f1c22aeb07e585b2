/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_REOPEN_H
#define UZ_DEVICE_REOPEN_H

/*
 * The store of a device whose memory was adopted. What they promise stands at
 * their definitions.
 */
#include "device_priv.h"

/* backed.c */
void uz__backing_install(struct uz_device *dev, struct uz_backing *store);

uz_must_check int uz__backing_adopt(struct uz_device *dev, struct uz_err *err);

#endif
