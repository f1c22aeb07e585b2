// SPDX-License-Identifier: MIT
/* The same memory on a system from before Linux 5.14. */
#define UZ_TEST_TOUCH
#include "test_util_shm.c"
