#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory as a cache in front of a store: eight times as much is written as the
# limit lets memory hold, then four fifths of the reads and writes go to a fifth
# of it. Nothing is refused, the limit is kept, all reads right, also after the
# worker was killed; a store that is full refuses what does not fit and says so.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires python3

mib=128
limit=$((16 * 1048576))

write_all()
{
	dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
}

expect_data()
{
	dd if="$dev_block" of="$tmp/read" bs=1M count=$mib iflag=direct \
		status=none || fail "$1: it cannot be read"
	cmp "$tmp/data" "$tmp/read" >&2 || fail "$1: other data"
}

limit_was_kept()
{
	[ "$(mm_stat 5)" -le $((limit + limit / 100)) ] ||
		fail "$1: $(mm_stat 5) bytes were used, the limit is $limit"
}

# eighty_twenty OPERATIONS: on the device and on the file, which are then the
# same again.
eighty_twenty()
{
	python3 -u - "$dev_block" "$tmp/data" "$1" <<-'END' ||
		import mmap, os, random, sys, time

		seed = int(os.environ.get("UZ_SEED", time.time_ns()))
		print("seed", seed)
		rng = random.Random(seed)
		dev = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
		data = os.open(sys.argv[2], os.O_RDWR)
		pages = os.fstat(data).st_size // 4096
		page = mmap.mmap(-1, 4096)
		for _ in range(int(sys.argv[3])):
		    part = rng.random() < 0.8
		    at = rng.randrange(pages // 5) * 5 if part else rng.randrange(pages)
		    at *= 4096
		    if rng.random() < 0.5:
		        page[:] = rng.randbytes(2048) + b"%2048d" % rng.getrandbits(64)
		        os.pwritev(dev, [page], at)
		        os.pwrite(data, page, at)
		    else:
		        os.preadv(dev, [page], at)
		        if page[:] != os.pread(data, 4096, at):
		            sys.exit("page %d has other data" % (at // 4096))
	END
		fail '80/20'
}

# Three quarters text, one quarter noise: some 64 MiB compressed.
make_text $((mib * 786432)) "$tmp/data"
make_noise $((mib * 262144)) "$tmp/noise"
cat "$tmp/noise" >>"$tmp/data"
rm "$tmp/noise"

# ---- nothing is refused ----

truncate -s $((2 * mib))M "$tmp/store"
start_device cache -s ${mib}M -a lz4 -o mem_limit=$limit \
	-o "backing_dev=$tmp/store"
expect_equal "$(cat "$dev_dir/writeback_marks")" 90-95 'marks of a new device'
echo 1 >"$dev_dir/writeback_promote"
write_all
[ "$(stat_of shrunk_pages)" -gt 0 ] || fail 'nothing was written back'
expect_data 'after writing all of it'
eighty_twenty 20000
[ "$(stat_of read_back_pages)" -gt 0 ] || fail 'nothing was read back'
stat_of hit_rate | grep -qx '[0-9]*\.[0-9][0-9]' ||
	fail "hit_rate $(stat_of hit_rate)"
expect_data 'after 80/20'
limit_was_kept 'after 80/20'
expect_equal "$(stat_of failed_writes)" 0 'failed writes'
expect_equal "$(stat_of limit_rejections)" 0 'stores refused'
# Some may be leaving memory at this moment.
pages()
{
	awk '$1 == "stored_pages" || $1 == "backed_pages" { n += $2 }
		END { print n }' "$dev_dir/stat"
}
all_are_there()
{
	[ "$(pages)" = $((mib * 256)) ]
}
wait_until 60 all_are_there ||
	fail "$(pages) pages in memory and on the store, not $((mib * 256))"
if [ -x "$UZRAMCTL" ]; then
	"$UZRAMCTL" stat cache >"$tmp/said"
	grep -Eq '^To keep to the limit [0-9]+ pages were written back; [0-9.]+ % of ' \
		"$tmp/said" || fail "uzramctl stat: $(cat "$tmp/said")"
fi

# ---- killed while it makes room ----

for delay in 0.05 0.15; do
	write_all &
	writer=$!
	sleep $delay
	kill -KILL "$(worker_pid)"
	wait $writer || fail 'a write failed after a death'
	expect_data 'after a death'
done
expect_equal "$(stat_of restarts)" 2 restarts
limit_was_kept 'after deaths'

# ---- the marks ----

echo 40-50 >"$dev_dir/writeback_marks"
is_below_the_low_mark()
{
	[ "$(mm_stat 3)" -le $((limit * 2 / 5)) ]
}
wait_until 60 is_below_the_low_mark || fail "$(mm_stat 3) bytes are used"
expect_data 'below the low mark'
echo off >"$dev_dir/writeback_marks"
expect_errno ENOSPC/EIO write_all
echo 90-95 >"$dev_dir/writeback_marks"
write_all
expect_data 'on again'
stop_device cache
! grep 'no room below' "$tmp/cache.log" >&2 || fail 'there was room'

# ---- full ----

truncate -s 0 "$tmp/store"
truncate -s 4M "$tmp/store"
start_device full -s ${mib}M -a lz4 -o mem_limit=$limit \
	-o "backing_dev=$tmp/store"
expect_errno ENOSPC/EIO write_all
# Once, and once more if something small still fitted: not for each store.
lines=$(grep -c 'no room below mem_limit .* the backing store is full' \
	"$tmp/full.log" || true)
((lines >= 1 && lines <= 4)) || fail "$lines lines about the full store"
[ "$(stat_of limit_rejections)" -gt 0 ] || fail 'nothing was refused'
# What it took it has.
stored=$((8 * 1048576))
cmp -n $stored "$tmp/data" "$dev_block" >&2 || fail 'full: other data'
limit_was_kept 'full'
stop_device full
