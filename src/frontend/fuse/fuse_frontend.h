/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_FRONTEND_H
#define UZRAM_FUSE_FRONTEND_H

#include <uzram/frontend.h>

/* The FUSE front end; only in builds with libfuse3. */
extern const struct uz_frontend_ops uz__fuse_frontend;

#endif
