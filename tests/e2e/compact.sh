#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nine of ten pages are discarded at random: compaction gives back what lies
# between the rest, at once when it is asked for and by itself otherwise, and
# leaves the data as they are.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires python3

pages=65536

# discard DEVICE SEED: nine of ten pages, at random. Prints those that stay.
discard()
{
	python3 - "$1" "$2" $pages <<'END'
import ctypes, os, random, sys

libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDWR)
random.seed(int(sys.argv[2]))
for page in range(int(sys.argv[3])):
    if random.random() < 0.1:
        print(page)
    elif libc.fallocate(fd, 3, ctypes.c_long(page * 4096), ctypes.c_long(4096)):
        sys.exit(f'discard: {os.strerror(ctypes.get_errno())}')
END
}

# checksum LIST: of the pages that it names.
checksum()
{
	python3 - "$dev_block" "$1" <<'END'
import hashlib, os, sys

fd = os.open(sys.argv[1], os.O_RDONLY)
digest = hashlib.sha256()
for line in open(sys.argv[2], encoding='ascii'):
    digest.update(os.pread(fd, 4096, int(line) * 4096))
print(digest.hexdigest())
END
}

# Bytes that the daemon's arena takes, by the kernel's count.
arena()
{
	local fd

	for fd in "/proc/$dev_pid/fd"/*; do
		case $(readlink "$fd") in
		"/memfd:uzram-arena "*)
			echo $(($(stat -L -c %b "$fd") * 512))
			return
			;;
		esac
	done
	fail 'the daemon has no arena'
}

# Each object is its bytes, four more, and up to its class's size.
arena_is_compact()
{
	local live

	live=$(($(mm_stat 2) + $(wc -l <"$tmp/stay") * 20))
	[ "$(arena)" -le $((live * 105 / 100 + 1048576)) ]
}

# sums: pool_stat's add up, and to mm_stat's.
sums()
{
	awk -v used="$(mm_stat 3)" '
		NR == 1 { n = NF; next }
		NF != n { print "line " NR " has " NF " columns"; exit }
		$1 == "Total" {
			for (i = 3; i <= NF; i++)
				if ($i != "-" && $i != sum[i])
					print "column " i ": " $i " is not " sum[i]
			if ($16 * 4096 != used)
				print $16 " pages, but mm_stat says " used
			total = 1
			next
		}
		{ for (i = 3; i <= NF; i++) sum[i] += $i }
		END { if (!total) print "no total" }' "$dev_dir/pool_stat"
}

sums_are_right()
{
	[ -z "$(sums)" ]
}

# expect_sums WHEN: as soon as what is populated ahead went back.
expect_sums()
{
	wait_until 60 sums_are_right || fail "pool_stat $1: $(sums)"
}

# fill SEED: half text, half noise, page by page; then discard.
fill()
{
	make_text $((pages * 2048)) "$tmp/text"
	make_noise $((pages * 2048)) "$tmp/noise"
	dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
	dd if="$tmp/noise" of="$dev_block" bs=1M seek=$((pages / 512)) \
		conv=notrunc oflag=direct status=none
	expect_sums 'when full'
	discard "$dev_block" "$1" >"$tmp/stay"
	checksum "$tmp/stay" >"$tmp/before"
}

seed=${UZ_SEED:-$RANDOM}
echo "seed $seed (UZ_SEED repeats it)"

# ---- when asked ----

start_device asked -s 512M -a lz4 -o compaction=off
fill "$seed"
if arena_is_compact; then
	fail "nothing to compact: the arena takes $(arena) bytes"
fi
loose=$(arena)
echo 1 >"$dev_dir/compact"
wait_until 60 arena_is_compact ||
	fail "the arena takes $(arena) bytes, $loose before, for $(mm_stat 2)"
[ "$(mm_stat 7)" -gt 0 ] || fail 'pages_compacted is 0'
# Empty memory that was kept for reuse goes back, too, but was never moved.
[ $(($(mm_stat 7) * 4096 + 2097152)) -ge $((loose - $(arena))) ] ||
	fail "pages_compacted $(mm_stat 7): from $loose to $(arena) bytes"
expect_sums 'when compacted'
checksum "$tmp/stay" >"$tmp/after"
expect_same "$tmp/before" "$tmp/after"

# The same by uzramctl, which says what was gained; and nothing twice.
if [ -x "$UZRAMCTL" ]; then
	discard "$dev_block" $((seed + 1)) >"$tmp/stay"
	compacted=$(mm_stat 7)
	"$UZRAMCTL" compact asked >"$tmp/said"
	grep -q "^asked: $(($(mm_stat 7) - compacted)) pages (.*) given back, " \
		"$tmp/said" || fail "uzramctl compact: $(cat "$tmp/said")"
	"$UZRAMCTL" compact asked >"$tmp/said"
	grep -q '^asked: 0 pages (0 bytes) given back, 0 objects moved, ' \
		"$tmp/said" || fail "uzramctl compact again: $(cat "$tmp/said")"
	expect_fail_line 3 'no device nope' "$UZRAMCTL" compact nope
	expect_fail_line 2 'usage: uzramctl compact' "$UZRAMCTL" compact
	is_reset()
	{
		echo 1 2>/dev/null >"$dev_dir/reset"
	}
	wait_until 60 is_reset || fail "reset: $(cat "$dev_dir/last_error")"
	expect_fail_line 1 'asked: compact: the device has no size' \
		"$UZRAMCTL" compact asked
fi
stop_device asked

# ---- by itself ----

# How often the thread that compacts was awake.
awakenings()
{
	local task

	for task in "/proc/$(worker_pid)/task"/*; do
		[ "$(cat "$task/comm")" != uz-compactor ] ||
			awk '/^voluntary/ { print $2 }' "$task/status"
	done
}

start_device itself -s 512M -a lz4
make_text 16777216 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
[ -n "$(awakenings)" ] || fail 'there is no thread that compacts'
# On a busy machine it may not have come to its sleep yet.
sleeps()
{
	local awake

	awake=$(awakenings)
	sleep 1
	[ "$(awakenings)" = "$awake" ]
}
wait_until 60 sleeps || fail 'it wakes up without notice'
fill "$seed"
moved()
{
	[ "$(awk '$1 == "objects_moved" { print $2 }' "$dev_dir/stat")" -gt 0 ]
}
wait_until 60 moved || fail 'nothing is compacted without being asked'
# It stops at a threshold, not at the end: at most a fifth is lost.
arena_is_tolerable()
{
	[ "$(arena)" -le $(($(mm_stat 2) * 125 / 100 + 4194304)) ]
}
wait_until 60 arena_is_tolerable ||
	fail "in the background: $(arena) bytes for $(mm_stat 2)"
checksum "$tmp/stay" >"$tmp/after"
expect_same "$tmp/before" "$tmp/after"
