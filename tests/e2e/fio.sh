#!/bin/bash
# SPDX-License-Identifier: MIT
#
# 2 GiB of random writes of mixed sizes, 32 at a time from each of two jobs,
# then all of them verified: first on the block file, from 512 bytes on, then
# on the loop device, from 4 KiB on.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

engine=io_uring
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" != 2 ] ||
	engine=libaio

# verify FILE ENGINE SIZES
verify()
{
	fio --name=verify --filename="$1" --ioengine="$2" --bssplit="$3" \
		--rw=randwrite --size=1g --offset_increment=1g --numjobs=2 \
		--iodepth=32 --direct=1 --buffer_compress_percentage=60 \
		--buffer_compress_chunk=4k --refill_buffers \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 \
		--allow_file_create=0 --group_reporting --minimal \
		>"$tmp/fio.log" 2>&1 || fail "fio on $1: $(tail "$tmp/fio.log")"
}

start_device fio -s 2G -a lz4
verify "$dev_block" $engine 512/5:2k/5:4k/30:7k/10:64k/30:1m/20

requires_loop
attach_loop "$dev_block"
verify "$loop_dev" libaio 4k/40:16k/10:64k/30:1m/20
