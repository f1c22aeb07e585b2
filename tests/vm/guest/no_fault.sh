#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A ublk disk that the system swaps to: once it serves, none of its threads that
# serve requests allocates, maps or opens anything, or takes a page fault, be it
# for a store, a load or a discard; see e2e/no_fault.sh, which is the same for
# the block file.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1
. "$(dirname "$0")/disks.sh"
. "$(dirname "$0")/../../e2e/strict.sh"

# store: in the background, one page that does not repeat itself.
store()
{
	dd if="$UZRAMD" of="$disk" bs=4K count=1 oflag=direct conv=nocreat \
		status=none &
	storer=$!
}

seen()
{
	grep -q 'strict: uz-ublk-.* calls malloc' "$tmp/$1.log"
}

# ---- what is to be found is found ----

with_strict serve_disk plain -s 16M
strict 1
store
wait_until 60 seen plain ||
	fail 'a store without swap=on was not seen to allocate'
# Each worker would die of it.
strict 0
ends_within 100 $storer 'a store of which workers have died'
remove_disk plain

serve_disk faults -s 16M -o workers=0
pid=$(stat_of worker_pid)
before=$(serving_faults "$pid")
store
ends_within 60 $storer 'a store'
[ "$(serving_faults "$pid")" != "$before" ] ||
	fail 'a store without swap=on was not seen to fault'
remove_disk faults

# ---- nothing is found ----

# pages PERCENT: stored and loaded; so much of each is easily compressed.
pages()
{
	fio --name=pages --filename="$disk" --ioengine=libaio --direct=1 \
		--bssplit=4k/40:16k/30:128k/20:512k/10 --rw=randwrite \
		--offset="$(($1 * 192))k" --size=2m --iodepth=16 --randseed="$1" \
		--buffer_compress_percentage="$1" --buffer_compress_chunk=4k \
		--refill_buffers --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --allow_file_create=0 --minimal \
		>"$tmp/fio.log" 2>&1 || fail "fio: $(cat "$tmp/fio.log")"
}

# round NUMBER CODEC: true if no thread took a fault.
round()
{
	local name=swap$1 percent before after

	with_strict serve_disk "$name" -s 64M -o codec="$2" -o swap=on \
		-o reserve=16M
	pid=$(stat_of worker_pid)
	before=$(serving_faults "$pid")
	strict 1
	for percent in 0 13 31 47 64 82 99; do
		pages $percent
	done
	blkdiscard "$disk"
	strict 0
	after=$(serving_faults "$pid")
	expect_equal "$(stat_of worker_pid)" "$pid" 'the worker (see the log)'
	expect_equal "$(stat_of reserve_missed)" 0 \
		'stores that the reserve did not suffice for'
	remove_disk "$name"
	grep -q '^uz-ublk-' <<<"$before" || fail 'no threads of queues'
	no_more_faults "$2" "$before" "$after"
}

no_faults 3
