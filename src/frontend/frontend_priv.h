/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FRONTEND_PRIV_H
#define UZRAM_FRONTEND_PRIV_H

#include <uzram/frontend.h>

/* fuse/fuse.c; only in builds with libfuse3 */
extern const struct uz_frontend_ops uz__frontend_fuse;

#endif
