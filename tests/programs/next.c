// SPDX-License-Identifier: MIT
/* uzramd, as if it were another version of itself. */
#include "config.h"

#undef UZ_VERSION
#define UZ_VERSION "99.0-next"

#include <uzramd.c>
