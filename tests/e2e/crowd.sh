#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Sixteen writers that verify what they wrote and eight readers of everything,
# all at once, through one block file.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

# Less than a sector of a loop device is no direct I/O.
smallest=${UZ_LOOP:+4k}
start_device crowd -s 256M -a lz4
cat >"$tmp/crowd.fio" <<END
[global]
filename=$dev_block
allow_file_create=0
direct=1
buffer_compress_percentage=50
refill_buffers

[writers]
numjobs=16
rw=randwrite
bsrange=${smallest:-512}-64k
size=16m
offset_increment=16m
ioengine=libaio
iodepth=4
verify=crc32c
verify_fatal=1
verify_state_save=0
loops=3

[readers]
numjobs=8
rw=randread
bs=4k
size=256m
ioengine=psync
time_based
runtime=5
END
fio --minimal "$tmp/crowd.fio" >"$tmp/fio.log" 2>&1 ||
	fail "fio: $(tail "$tmp/fio.log")"
expect_equal "$(awk '{ print $1, $2 }' "$dev_dir/io_stat")" '0 0' \
	'failed reads and writes'
