#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A daemon in a cgroup with less memory than the device may come to hold: it
# limits itself, whoever writes too much is told ENOSPC, nothing is killed and
# nothing stored is lost.

. "${0%/*}/functions.sh"
requires_fuse
requires_root

limit=$((96 << 20))

# killed: how many processes the kernel has killed in there.
killed()
{
	awk '$1 == "oom_kill" { print $2 }' "$cgroup_events"
}

make_cgroup $limit
cat >"$tmp/limited" <<END
#!/bin/sh
echo \$\$ >'$cgroup/cgroup.procs' || exit 1
exec '$UZRAMD' "\$@"
END
chmod +x "$tmp/limited"
UZRAMD=$tmp/limited

start_device small -s 1G
grep -q 'mem_limit set to .*: more would not fit this cgroup' \
	"$tmp/small.log" || fail 'the limit was not announced'
set_to=$(mm_stat 4)
((set_to > limit / 2 && set_to < limit)) ||
	fail "mem_limit is $set_to under a cgroup limit of $limit"

# Until it is full, and then in the middle of it again.
head -c 32M /dev/urandom >"$tmp/first"
dd if="$tmp/first" of="$dev_block" bs=1M oflag=direct conv=notrunc status=none
expect_errno ENOSPC dd if=/dev/urandom of="$dev_block" bs=1M seek=32 \
	count=256 iflag=fullblock oflag=direct conv=notrunc status=none
expect_errno ENOSPC dd if=/dev/urandom of="$dev_block" bs=1M seek=512 \
	count=256 iflag=fullblock oflag=direct conv=notrunc status=none
cmp -n $((32 << 20)) "$tmp/first" "$dev_block"
# Where a request is less than 1 MiB, as over io_uring on a machine with many
# CPUs, dd's last write comes in pieces. The first that finds no room makes it a
# short one, and dd writes the rest over pieces that were stored: overwriting at
# the limit, which may leave parts of a few pages. See uzram(7).
[ "$(mm_stat 3)" -le $((set_to + 32 * 4096)) ] ||
	fail 'more is used than the limit'
expect_equal "$(killed)" 0 'processes killed'

# Room that is given back can be used again.
fallocate -p -o $((32 << 20)) -l $((992 << 20)) "$dev_block"
head -c 16M /dev/urandom >"$tmp/second"
dd if="$tmp/second" of="$dev_block" bs=1M seek=32 oflag=direct conv=notrunc \
	status=none
cmp -n $((16 << 20)) -i "0:$((32 << 20))" "$tmp/second" "$dev_block"
cmp -n $((32 << 20)) "$tmp/first" "$dev_block"

# Neither a reset nor another limit gets past it.
echo force >"$dev_dir/reset"
echo 1G >"$dev_dir/disksize"
expect_equal "$(mm_stat 4)" "$set_to" 'after a reset'
echo 1G >"$dev_dir/mem_limit"
expect_equal "$(mm_stat 4)" "$set_to" 'with a higher limit'
expect_errno ENOSPC dd if=/dev/urandom of="$dev_block" bs=1M count=256 \
	iflag=fullblock oflag=direct conv=notrunc status=none
expect_equal "$(killed)" 0 'processes killed'
stop_device small

# A limit of one's own that is lower stands; a higher one does not.
start_device low -s 64M -o mem_limit=8M
expect_equal "$(mm_stat 4)" $((8 << 20)) 'a lower limit'
stop_device low
start_device high -s 1G -o mem_limit=1G
expect_equal "$(mm_stat 4)" "$set_to" 'a higher limit'
stop_device high
