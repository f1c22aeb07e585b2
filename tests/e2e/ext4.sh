#!/bin/bash
# SPDX-License-Identifier: MIT
#
# More than 1 GiB of /usr on ext4; a quarter of it over io_uring, by which the
# same file system sends the same requests.

. "$(dirname "$0")/functions.sh" || exit 1
. "$(dirname "$0")/filesystem.sh" || exit 1

bytes=$((1100 << 20))
[ "${UZ_TRANSPORT-}" != io_uring ] || bytes=$((bytes / 4))
try_filesystem $bytes ext4 fsck.ext4 -fn
