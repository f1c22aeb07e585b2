#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Dictionaries made of what a device holds: what is stored next takes less,
# nobody notices that pages were read, a worker that is killed in the middle
# costs nothing, nor does a client, and where there is nothing to be gained that
# is said.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires python3

pages=4096

fill()
{
	dd if="$1" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
}

holds()
{
	cmp -n $((pages * 4096)) "$1" "$dev_block" >&2 ||
		fail "pages are not what was stored ($2)"
}

# refused REASON ARGUMENTS...
refused()
{
	local reason=$1

	shift
	if "$UZRAMCTL" train "$@" >"$tmp/out" 2>&1; then
		fail "train $* was not refused: $(cat "$tmp/out")"
	fi
	[ "$(wc -l <"$tmp/out")" = 1 ] || fail "not a line: $(cat "$tmp/out")"
	grep -q "$reason" "$tmp/out" ||
		fail "train $*: $(cat "$tmp/out"), and not: $reason"
}

# Lines of bytes that many pages have, each page but once.
python3 - "$tmp" $pages <<'END'
import random, sys
random.seed(1)
lines = [random.randbytes(120) for _ in range(300)]
with open(f'{sys.argv[1]}/data', 'wb') as out:
    for n in range(int(sys.argv[2])):
        page = b''.join(random.sample(lines, 32)) + random.randbytes(252)
        out.write(page + n.to_bytes(4, 'little'))
with open(f'{sys.argv[1]}/noise', 'wb') as out:
    out.write(random.randbytes(int(sys.argv[2]) * 4096))
END

start_device tr -s 64M -a lz4
grep -q zstd "$dev_dir/comp_algorithm" || missing zstd 'no zstd in this build'

# ---- what is refused ----

refused '0 pages to learn from are too few' tr
fill "$tmp/noise"
refused 'nothing' --size 16K tr
refused "no priority has the codec 'zstd'" --algo zstd tr
refused 'is not a size' --size much tr
refused 'too small for lz4' --size 100 tr
refused 'too large for lz4: use 1024 to 65536' --size 1M tr
refused 'usage: uzramctl train' tr tr
expect_equal "$(cat "$dev_dir/train")" 'state none' 'after refusals'
grep -q '\[lz4\]' "$dev_dir/comp_algorithm" ||
	fail "comp_algorithm: $(cat "$dev_dir/comp_algorithm")"

# ---- what is gained, by each codec that can ----

for codec in lz4 lz4hc zstd; do
	echo $codec >"$dev_dir/comp_algorithm"
	fill "$tmp/data"
	without=$(mm_stat 2)
	echo all >"$dev_dir/idle"
	"$UZRAMCTL" train --size 32K tr >"$tmp/out" || fail "$codec"
	cat "$tmp/out" >&2
	grep -q "^tr: $codec:dict=[0-9a-f]*: a dictionary of .* KiB, made of \
[0-9]* of [0-9]* pages; [0-9]* others take [0-9.]* % less with it\$" \
		"$tmp/out" || fail "$codec: $(cat "$tmp/out")"
	grep -q "\[$codec:dict=[0-9a-f]*\]" "$dev_dir/comp_algorithm" ||
		fail "comp_algorithm: $(cat "$dev_dir/comp_algorithm")"
	grep -q '^state trained' "$dev_dir/train" ||
		fail "train: $(cat "$dev_dir/train")"
	# It is as if nobody had read them.
	cat "$dev_dir/block_state" >"$tmp/states"
	! grep -v 'i[.r][.n]$' "$tmp/states" || fail 'pages are not idle any more'
	expect_equal "$(mm_stat 2)" "$without" 'what is stored already'
	holds "$tmp/data" "$codec, stored before"
	fill "$tmp/data"
	[ "$(mm_stat 2)" -lt $((without * 8 / 10)) ] ||
		fail "$codec gains too little: $(mm_stat 2) of $without"
	holds "$tmp/data" "$codec"
done

# ---- a codec for recompression ----

echo lz4 >"$dev_dir/comp_algorithm"
fill "$tmp/data"
before=$(mm_stat 2)
echo 'algo=zstd priority=1' >"$dev_dir/recomp_algorithm"
"$UZRAMCTL" train --algo zstd tr >&2
grep -q '^#1: .*\[zstd:dict=[0-9a-f]*\]' "$dev_dir/recomp_algorithm" ||
	fail "recomp_algorithm: $(cat "$dev_dir/recomp_algorithm")"
"$UZRAMCTL" recompress tr >&2
[ "$(mm_stat 2)" -lt $((before * 8 / 10)) ] ||
	fail 'recompression gains too little'
holds "$tmp/data" recompressed

# ---- workers killed in the middle ----

for ((i = 1; i <= 5; i++)); do
	echo lz4hc >"$dev_dir/comp_algorithm"
	"$UZRAMCTL" train tr >"$tmp/out" 2>&1 &
	pid=$!
	sleep 0.0$((i * 2 - 1))
	worker=$(worker_pid)
	kill -KILL "$worker"
	wait_until 60 pid_gone "$worker"
	# The next worker does it, or it fails with a line.
	wait "$pid" || echo "round $i: $(cat "$tmp/out")" >&2
	grep -q '\[lz4hc\(:dict=[0-9a-f]*\)\?\]' "$dev_dir/comp_algorithm" ||
		fail "comp_algorithm: $(cat "$dev_dir/comp_algorithm")"
	holds "$tmp/data" "death $i"
	fill "$tmp/data"
	holds "$tmp/data" "stored after death $i"
done
"$UZRAMCTL" scrub tr >&2

# ---- a client that is ended in the middle ----

is_training()
{
	grep -q '^state running' "$dev_dir/train"
}

rests()
{
	! is_training
}

# Its training may be ready before the device hears of that; whether or not, it
# ends, and another one may begin.
"$UZRAMCTL" train tr >"$tmp/out" 2>&1 &
pid=$!
until is_training || pid_gone "$pid"; do :; done
# Not SIGINT: what a script starts in the background ignores it.
kill -TERM "$pid" 2>/dev/null || true
wait "$pid" || true
wait_until 60 rests || fail 'training goes on without its client'
"$UZRAMCTL" train tr >&2
holds "$tmp/data" 'after a client was ended'
stop_device tr
