/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UBLK_FRONTEND_H
#define UZRAM_UBLK_FRONTEND_H

#include <uzram/frontend.h>

#define UZ__UBLK_CONTROL "/dev/ublk-control"

/* Only in builds with libfuse3, for the attributes, and liburing. */
extern const struct uz_frontend_ops uz__ublk_frontend;

/* Deletes disks of daemons that are gone; how many. */
unsigned int uz__ublk_clear_up(void);

/* uz_frontend_probe_disks() of builds that have it. */
uz_must_check int uz__ublk_probe(char *text, size_t size, struct uz_err *err);

#endif
