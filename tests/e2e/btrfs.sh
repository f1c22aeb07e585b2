#!/bin/bash
# SPDX-License-Identifier: MIT
#
# 300 MB of /usr on btrfs, whose own checksums are asked as well.

. "$(dirname "$0")/functions.sh" || exit 1
. "$(dirname "$0")/filesystem.sh" || exit 1

try_filesystem 300000000 btrfs btrfs check
btrfs scrub start -B "$fs_dir" >"$tmp/scrub.log" 2>&1 ||
	fail "btrfs scrub: $(cat "$tmp/scrub.log")"
grep -q 'no errors found' "$tmp/scrub.log" ||
	fail "btrfs scrub: $(cat "$tmp/scrub.log")"
