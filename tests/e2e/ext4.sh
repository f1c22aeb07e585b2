#!/bin/bash
# SPDX-License-Identifier: MIT
#
# More than 1 GiB of /usr on ext4.

. "$(dirname "$0")/functions.sh" || exit 1
. "$(dirname "$0")/filesystem.sh" || exit 1

try_filesystem $((1100 << 20)) ext4 fsck.ext4 -fn
