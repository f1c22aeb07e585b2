/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UBLK_FRONTEND_H
#define UZRAM_UBLK_FRONTEND_H

#include <uzram/frontend.h>

#define UZ__UBLK_CONTROL "/dev/ublk-control"

/* Only in builds with libfuse3, for the attributes, and liburing. */
extern const struct uz_frontend_ops uz__ublk_frontend;

/* Deletes disks of daemons that are gone. */
void uz__ublk_clear_up(void);

#endif
