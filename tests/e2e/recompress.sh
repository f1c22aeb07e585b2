#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Recompression on real data, with requests beside it: memory shrinks, data
# stay, statistics can be read and other attributes written, and a signal to the
# writer, a reset and the end of the daemon end it.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires python3

pages=16384

# refused REASON ATTRIBUTE TEXT
refused()
{
	if (echo "$3" >"$dev_dir/$2") 2>/dev/null; then
		fail "$2 took '$3'"
	fi
	grep -q "^$2: .*$1" "$dev_dir/last_error" ||
		fail "$2 '$3': $(cat "$dev_dir/last_error")"
}

read_back()
{
	dd if="$dev_block" bs=1M count=$((pages / 256)) iflag=direct \
		status=none | sha256sum
}

fill()
{
	dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
}

start_device re -s 256M -a lz4
grep -q zstd "$dev_dir/comp_algorithm" || missing zstd 'no zstd in this build'

# ---- the attributes ----

refused 'no codec of priority 1' recompress type=idle
refused 'no value' recompress type
refused 'not idle, huge' recompress type=old
refused 'priority 5' recomp_algorithm 'algo=zstd priority=5'
refused 'no priority has' algorithm_params 'algo=lz4hc level=3'
expect_equal "$(cat "$dev_dir/recomp_algorithm")" '' 'recomp_algorithm'
echo 'algo=zstd priority=1' >"$dev_dir/recomp_algorithm"
echo 'algo=zstd level=6' >"$dev_dir/algorithm_params"
grep -q '^#1: .*\[zstd:level=6\] ' "$dev_dir/recomp_algorithm" ||
	fail "recomp_algorithm: $(cat "$dev_dir/recomp_algorithm")"

# ---- nothing idle, then all ----

python3 - $pages >"$tmp/data" <<'END'
import random, sys
random.seed(1)
words = [bytes(random.choices(b'abcdefghijklmnopqrstuvwxyz', k=random.randint(3, 9)))
         for _ in range(2000)]
for _ in range(int(sys.argv[1])):
    page = b' '.join(random.choices(words, k=800))[:4096]
    sys.stdout.buffer.write(page)
END
fill
sum=$(sha256sum <"$tmp/data")
expect_equal "$(read_back)" "$sum" 'before'
used=$(mm_stat 3)
echo type=idle >"$dev_dir/recompress"
expect_equal "$(stat_of recompressed)" 0 'recompressed without idle pages'
echo all >"$dev_dir/idle"
expect_equal "$(grep -c '\...i\.\.$' "$dev_dir/block_state")" $pages 'idle'
echo type=idle max_pages=100 >"$dev_dir/recompress"
expect_equal "$(stat_of recompressed)" 100 'recompressed, at most 100'
expect_equal "$(grep -c r "$dev_dir/block_state")" 100 'marked'
grep -q '^codec zstd:level=6: 100 pages ' "$dev_dir/debug_stat" ||
	fail "debug_stat: $(cat "$dev_dir/debug_stat")"
echo type=idle >"$dev_dir/recompress"
[ "$(stat_of recompressed)" -gt $((pages * 9 / 10)) ] ||
	fail "only $(stat_of recompressed) pages were recompressed"
# What others had hold of is given back a little later.
memory_shrinks()
{
	[ "$(mm_stat 3)" -lt $((used * 85 / 100)) ]
}
wait_until 60 memory_shrinks || fail "$(mm_stat 3) bytes used, $used before"
expect_equal "$(read_back)" "$sum" 'after'
expect_equal "$(grep -c i "$dev_dir/block_state")" 0 'idle after it was read'

# ---- by uzramctl ----

if [ -x "$UZRAMCTL" ]; then
	fill
	"$UZRAMCTL" idle re
	"$UZRAMCTL" recompress re type=idle max_pages=50 >"$tmp/said"
	# One that compaction was just moving may have stayed.
	grep -q '^re: \(4[0-9]\|50\) of 50 pages made smaller, .* saved$' "$tmp/said" ||
		fail "uzramctl recompress: $(cat "$tmp/said")"
	expect_fail_line 1 "type 'old' is not" \
		"$UZRAMCTL" recompress re type=old
	expect_fail_line 1 'idle: write' "$UZRAMCTL" idle re soon
	expect_fail_line 2 'usage: uzramctl idle' "$UZRAMCTL" idle
	expect_fail_line 2 'usage: uzramctl recompress' "$UZRAMCTL" recompress
	expect_fail_line 3 'no device nope' "$UZRAMCTL" recompress nope
fi

# ---- by age ----

echo 3600 >"$dev_dir/idle"
expect_equal "$(grep -c i "$dev_dir/block_state" || true)" 0 'idle by age'

# ---- beside requests ----

fill
python3 - "$dev_block" "$tmp/stop" $pages >"$tmp/verified" <<'END' &
import os, random, sys
fd = os.open(sys.argv[1], os.O_RDWR)
first, n = int(sys.argv[3]), 2000
random.seed(2)
content = {}
bad = done = 0
while not os.path.exists(sys.argv[2]):
    page = first + random.randrange(n)
    if page in content and random.random() < 0.5:
        bad += os.pread(fd, 4096, page * 4096) != content[page]
    else:
        data = (b'%d ' % random.getrandbits(60) * 400)[:4096]
        os.pwrite(fd, data, page * 4096)
        content[page] = data
    done += 1
for page, data in content.items():
    bad += os.pread(fd, 4096, page * 4096) != data
print(bad, done)
END
client=$!
# So slow that it cannot be done before it is looked at.
echo 'algo=zstd level=19' >"$dev_dir/algorithm_params"
exec 8>"$dev_dir/recompress"
(echo threshold=500 >"$dev_dir/recompress") 2>/dev/null &
writer=$!
running()
{
	[ "$(stat_of recompress_running)" = 1 ]
}
wait_until 60 running || fail 'it does not say that it is running'
[ -n "$(cat "$dev_dir/mm_stat")" ] || fail 'mm_stat is empty meanwhile'
echo 0 >"$dev_dir/mem_limit"
refused 'write' idle soon
running || fail 'other attributes had to wait for its end'
# A second one is refused, not kept waiting: also of who has the file open.
refused 'recompressed already' recompress type=idle
if { echo type=idle >&8; } 2>/dev/null; then
	fail 'a second one was taken from who has the file open'
fi
exec 8>&-
running || fail 'a second one had to wait for its end'

# ---- and its ends ----

# The writer is killed.
kill -9 $writer
not_running()
{
	[ "$(stat_of recompress_running)" = 0 ]
}
wait_until 60 not_running || fail 'it goes on without its writer'
if { wait $writer; } 2>/dev/null; then
	fail 'the writer was told that all is well'
fi
echo 'algo=zstd level=1' >"$dev_dir/algorithm_params"
echo threshold=500 max_pages=4000 >"$dev_dir/recompress"
touch "$tmp/stop"
wait $client
read -r bad requests <"$tmp/verified"
expect_equal "$bad" 0 "wrong pages of $requests requests"
expect_equal "$(read_back)" "$sum" 'beside requests'

# A reset.
fill
echo 'algo=zstd level=19' >"$dev_dir/algorithm_params"
(echo priority=1 >"$dev_dir/recompress") 2>/dev/null &
writer=$!
wait_until 60 running || fail 'it does not say that it is running'
echo 1 >"$dev_dir/reset"
if wait $writer; then
	fail 'a reset did not end it'
fi
expect_equal "$(cat "$dev_dir/recomp_algorithm")" '' 'after a reset'

# The daemon's end.
echo 256M >"$dev_dir/disksize"
echo 'algo=zstd:level=19' >"$dev_dir/recomp_algorithm"
fill
(echo priority=1 >"$dev_dir/recompress") 2>/dev/null &
writer=$!
wait_until 60 running || fail 'it does not say that it is running'
stop_device re
if wait $writer; then
	fail 'the end of the daemon did not end it'
fi
