#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Processes that write different bytes of the same pages at the same time: no
# byte of any of them may be lost.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires python3

start_device sharing -s 1M -a lz4

cat >"$tmp/writer.py" <<'END'
import os
import sys

# Writer number ME of ALL owns every ALL-th piece of 61 bytes of the first
# eight pages, and writes its round's number there, round after round.
path, me, all_, rounds = sys.argv[1], *map(int, sys.argv[2:])
fd = os.open(path, os.O_RDWR)
piece = 61
for value in range(1, rounds + 1):
    for start in range(me * piece, 8 * 4096 - piece, all_ * piece):
        os.pwrite(fd, bytes([value]) * piece, start)
        seen = os.pread(fd, piece, start)
        if seen != bytes([value]) * piece:
            sys.exit(f'writer {me}: lost bytes at {start} in round {value}')
END

writers=4
rounds=30
pids=()
for ((i = 0; i < writers; i++)); do
	python3 "$tmp/writer.py" "$dev_block" $i $writers $rounds \
		2>"$tmp/writer$i.log" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail "a writer lost bytes"
done

# All but the tail that no piece covers.
covered=$(((8 * 4096 / 61 - 1) * 61))
expect_equal "$(head -c $covered "$dev_block" |
	tr -d "\\$(printf %o $rounds)" | wc -c)" 0 'bytes of an older round'
