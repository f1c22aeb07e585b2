// SPDX-License-Identifier: MIT
/*
 * The commit of this build: Meson compiles a copy with the tag filled in.
 */
#include "bench.h"

const char machine_commit[] = "@VCS_TAG@";
