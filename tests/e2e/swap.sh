#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Swap: memory that was put out to a device made by swapon comes back as it was;
# what is not swap space is not made so.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires_loop
requires mkswap unshare
requires python3
requires_root

# Called by name when the test ends.
# shellcheck disable=SC2317
end_swap()
{
	"$UZRAMCTL" swapoff "$1" 2>/dev/null || :
}

swaps_to()
{
	grep -q "^$1 " /proc/swaps
}

start_device swap -s 256M -a lz4 -o swap=on
# What this machine does not refuse; the rest was told.
has=$("$UZRAMCTL" get swap stat | awk '$1 == "protection" { print $2 }')
for protection in io_flusher locked oom noswap realtime; do
	if [[ ,$has, != *,$protection,* ]]; then
		grep -q "swap: no $protection (" "$tmp/swap.log" ||
			fail "no word of $protection: has $has"
	fi
done
[[ ,$has, == *,locked,* ]] || fail "memory is not locked: $has"
worker=$("$UZRAMCTL" get swap stat | awk '$1 == "worker_pid" { print $2 }')
for pid in "$worker" "$(cat "$dev_dir/pid")"; do
	locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$pid/status")
	[ "$locked" -gt 0 ] || fail "process $pid has locked nothing"
done
on_exit end_swap swap
loop=$("$UZRAMCTL" swapon swap -p 100 2>"$tmp/err")
expect_equal "$(cat "$tmp/err")" '' 'said of a device with swap=on'
swaps_to "$loop" || fail "no swap on '$loop'"
expect_equal "$(awk -v dev="$loop" '$1 == dev { print $5 }' /proc/swaps)" 100 \
	priority
expect_equal "$(losetup -nO DIO,LOG-SEC "$loop" | xargs)" '1 4096' 'the loop device'
expect_fail_line 4 "$loop (swap)" "$UZRAMCTL" swapon swap
expect_fail_line 4 "$loop (swap)" "$UZRAMCTL" remove swap

# Written out and read back, twice.
cat >"$tmp/pageout.py" <<'END'
import mmap, random, sys
MADV_PAGEOUT = 21
size = 96 << 20
pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
def page(i, r):
    random.seed(i * 7 + r)
    return (b'%016d' % (i * 31 + r) + random.randbytes(16)) * 128
for r in range(2):
    for i in range(size >> 12):
        pages[i << 12:(i + 1) << 12] = page(i, r)
    pages.madvise(MADV_PAGEOUT)
    for i in range(size >> 12):
        if pages[i << 12:(i + 1) << 12] != page(i, r):
            sys.exit('page %d of round %d differs' % (i, r))
END
timeout 200 python3 "$tmp/pageout.py" || fail 'what was swapped out differs'
swapped_out()
{
	out=$("$UZRAMCTL" get swap stat |
		awk '$1 == "bytes_written" { print $2 }')
	[ "$out" -ge $((96 << 20)) ]
}
wait_until 60 swapped_out || fail "only $out bytes were swapped out"

# What is not needed any more was discarded.
"$UZRAMCTL" swapoff swap 2>"$tmp/err"
expect_equal "$(cat "$tmp/err")" '' 'said where there is room'
! swaps_to "$loop" || fail 'it still swaps'
wait_until 60 eval "! losetup -n '$loop' 2>/dev/null | grep -q ." ||
	fail "$loop stays"
expect_fail_line 3 'nothing swaps to it' "$UZRAMCTL" swapoff swap

# It is swap space now, and may be used again as it is. Where what comes back
# will not fit, that is said: in a /proc of which two files are ours.
loop=$("$UZRAMCTL" swapon swap)
awk '$1 ~ /^(MemAvailable|SwapCached|SwapFree):$/ { $2 = 1024 } { print }' \
	/proc/meminfo >"$tmp/meminfo"
awk -v dev="$loop" '$1 == dev { $4 = 7168 } { print }' /proc/swaps >"$tmp/swaps"
# shellcheck disable=SC2016 # words of the other shell
unshare -m bash -c 'for file in meminfo swaps; do
		mount --bind "$1/$file" "/proc/$file" || exit
	done
	"$2" swapoff swap' bash "$tmp" "$UZRAMCTL" 2>"$tmp/err" ||
	fail "swapoff: $(cat "$tmp/err")"
grep -q "^uzramctl: $loop: 6 MiB are to come back to memory, where 1 MiB" \
	"$tmp/err" || fail "no word of memory: $(cat "$tmp/err")"
! swaps_to "$loop" || fail 'it still swaps'

# Anything else is not overwritten.
dd if="$UZRAMD" of="$dev_block" bs=64K count=4 conv=notrunc oflag=direct \
	status=none
expect_fail_line 4 'holds something that is not swap' "$UZRAMCTL" swapon swap
cmp -n $((256 << 10)) "$UZRAMD" "$dev_block" || fail 'it was overwritten'
"$UZRAMCTL" swapon --force swap >/dev/null
"$UZRAMCTL" swapoff swap
expect_fail_line 2 'a priority is 0 to' "$UZRAMCTL" swapon -p high swap
"$UZRAMCTL" reset swap
expect_fail_line 1 'swap has no size' "$UZRAMCTL" swapon swap

# A device that nothing protects is swapped to, but not without a word.
start_device bare -s 16M
on_exit end_swap bare
loop=$("$UZRAMCTL" swapon bare 2>"$tmp/err")
swaps_to "$loop" || fail "no swap on '$loop'"
expect_equal "$(wc -l <"$tmp/err")" 1 'lines of warning'
grep -q '^uzramctl: bare: .*; add the device with -o swap=on$' "$tmp/err" ||
	fail "no warning: $(cat "$tmp/err")"
"$UZRAMCTL" swapoff bare

# Root that has a limit to what it may lock goes without, rather than not at all.
if [ -n "$(type -P setpriv)" ]; then
	printf '#!/bin/bash\nulimit -l 8192\nexec %s %s "$@"\n' \
		'setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock' \
		"$UZRAMD" >"$tmp/limited"
	chmod +x "$tmp/limited"
	UZRAMD=$tmp/limited start_device limited -s 16M -o swap=on
	grep -q 'swap: no locked (' "$tmp/limited.log" ||
		fail "no word of the limit: $(cat "$tmp/limited.log")"
	! grep '^protection .*locked' "$dev_dir/stat" || fail 'it is locked'
fi
