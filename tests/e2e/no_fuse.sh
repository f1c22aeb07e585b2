#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Machines that do not offer what is needed: no /dev/fuse, no fusermount3 for
# an ordinary user, no place to mount on. And an ordinary user where everything
# is there.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
. "${0%/*}/machine.sh"

nothing=$(printf '%s:\n\n%s:' "$tmp/run" "$tmp/user/run")

# ---- no /dev/fuse ----

nofuse=1
for program in 'uzramd' 'uzramctl add'; do
	expect_fail_line 5 '/dev/fuse' machine "$program -s 64M dev"
	expect_fail_line 5 '/dev/fuse' machine "user $program -s 64M dev"
done
nofuse=
expect_fail_line 5 '/dev/fuse' machine \
	'chmod 600 /dev/fuse; user uzramd -s 64M dev'
expect_equal "$(ls -A "$tmp/user/run" "$tmp/run")" "$nothing" 'left behind'

# ---- no fusermount3 ----

hide='mount -t tmpfs none '$tmp/overlay'
	mkdir '$tmp'/overlay/upper '$tmp'/overlay/work
	chmod 755 '$tmp'/overlay/upper
	mount -t overlay -o lowerdir=/usr/bin,upperdir='$tmp'/overlay/upper,workdir='$tmp'/overlay/work none /usr/bin
	rm /usr/bin/fusermount3'
hidden=
if machine "$hide" 2>"$tmp/hide.log"; then
	hidden=1
	# libfuse3 adds a line of its own before ours.
	expect_fail_line 5 'fusermount3' machine "$hide
		user uzramd -s 64M dev 2>&1 | grep ^uzramd >&2
		exit \${PIPESTATUS[0]}"
	# Root mounts by itself.
	machine "$hide
		uzramctl add -s 64M dev
		uzramctl remove dev" >/dev/null
fi
expect_equal "$(ls -A "$tmp/user/run" "$tmp/run")" "$nothing" 'left behind'

# ---- no place ----

expect_fail_line 3 'XDG_RUNTIME_DIR is not set' machine \
	'run=; user uzramd -s 64M dev'
mkdir "$tmp/user/bare"
chmod 755 "$tmp/user/bare"
expect_fail_line 5 "cannot make $tmp/user/bare/dev: Permission denied" machine \
	"run=$tmp/user/bare; user uzramd -s 64M dev"
expect_fail_line 5 "$tmp/user/bare: Permission denied" machine \
	"user uzramd -s 64M -o dir=$tmp/user/bare dev"

# ---- an ordinary user ----

# shellcheck disable=SC2016 # it expands in there
machine '
	path=$(user uzramctl add -s 64M -a zstd)
	test "$path" = $run/uz0/block
	user stat -c %a:%u $run $run/uz0/block | xargs
	user dd if=/usr/bin/env of=$path bs=4k count=8 conv=notrunc status=none
	user cmp -n 32768 /usr/bin/env $path
	user uzramctl -n --raw -o NAME,ALGORITHM,DISKSIZE
	user uzramctl set uz0 mem_limit 8M
	user sh -c "exec 7<$path; uzramctl remove uz0" 2>&1 | sed "s/process [0-9]*/process N/"
	user sh -c "exec 7<$path; uzramctl remove --force uz0 2>/dev/null"
	for ((i = 0; i < 600; i++)); do
		test -e $run/uz0 || break
		sleep 0.1
	done
	path=$(user uzramctl add -s 64M)
	user uzramctl mount uz0 / 2>&1 || echo status $?
	user uzramctl remove uz0
	user ls -A $run
' >"$tmp/said"
cat >"$tmp/wanted" <<END
700:65534 600:65534
uz0 zstd 64M
uzramctl: uz0 is in use: process N (sh); unmount it or use --force
uzramctl: mount needs root; without it use mkfs.ext4 and fuse2fs on $tmp/user/run/uz0/block, or the file itself
status 5
END
diff "$tmp/wanted" "$tmp/said" >&2 || fail 'an ordinary user sees otherwise'

[ -n "$hidden" ] || missing root 'cannot lay a file system over /usr/bin'
