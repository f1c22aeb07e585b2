#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Dictionaries from files: what is stored takes less memory, another one may
# follow while pages need the one before, workers that are killed and a save
# and a restore lose none, and what cannot be one is refused and named.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires python3

pages=2048

# refused REASON TEXT
refused()
{
	if (echo "$2" >"$dev_dir/algorithm_params") 2>/dev/null; then
		fail "algorithm_params took '$2'"
	fi
	grep -q "^algorithm_params: .*$1" "$dev_dir/last_error" ||
		fail "'$2': $(cat "$dev_dir/last_error")"
}

# fill FILE PAGE
fill()
{
	dd if="$1" of="$dev_block" bs=4k count=$pages seek="$2" conv=notrunc \
		oflag=direct status=none
}

# holds FILE PAGE
holds()
{
	cmp -n $((pages * 4096)) -i "0:$(($2 * 4096))" "$1" "$dev_block" >&2 ||
		fail "pages from $2 on are not what was stored ($3)"
}

# Two languages, so to speak: words of one file are none of the other.
python3 - "$tmp" $pages <<'END'
import random, sys
for kind in (1, 2):
    random.seed(kind)
    words = [bytes(random.choices(range(97, 123), k=random.randint(5, 14)))
             for _ in range(800)]
    def text(size):
        return b' '.join(random.choices(words, k=size // 5))[:size]
    with open(f'{sys.argv[1]}/data{kind}', 'wb') as out:
        for _ in range(int(sys.argv[2])):
            out.write(text(4096))
    with open(f'{sys.argv[1]}/dict{kind}', 'wb') as out:
        out.write(text(30000))
END

start_device di -s 64M -a lz4
grep -q zstd "$dev_dir/comp_algorithm" || missing zstd 'no zstd in this build'

# ---- less memory, by each codec that can ----

for codec in lz4 lz4hc zstd; do
	echo $codec >"$dev_dir/comp_algorithm"
	fill "$tmp/data1" 0
	without=$(mm_stat 2)
	echo "algo=$codec dict=$tmp/dict1" >"$dev_dir/algorithm_params"
	grep -q "\[$codec:dict=[0-9a-f]*\]" "$dev_dir/comp_algorithm" ||
		fail "comp_algorithm: $(cat "$dev_dir/comp_algorithm")"
	fill "$tmp/data1" 0
	echo "$codec: $without bytes, with a dictionary $(mm_stat 2)"
	[ "$(mm_stat 2)" -lt $((without * 9 / 10)) ] ||
		fail "$codec gains nothing"
	holds "$tmp/data1" 0 $codec
done

# ---- another one, and pages of both, through deaths ----

echo "priority=0 level=6 dict=$tmp/dict2" >"$dev_dir/algorithm_params"
fill "$tmp/data2" $pages
grep -q '^codec zstd:level=6,dict=[0-9a-f]*: ' "$dev_dir/debug_stat" ||
	fail "debug_stat: $(cat "$dev_dir/debug_stat")"
grep -q '^codec zstd:dict=[0-9a-f]*: ' "$dev_dir/debug_stat" ||
	fail "debug_stat: $(cat "$dev_dir/debug_stat")"
rm "$tmp/dict1"
algorithm=$(cat "$dev_dir/comp_algorithm")
for ((i = 0; i < 3; i++)); do
	worker=$(worker_pid)
	kill -KILL "$worker"
	wait_until 60 pid_gone "$worker" || fail "death $i: it lives"
	holds "$tmp/data1" 0 "death $i"
	holds "$tmp/data2" $pages "death $i"
	expect_equal "$(cat "$dev_dir/comp_algorithm")" "$algorithm" codec
	fill "$tmp/data2" $((2 * pages))
	holds "$tmp/data2" $((2 * pages)) "stored after death $i"
done
"$UZRAMCTL" scrub di >&2

# ---- recompression by one ----

echo lz4 >"$dev_dir/comp_algorithm"
fill "$tmp/data2" 0
before=$(mm_stat 2)
echo 'algo=lz4hc priority=1' >"$dev_dir/recomp_algorithm"
echo "algo=lz4hc dict=$tmp/dict2" >"$dev_dir/algorithm_params"
echo all >"$dev_dir/idle"
echo type=idle priority=1 >"$dev_dir/recompress"
[ "$(mm_stat 2)" -lt "$before" ] || fail 'recompression gains nothing'
holds "$tmp/data2" 0 recompressed

# ---- into a file and back ----

"$UZRAMCTL" save di "$tmp/image" >&2
block=$dev_block
start_device copy --restore "$tmp/image"
expect_same "$block" "$dev_block"
kill -KILL "$(worker_pid)"
expect_same "$block" "$dev_block"
"$UZRAMCTL" scrub copy >&2
stop_device copy
dev_dir=$UZRAM_RUNDIR/di
dev_block=$dev_dir/block

# ---- from the start, as a configuration says ----

# chosen ATTRIBUTE PATTERN
chosen()
{
	grep -q "$2" "$dev_dir/$1" || fail "$1: $(cat "$dev_dir/$1")"
}

conf=$UZRAM_CONFIG_ROOT/etc/uzram.conf
mkdir -p "${conf%/*}"
cat >"$conf" <<-END
	[said]
	size = 16M
	compression-algorithm = lz4(dict=$tmp/dict2) zstd(level=6,dictionary=$tmp/dict2)
END
"$UZRAMCTL" check-config >&2
start_device said
chosen comp_algorithm '\[lz4:dict=[0-9a-f]*\]'
chosen recomp_algorithm '^#1: .*\[zstd:level=6,dict=[0-9a-f]*\]'
fill "$tmp/data2" 0
holds "$tmp/data2" 0 'by a file'
# The command line is stronger.
stop_device said
start_device said -a "zstd:dict=$tmp/dict2"
chosen comp_algorithm '\[zstd:dict=[0-9a-f]*\]'
expect_equal "$(cat "$dev_dir/recomp_algorithm")" '' 'recomp_algorithm'
stop_device said
start_device said --restore "$tmp/image" -s 64M -a "lz4hc:dict=$tmp/dict2"
chosen comp_algorithm '\[lz4hc:dict=[0-9a-f]*\]'
expect_same "$block" "$dev_block"
stop_device said
"$UZRAMCTL" add -a zstd -p "level=6 dict=$tmp/dict2" said >&2
on_exit "$UZRAMCTL" remove --force said
chosen comp_algorithm '\[zstd:level=6,dict=[0-9a-f]*\]'
"$UZRAMCTL" remove said

# What is wrong is said before anything starts, but for what is in the file.
for wrong in 'zstd(dict=dict2)' 'store:dict=/dict' 'zstd(level=3' \
	'lz4 (type=idle)' 'lz4 lz4 lz4 lz4 lz4'; do
	printf '[said]\ncodec = %s\n' "$wrong" >"$conf"
	! "$UZRAMCTL" check-config >"$tmp/out" || fail "'$wrong' is no mistake"
	expect_equal "$(grep -c '/uzram.conf:2: ' "$tmp/out")" 1 "$wrong"
done
rm "$conf"
for program in "$UZRAMD" "$UZRAMCTL add"; do
	# shellcheck disable=SC2086 # a program and its verb
	expect_fail_line 1 "cannot read the dictionary $tmp/none: No such file" \
		timeout 60 $program -s 16M -a "lz4:dict=$tmp/none" said
done
dev_dir=$UZRAM_RUNDIR/di
dev_block=$dev_dir/block

# ---- what is refused ----

algorithm=$(cat "$dev_dir/comp_algorithm")
refused "$tmp/none: No such file" "dict=$tmp/none"
refused 'no regular file' "dict=$tmp"
refused 'no regular file' 'dict=/dev/zero'
refused "does not begin with '/'" 'dict=dict2'
refused 'no value' 'dict='
printf 'x' >"$tmp/small"
refused 'has 1 bytes: it must have 8 to 1048576' "dict=$tmp/small"
truncate -s 1048577 "$tmp/large"
refused 'has 1048577 bytes' "dict=$tmp/large"
expect_equal "$(cat "$dev_dir/comp_algorithm")" "$algorithm" 'after refusals'
printf '\067\244\060\354 and nothing more' >"$tmp/broken"
echo zstd >"$dev_dir/comp_algorithm"
refused 'for zstd is damaged' "dict=$tmp/broken"
echo store >"$dev_dir/comp_algorithm"
refused 'store has no use for dictionaries' "dict=$tmp/dict2"
(echo zstd:dict=1 >"$dev_dir/comp_algorithm") 2>/dev/null &&
	fail 'it has a dictionary that nobody gave it'
grep -q 'no dictionary 1 for zstd' "$dev_dir/last_error" ||
	fail "last_error: $(cat "$dev_dir/last_error")"
holds "$tmp/data2" 0 'after refusals'
