#!/bin/bash
# SPDX-License-Identifier: MIT
#
# 300 MB of /usr on XFS.

. "$(dirname "$0")/functions.sh" || exit 1
. "$(dirname "$0")/filesystem.sh" || exit 1

try_filesystem 300000000 xfs xfs_repair -n
