#!/bin/sh
# SPDX-License-Identifier: MIT
# Searches every interleaving of tests/model/pin.pml with Spin: the protocol
# must hold, and each mutation of it must be caught, or the model says nothing.
set -eu

model=$(cd "$(dirname "$0")" && pwd)/pin.pml
if ! command -v spin >/dev/null; then
	echo "spin is not installed (package spin)"
	case ,${UZ_MUST_WORK-}, in
	*,commands,*) exit 1 ;;
	*) exit 77 ;;
	esac
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# search FLAG...: 0 when no error was found, 1 when one was
search() {
	rm -f pan pan.* -- *.trail
	# shellcheck disable=SC2068
	spin $@ -a "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
	${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c
	# -E: whoever died stays where he was; that is no deadlock.
	./pan -E -m100000 >pan.out
	if ! grep -q 'errors: ' pan.out || grep -q 'max search' pan.out; then
		cat pan.out
		exit 1
	fi
	grep -q 'errors: 0$' pan.out
}

holds() {
	if ! search "$@"; then
		cat pan.out
		echo "the protocol does not hold: $*"
		exit 1
	fi
	echo "holds:  $* ($(awk '/states, stored/ { print $1 }' pan.out) states)"
}

caught() {
	if search "$@"; then
		echo "not caught: $*"
		exit 1
	fi
	echo "caught: $*"
}

holds -DPART
holds -DMOVE
caught -DPART -DWEAK_PIN
caught -DPART -DWEAK_FREE
caught -DPART -DNO_RECHECK
caught -DPART -DNO_DEFER
caught -DPART -DNO_FLIP -DSTORES=3
caught -DPART -DEARLY_UNMAP -DSTORES=3
caught -DMOVE -DBLIND_MOVE
caught -DPART -DEARLY_PUBLISH
caught -DPART -DLOST_DRAIN
