#!/bin/bash
# SPDX-License-Identifier: MIT
#
# More requests than the kernel lets be under way (max_background): they wait
# in the kernel, nothing else waits for them, and no data are lost, even when
# those who sent them are killed.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_root
requires fio mountpoint

start_device outstanding -s 256M -a lz4
connections=/sys/fs/fuse/connections
if ! mountpoint -q $connections; then
	connections=$tmp/connections
	mkdir "$connections"
	mount -t fusectl none "$connections"
	on_exit umount "$connections"
fi
connection=$connections/$(mountpoint -d "$dev_dir" | cut -d: -f2)
make_text 16777216 "$tmp/text"

# flood SIZE EXTRA...: 128 requests at a time, in the background, on the first
# half; sets flood.
flood()
{
	local size=$1

	shift
	fio --name=flood --filename="$dev_block" --rw=randwrite --bs="$size" \
		--size=64m --offset_increment=64m --numjobs=2 --iodepth=64 \
		--direct=1 --ioengine=libaio --refill_buffers \
		--buffer_compress_percentage=50 --buffer_compress_chunk=4k \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 \
		--allow_file_create=0 --thread --minimal "$@" \
		>"$tmp/fio.log" 2>&1 &
	flood=$!
}

# others WHAT: an attribute, and requests that somebody waits for.
others()
{
	timeout 100 cat "$dev_dir/stat" >"$tmp/stat" || fail "$1: stat hangs"
	timeout 100 dd if="$tmp/text" of="$dev_dir/block" bs=1M seek=128 \
		conv=notrunc oflag=direct status=none || fail "$1: write hangs"
	timeout 100 cmp -i 0:134217728 -n 16777216 "$tmp/text" \
		"$dev_dir/block" >&2 || fail "$1: other data"
}

for limit in 1 2 12; do
	echo $limit >"$connection/max_background"
	echo $limit >"$connection/congestion_threshold"
	for size in 4k 1m; do
		flood $size
		while ! pid_gone $flood; do
			others "max_background $limit, $size"
		done
		wait $flood || fail "fio: $(tail "$tmp/fio.log")"
	done
	# Most of what a victim had sent is still held back by the kernel.
	flood 64k --time_based --runtime=60
	sleep 0.3
	kill -KILL $flood
	wait $flood 2>/dev/null || true
	others "max_background $limit, after a kill"
done
wait_until 60 grep -qx 0 "$connection/waiting" ||
	fail "$(cat "$connection/waiting") requests are still waiting"
