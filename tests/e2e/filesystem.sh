# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The body of the file system tests: the machine's own files are copied onto
# a file system on a loop device on the block file, and must be the same
# after it was unmounted, checked and mounted again.
#
# shellcheck disable=SC2154 # functions.sh sets tmp, fs_dir, dev_block, loop_dev

# choose_files BYTES: a list of files below /usr that hold at least so much,
# in $tmp/files, and their checksums in $tmp/sums. Where /usr holds less, all of
# it is copied more than once: $copies says how often. Nothing that is too large
# for the device, and nothing that Python writes there meanwhile.
choose_files()
{
	local held

	find /usr -xdev -type f -size +0 -size -512M ! -name '*.pyc' ! -name '*[\\"]*' ! -path $'*\n*' \
		-printf '%s %P\n' |
		awk -v bytes="$1" -v held="$tmp/held" 'sum < bytes {
			sum += $1
			sub(/^[0-9]+ /, "")
			print
		}
		END { printf "%.0f\n", sum >held }' >"$tmp/files"
	(cd /usr && xargs -d '\n' sha1sum <"$tmp/files") >"$tmp/sums"
	held=$(cat "$tmp/held")
	copies=$((($1 + held - 1) / held))
}

# copy_files: the chosen ones to $fs_dir.
copy_files()
{
	local i

	for ((i = 0; i < copies; i++)); do
		mkdir "$fs_dir/$i"
		tar -C /usr --verbatim-files-from -T "$tmp/files" -cf - |
			tar -C "$fs_dir/$i" -xf -
	done
}

compare_files()
{
	local i

	for ((i = 0; i < copies; i++)); do
		(cd "$fs_dir/$i" && sha1sum --quiet -c "$tmp/sums") >&2 ||
			fail "files on $1 differ from what was copied"
	done
}

# try_filesystem BYTES TYPE CHECK...: CHECK is given the loop device and must
# find the unmounted file system clean. Leaves it mounted.
try_filesystem()
{
	local bytes=$1 type=$2

	shift 2
	requires_fuse
	requires_loop
	requires "mkfs.$type" "$1"
	start_device "$type" -s 4G -a lz4
	attach_loop "$dev_block"
	"mkfs.$type" "$loop_dev" >"$tmp/mkfs.log" 2>&1
	choose_files "$bytes"

	mount_fs "$loop_dev"
	copy_files
	compare_files "$type"
	unmount_fs "$fs_dir"
	"$@" "$loop_dev" >"$tmp/check.log" 2>&1 ||
		fail "$* found damage: $(tail -n 5 "$tmp/check.log")"
	mount_fs "$loop_dev"
	compare_files "$type after remount"
}
