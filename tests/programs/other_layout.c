// SPDX-License-Identifier: MIT
/* In place of src/device/super.c: that of a program with another layout. */
#include <device_priv.h>

#undef UZ__VERSION
#define UZ__VERSION 99

#include <super.c>
