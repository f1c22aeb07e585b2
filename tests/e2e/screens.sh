#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The screens in uzramctl(8) are what a device of that kind gives.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires python3

start_device scratch -s 8G -a lz4 -o mem_limit=2G -o compaction=off \
	-o transport=fuse -t 2
make_text $((48 << 20)) "$tmp/text"
make_noise $((8 << 20)) "$tmp/noise"
head -c $((8 << 20)) /dev/zero | tr '\0' x >"$tmp/same"
cat "$tmp/text" "$tmp/noise" "$tmp/same" |
	dd of="$dev_block" bs=1M iflag=fullblock conv=notrunc status=none

# Whether a dead worker is replaced is the kernel's to say.
sed 's/^When the worker dies, .*/.../' "$source_root/man/uzramctl.8" >"$tmp/page"
count=$(python3 "$here/screens.py" "$UZRAMCTL" "$tmp/page")
expect_equal "$count" 4 'screens in uzramctl(8)'

# A page that has become false is found out.
sed -i 's/^13 % of the pages do not compress/& well/' "$tmp/page"
! python3 "$here/screens.py" "$UZRAMCTL" "$tmp/page" >"$tmp/out" 2>"$tmp/err" ||
	fail 'a false screen was believed'
grep -q 'uzramctl stat scratch prints' "$tmp/err" || fail "$(cat "$tmp/err")"
