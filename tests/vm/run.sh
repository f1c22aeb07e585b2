#!/bin/bash
# SPDX-License-Identifier: MIT
#
#	tests/vm/run.sh [-iu] [-l SECONDS] [-m MIB] KERNEL SCRIPT...
#
# Boots KERNEL (a name of kernel.sh) in a virtual machine and runs SCRIPTs
# there, named as below tests/, without ".sh". -u lets the guest's FUSE have
# io_uring; -m is its memory (1024); -i has its clock count instructions, 4 ns
# for each of either CPU, so that a busy host changes nothing in what is
# measured. The machine is emulated, so this needs neither root nor hardware that
# can do more. Both of the guest's serial lines are shown when it fails, and last
# the one that says how far the scripts came.
#
# UZ_KILLS, UZ_CYCLES, UZ_UPGRADES, UZ_SEED, UZ_SECONDS, UZ_PAUSE, UZ_KINDS,
# UZ_MIB, UZ_PERCENT, UZ_ROUNDS and UZ_DEPTHS, where they are set, are the
# guest's as well.
#
# What may be skipped in the guest is what may be skipped here (UZ_MUST_WORK). A
# script that was skipped makes this one end with 77, unless another one failed.

. "$(dirname "$0")/../e2e/functions.sh" || exit 1
. "$(dirname "$0")/kernel.sh"
. "$(dirname "$0")/image.sh"

limit=240
memory=1024
uring=
clock=()
while getopts iul:m: option; do
	case $option in
	i) clock=(-icount 'shift=2,sleep=off') ;;
	u) uring=uz_uring=Y ;;
	l) limit=$OPTARG ;;
	m) memory=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || exit 2
kernel=$1
shift

# What kind of thing a command belongs to decides whether it may be missing.
[ -n "$(type -P qemu-system-x86_64)" ] ||
	missing vm 'qemu-system-x86_64 is not installed'
[ "$(uname -m)" = x86_64 ] || missing vm "no kernels for $(uname -m)"
[ -x "$UZRAMD" ] || missing fuse "$UZRAMD was not built"
requires_ctl

vm_kernel "$kernel"
vm_image "$tmp/image"
tests=$*
touch "$tmp/console.log" "$tmp/results"
settings=
for name in UZ_{KILLS,CYCLES,UPGRADES,SEED,SECONDS,PAUSE,KINDS,MIB,PERCENT,ROUNDS,DEPTHS}; do
	[ -z "${!name-}" ] || settings+=" $name=${!name}"
done

# qemu 7.2 sometimes leaves nonsense in the flags after the 16-byte exchange of
# the kernel's allocator; without cx16 the kernel does without that, too. With a
# thread for each CPU it sometimes runs code that the kernel has just patched;
# with one for both it takes hardly longer. It moves strings byte by byte, so a
# kernel that thinks them fast would spend most of its time in copying pages.
# A guest that stood still with its host for some seconds has no lockup.
# The guest ends itself, so long after its boot; the second limit is for a
# kernel that does not.
status=0
timeout -k 5 $((limit + 180)) qemu-system-x86_64 \
	-accel tcg,thread=single "${clock[@]}" \
	-cpu max,cx16=off,erms=off,fsrm=off -smp 2 -m "$memory" \
	-nodefaults -no-user-config -display none -no-reboot \
	-serial "file:$tmp/console.log" -serial "file:$tmp/results" \
	-kernel "$vm_linux" -initrd "$tmp/image" \
	-append "console=ttyS0 panic=-1 quiet no_timer_check watchdog_thresh=60 \
uz_tests=${tests// /,} uz_must=${UZ_MUST_WORK-} uz_limit=$limit $uring$settings" \
	</dev/null >"$tmp/qemu.log" 2>&1 || status=$?

# shellcheck disable=SC2317 # it is called in the end
show_results()
{
	tr -d '\r' <"$tmp/results" >&2
}
on_exit show_results
[ "$status" -eq 0 ] || fail "qemu ended with status $status"
ended=$(tr -d '\r' <"$tmp/results" | sed -n '$s/^ended //p')
reports=$(tr -d '\r' <"$tmp/results" | grep -cE '^(ok|skip) [^ ]+ \([0-9]+ s\)$') ||
	true
case $ended in
0 | 77) ;;
*) fail "kernel $kernel: not all of the guest's tests passed" ;;
esac
[ "$reports" -eq $# ] || fail "kernel $kernel: $reports of $# tests reported"
if grep -E 'BUG:|WARNING:|Oops|blocked for more than' "$tmp/console.log" >&2; then
	fail "kernel $kernel: the guest's kernel complained"
fi
exit "$ended"
