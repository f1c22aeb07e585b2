#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device that the system swaps to: once it serves, none of its threads that
# serve requests allocates, maps or opens anything, or takes a page fault, be
# it for a store, a load or a discard. strict.c ends a worker that does the
# first; the kernel counts the last.

. "${0%/*}/functions.sh"
requires_fuse
requires python3

. "${0%/*}/strict.sh"

# What is to be found is found: an ordinary device does all of it.
with_strict start_device plain -s 16M
strict 1
dd if="$UZRAMD" of="$dev_block" bs=4K count=1 oflag=direct conv=notrunc \
	2>/dev/null || :
grep -q 'strict: .* calls malloc' "$tmp/plain.log" ||
	fail 'a store without swap=on was not seen to allocate'
start_device faults -s 16M -o workers=0
pid=$(worker_pid)
before=$(serving_faults "$pid")
dd if="$UZRAMD" of="$dev_block" bs=64K count=8 oflag=direct conv=notrunc \
	status=none
[ "$(serving_faults "$pid")" != "$before" ] ||
	fail 'a store without swap=on was not seen to fault'

# Pages of every size class: noise of any length, text, and what repeats.
cat >"$tmp/work.py" <<'END'
import mmap, os, random, sys
path, size = sys.argv[1], int(sys.argv[2])
random.seed(1)
fd = os.open(path, os.O_RDWR | os.O_DIRECT)
buf = mmap.mmap(-1, 1 << 20)
zero = bytes(4096)
def page(i):
    if i % 16 == 0:
        return zero
    noise = random.randbytes(random.randrange(4097))
    return (noise + (b'%d ' % i) * 4096)[:4096]
want = {}
for at in range(0, size, 1 << 20):
    length = random.choice([4096, 16384, 131072, 1 << 20])
    for off in range(0, length, 4096):
        buf[off:off + 4096] = want[at + off] = page((at + off) >> 12)
    assert os.pwrite(fd, memoryview(buf)[:length], at) == length
for at in range(0, size, 1 << 20):
    os.preadv(fd, [buf], at)
    for off in range(0, 1 << 20, 4096):
        if buf[off:off + 4096] != want.get(at + off, zero):
            sys.exit('page at %d differs' % (at + off))
END

# round NUMBER CODEC: true if no thread took a fault.
round()
{
	local name=swap$1 before after

	with_strict start_device "$name" -s 256M -o codec="$2" -o swap=on \
		-o reserve=32M
	# It has opened and closed a file before, and knows its sizes.
	python3 "$tmp/work.py" "$dev_block" 0
	pid=$(worker_pid)
	before=$(serving_faults "$pid")
	strict 1
	python3 "$tmp/work.py" "$dev_block" $((128 << 20)) ||
		fail 'what was stored does not come back'
	fallocate -p -o 0 -l $((128 << 20)) "$dev_block"
	strict 0
	after=$(serving_faults "$pid")
	expect_equal "$(worker_pid)" "$pid" 'the worker (see the log)'
	expect_equal "$(stat_of reserve_missed)" 0 \
		'stores that the reserve did not suffice for'
	stop_device "$name"
	[ -n "$before" ] || fail 'no threads that serve requests'
	no_more_faults "$2" "$before" "$after"
}

no_faults 5
