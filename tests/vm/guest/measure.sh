#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Not a test: all front ends and the guest's own zram in one interleaved run,
# on the second serial line. Emulated CPUs make every figure slower by far, and
# not all by as much, so only the ratios may be told, and only with that said:
#
#	tests/vm/run.sh -i -u -l 3000 sid vm/guest/measure
#
# with UZ_BUILD, UZRAMD and UZRAMCTL of a release build. Without -i the host's
# own time counts, with all that the host does beside. UZ_ROUNDS (5) and
# UZ_DEPTHS (1,32) make it shorter than a quarter of an hour.
#
# shellcheck disable=SC2154 # functions.sh sets UZRAMD

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

bench=${UZRAMD%/*}/uzram-bench
[ -x "$bench" ] || fail "$bench was not built"
[ -c /dev/ublk-control ] || fail 'no /dev/ublk-control'
cat "$(type -P bash)" "$UZRAMD" "$UZRAMCTL" /usr/lib/x86_64-linux-gnu/*.so* \
	>"$tmp/corpus"
"$bench" device -s 64M --seconds 1 -c "$tmp/corpus" \
	-r "${UZ_ROUNDS:-5}" -d "${UZ_DEPTHS:-1,32}" \
	-t zram:lz4 -t uzram:frontend=ublk -t uzram:transport=fuse \
	-t uzram:transport=io_uring -t zram:zstd \
	-t uzram:algorithm=zstd,frontend=ublk >&2
