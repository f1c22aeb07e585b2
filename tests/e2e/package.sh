#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The Debian package, as who has installed it meets it: dpkg installs, upgrades
# and removes it, and systemd runs its unit as it is.
#
# That is the machine's own systemd, as the first process of a container, whose
# root is the machine's with a layer of ours on top. So the unit's sandbox, its
# file descriptor store and the maintainer scripts are the real ones, and what is
# left behind can be seen in the layer. Not shown: the boot of a machine, other
# versions of systemd, disks (ublk), and whether the dependencies suffice on a
# machine that has less.
#
# UZ_DEB=FILE: take this package instead of building one.

. "${0%/*}/functions.sh" || exit 1
requires_fuse
requires_loop
requires dpkg-buildpackage dh lintian systemd-analyze unshare nsenter \
	mkfs.ext4 python3 man
[ -x /lib/systemd/systemd ] || missing commands 'systemd is not installed'
grep -qw overlay /proc/filesystems || modprobe -q overlay ||
	missing commands 'no overlay file system in this kernel'

# ---- the package ----

build_package()
{
	mkdir "$tmp/build" "$tmp/build/uzram"
	tar -C "$source_root" --exclude='./build*' --exclude=./.git -cf - . |
		tar -C "$tmp/build/uzram" -xf -
	(cd "$tmp/build/uzram" && DEB_BUILD_OPTIONS="nocheck noautodbgsym" \
		exec dpkg-buildpackage -us -uc -b) >"$tmp/build.log" 2>&1 ||
		fail 'dpkg-buildpackage'
	deb=$(echo "$tmp"/build/uzram_*.deb)
	rm -r "$tmp/build/uzram"
}

deb=${UZ_DEB-}
[ -n "$deb" ] || build_package
# It closes no request for a package, as nobody has made one.
lintian --allow-root --fail-on error,warning \
	--suppress-tags initial-upload-closes-no-bugs "$deb" \
	>"$tmp/lintian.log" 2>&1 || fail 'lintian'

mkdir "$tmp/newer"
dpkg-deb -R "$deb" "$tmp/newer/uzram"
sed -i 's/^Version: .*/&+newer/' "$tmp/newer/uzram/DEBIAN/control"
dpkg-deb --root-owner-group -b "$tmp/newer/uzram" "$tmp/newer/uzram.deb" \
	>"$tmp/newer.log"

# ---- the container ----

# Of version 1, those that the unit has to do with, besides systemd's own.
controllers='devices memory pids'
cgroup_top=/sys/fs/cgroup
[ ! -e $cgroup_top/cgroup.controllers ] || controllers=

hierarchies()
{
	[ -n "$controllers" ] || echo $cgroup_top
	[ -z "$controllers" ] ||
		ls -d $cgroup_top/{systemd,unified,devices,memory,pids} 2>/dev/null
}

# enter_cgroups: this process, and whom it starts; the container sees no other.
enter_cgroups()
{
	local dir

	for dir in $(hierarchies); do
		mkdir "$dir/uzram-e2e-$$"
		echo "$BASHPID" >"$dir/uzram-e2e-$$/cgroup.procs"
	done
}

# Called by name when the test ends. Without its number return would tell how the
# test ended.
# shellcheck disable=SC2317
remove_cgroups()
{
	local dir

	for dir in $(hierarchies); do
		[ ! -d "$dir/uzram-e2e-$$" ] ||
			find "$dir/uzram-e2e-$$" -depth -type d \
				-exec rmdir {} + || return 1
	done
}

# Its first process: makes the root and becomes systemd.
cat >"$tmp/boot.sh" <<'END_OF_SCRIPT'
set -eu
layer=$1 root=$1/root controllers=$2
mount --make-rprivate /
mkdir "$layer/upper" "$layer/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" \
	overlay "$root"
cd "$root"
# Nothing of the machine is started but what the unit itself asks for.
rm -rf etc/systemd/system usr/lib/systemd/system/*.wants \
	lib/systemd/system/*.wants etc/fstab etc/uzram.conf*
# What images of systems have so that services stay as they are, manuals away.
rm -rf usr/sbin/policy-rc.d etc/dpkg/dpkg.cfg.d
mkdir -p etc/systemd/system/multi-user.target.wants
printf '%s\n' '[Unit]' DefaultDependencies=no Wants=systemd-journald.socket \
	>etc/systemd/system/uzram-test.target
mount -t proc proc proc
mount -t sysfs sysfs sys
for dir in run tmp dev sys/fs/cgroup; do
	mount -t tmpfs -o mode=755 tmpfs "$dir"
done
while read -r name numbers; do
	# shellcheck disable=SC2086 # two words
	mknod -m 666 "dev/$name" c $numbers
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
console 1 3
fuse 10 229
END
numbers=sys/class/misc/cpu_dma_latency/dev
# shellcheck disable=SC2046 # two words
[ ! -e $numbers ] ||
	mknod -m 600 dev/cpu_dma_latency c $(tr : ' ' <$numbers)
ln -s /proc/self/fd dev/fd
if [ -z "$controllers" ]; then
	mount -t cgroup2 cgroup2 sys/fs/cgroup
else
	mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
	mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd
	mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
	for one in $controllers; do
		mkdir "sys/fs/cgroup/$one"
		mount -t cgroup -o "$one" cgroup "sys/fs/cgroup/$one"
	done
fi
# The old root comes to lie over the new one, and goes.
pivot_root . .
umount -l .
cd /
exec env -i container=uzram-test LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --system --unit=uzram-test.target --show-status=no \
	--log-target=console
END_OF_SCRIPT

# Called by name when the test ends: with the first process all others go.
# shellcheck disable=SC2317
end_container()
{
	kill -KILL "$container"
	wait "$container" 2>/dev/null
	wait_until 60 remove_cgroups 2>/dev/null || remove_cgroups
}

# inside COMMAND...: in the container.
inside()
{
	timeout -k 5 120 nsenter -t "$init" -a env -i LC_ALL=C \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

is_up()
{
	kill -0 "$container" || fail 'the container has ended'
	init=$(cat "/proc/$container/task/$container/children")
	init=${init%% *}
	[ -n "$init" ] && inside systemctl is-active --quiet uzram-test.target \
		2>/dev/null
}

mkdir "$tmp/layer"
mount -t tmpfs -o mode=755 tmpfs "$tmp/layer"
on_exit umount "$tmp/layer"
(
	enter_cgroups
	exec unshare --mount --pid --cgroup --uts --ipc --fork --kill-child \
		bash "$tmp/boot.sh" "$tmp/layer" "$controllers"
) >"$tmp/systemd.log" 2>&1 </dev/null &
container=$!
on_exit end_container
wait_until 120 is_up || fail 'systemd does not come up'
root=/proc/$init/root
nsenter -t "$init" -a journalctl -f -o cat >"$tmp/journal.log" 2>&1 &

# files: of the layer, but for what dpkg and systemd write about what they did,
# and directories that were there.
files()
{
	local file

	(cd "$tmp/layer/upper" && find . ! -type c | grep -Ev \
		'^\./(var/(lib/(dpkg|systemd)|log|cache)|run|tmp)(/|$)') |
		sort | while read -r file; do
		[ -d "$tmp/layer/upper/$file" ] && [ -d "/$file" ] ||
			echo "$file"
	done
}

# value NAME DEVICE: out of its attribute upgrade or stat.
value()
{
	cat "$root/run/uzram/$2"/{upgrade,stat} | sed -n "s/^$1 //p"
}

# ---- install ----

files >"$tmp/before"
cp "$deb" "$root/tmp/uzram.deb"
cp "$tmp/newer/uzram.deb" "$root/tmp/newer.deb"
inside dpkg -i /tmp/uzram.deb >"$tmp/install.log" 2>&1 || fail 'dpkg -i'
expect_equal "$(inside dpkg --verify uzram)" '' 'files that are not as packed'
for file in sbin/uzramd sbin/uzramctl bin/uzram-bench \
	lib/systemd/system/uzramd@.service share/man/man8/uzramd.8.gz \
	share/man/man5/uzram.conf.5.gz \
	share/bash-completion/completions/uzramctl \
	share/zsh/site-functions/_uzramctl \
	share/fish/vendor_completions.d/uzramctl.fish \
	share/doc/uzram/copyright share/doc/uzram/changelog.gz \
	share/doc/uzram/uzramd@-keep.conf \
	share/doc/uzram/examples/container-memory; do
	[ -s "$root/usr/$file" ] || fail "no /usr/$file"
done
grep -qx /etc/uzram.conf "$root/var/lib/dpkg/info/uzram.conffiles" ||
	fail 'uzram.conf is no conffile'
inside uzramctl check-config >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
expect_equal "$(inside systemd-analyze verify uzramd@disk.service 2>&1)" '' \
	'systemd-analyze verify'

# What a worker may call by its own filter, the unit's does not end it for.
python3 - "$root/usr/lib/systemd/system/uzramd@.service" \
	"$source_root/src/daemon/filter.c" <<'END'
import re, subprocess, sys
def calls(word):
    if not word.startswith('@'):
        return {word}
    lines = subprocess.run(['systemd-analyze', 'syscall-filter', word], check=True,
                           capture_output=True, text=True).stdout.split('\n')[1:]
    words = [l.strip() for l in lines if l.strip() and not l.strip().startswith('#')]
    return set().union(*map(calls, words))
unit, source = (open(path).read() for path in sys.argv[1:])
wanted = re.search(r'^SystemCallFilter=(.*)', unit, re.M)[1].split()
left = set(re.findall(r'SCMP_SYS\((\w+)\)', source)) - set().union(
    *map(calls, [*wanted, '@default']))
sys.exit(f'the unit kills workers for {sorted(left)}' if left else 0)
END

# ---- serve ----

printf '[%s]\nsize = 32M\nalgorithm = lz4\n' disk >"$root/etc/uzram.conf"
printf '[spare]\nsize = 16M\nswap = on\nawake = on\n' >>"$root/etc/uzram.conf"
inside systemctl --quiet enable --now uzramd@disk ||
	fail 'systemctl enable --now'
inside systemctl start uzramd@spare || fail 'swap=on does not start'
[[ $(value protection spare) == *locked* ]] ||
	fail "protection: $(value protection spare)"
if cpu_latency_opens; then
	expect_equal "$(value awake spare)" on 'awake'
else
	left_out commands 'cannot open /dev/cpu_dma_latency'
fi
[[ $(value confinement disk) == *capabilities*seccomp* ]] ||
	fail "confinement: $(value confinement disk)"
[[ $(value cgroup disk) == */uzramd@disk.service ]] ||
	fail "cgroup: $(value cgroup disk)"

make_text $((8 << 20)) "$tmp/text"
block=$root/run/uzram/disk/block
dd if="$tmp/text" of="$block" bs=1M conv=notrunc status=none
exec 7<"$block"
same()
{
	expect_same "$tmp/text" <(dd bs=1M count=8 status=none <"/dev/fd/7")
	expect_equal "$(awk '{ print $1, $2, $3 }' "${block%/*}/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
}

# another_than PID: another supervisor serves, and systemd knows it.
another_than()
{
	[ "$(cat "${block%/*}/pid")" != "$1" ] &&
		inside systemctl is-active --quiet uzramd@disk
}

# was_slow NAME: a new program of that device got no CPU for too long.
was_slow()
{
	grep -q '^last .*does not serve after' "$root/run/uzram/$1/upgrade"
}

# reload NAME
reload()
{
	until inside systemctl reload "uzramd@$1"; do
		was_slow "$1" || fail "systemctl reload uzramd@$1"
	done
}

if [ "$(value survives disk)" = yes ]; then
	pid=$(cat "${block%/*}/pid")
	inside systemctl restart uzramd@disk || fail 'systemctl restart'
	[ "$(cat "${block%/*}/pid")" != "$pid" ] || fail 'it was not restarted'
	same
	pid=$(cat "${block%/*}/pid")
	inside systemctl kill --kill-whom=main --signal=KILL uzramd@disk
	wait_until 100 another_than "$pid" || fail 'it is not there again'
	same
	reload disk
	same
	upgrades=$(value upgrades disk)
	inside dpkg -i /tmp/newer.deb >"$tmp/newer.log" 2>&1 ||
		fail 'dpkg -i of a newer one'
	for name in disk spare; do
		! was_slow "$name" || reload "$name"
	done
	same
	expect_equal "$(value upgrades disk)" $((upgrades + 1)) upgrades
	expect_equal "$(value upgrades spare)" 1 'upgrades of the other'
fi
exec 7<&-

# ---- remove ----

attach_loop "$block"
mknod "$root$loop_dev" b 7 "${loop_dev#/dev/loop}"
mkfs.ext4 -q "$loop_dev"
inside mkdir /tmp/mnt
inside mount "$loop_dev" /tmp/mnt
! inside dpkg -r uzram >"$tmp/refused.log" 2>&1 || fail 'removed while mounted'
grep -q '^uzram: in use.*disk /tmp/mnt' "$tmp/refused.log" || fail 'no reason'
inside systemctl is-active --quiet uzramd@disk uzramd@spare ||
	fail 'devices were stopped'
inside umount /tmp/mnt
detach_loop "$loop_dev"
inside dpkg -r uzram >"$tmp/remove.log" 2>&1 || fail 'dpkg -r'
expect_equal "$(inside systemctl list-units --plain --no-legend \
	--state=active 'uzramd@*')" '' 'units that are left'
expect_equal "$(ls "$root/run/uzram")" '' 'devices that are left'
[ -e "$root/etc/uzram.conf" ] || fail 'the configuration went with it'
inside dpkg -P uzram >"$tmp/purge.log" 2>&1 || fail 'dpkg -P'
files >"$tmp/after"
diff "$tmp/before" "$tmp/after" >"$tmp/out" || fail "left: $(cat "$tmp/out")"
