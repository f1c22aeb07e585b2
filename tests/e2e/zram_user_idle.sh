# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The user of zram_user.sh, with what not every kernel has: idle pages, a
# backing device, parameters of codecs, recompression.
#
# shellcheck disable=SC2154,SC2034 # given to him; used there

use_idle()
{
	has idle || return 0
	step='idle'
	put disksize 16M
	fill text 2 0
	fill noise 1 2
	fill zero 1 3
	flags 'stored'
	put idle all
	flags 'all idle'
	dd if="$block" of="$tmp/user.data" bs=64K count=4 iflag=direct \
		status=none
	flags 'some read'
	fill text 1 2
	flags 'some written'
	put idle 0
	until by_age >"$tmp/user.by_age"; do
		echo 'once more: it took too long' >&2
	done
	cat "$tmp/user.by_age"
	flags 'by age'
	put idle 3600
	flags 'older than an hour'
	put idle 99999999999
	put_free reset 1
}

# by_age: some pages are older than two seconds, and some surely are not.
by_age()
{
	local began

	put_free reset 1
	put disksize 16M
	fill text 1 0
	sleep 3
	began=${EPOCHREALTIME/[.,]/}
	fill text 1 1
	put idle 2
	((${EPOCHREALTIME/[.,]/} - began < 1900000))
}

use_backing()
{
	has backing_dev || return 0
	step='backing_dev'
	put backing_dev "$tmp/none-such"
	put backing_dev "$tmp"
	put backing_dev /dev/null
	put backing_dev ''
	get backing_dev
	put backing_dev "$spare"
	get backing_dev
	put backing_dev "$spare"
	use_limits
	put disksize 16M
	put backing_dev "$spare"
	put backing_dev none
	put compressed_writeback 1
	use_writeback
	put_free reset 1
	get backing_dev
	get bd_stat
	get writeback_limit
	get writeback_limit_enable
	step='writeback without a store'
	put disksize 16M
	put idle all
	put writeback idle
	put_free reset 1
}

use_limits()
{
	local text

	for text in 1 0 2 x -1 ''; do
		put writeback_limit_enable "$text"
		get writeback_limit_enable
	done
	for text in 100 0 x -1 99999999999999999999 1M ''; do
		put writeback_limit "$text"
		get writeback_limit
	done
	for text in 1 64 0 x -1 4294967296 ''; do
		put writeback_batch_size "$text"
		get writeback_batch_size
	done
	for text in 0 1 n y x 2 ''; do
		put compressed_writeback "$text"
	done
	put writeback_limit_enable 0
}

use_writeback()
{
	local text

	step='writeback'
	for text in '' none type=none type= huge=1; do
		put writeback "$text"
	done
	fill text 4 0
	fill noise 2 4
	fill zero 2 6
	put writeback idle
	flags 'nothing is idle'
	put writeback huge
	look_backed 'huge'
	put writeback page_index=3
	look_backed 'one page'
	use_ranges
	put idle all
	put writeback huge_idle
	put writeback idle
	look_backed 'idle'
	sum 'the data'
	note 'bd_reads counted' "$(($(column bd_stat 2) > 0))"
	put writeback incompressible
	fill text 2 4
	look_backed 'overwritten'
	punch 0 $((2 << 20))
	look_backed 'discarded'
	sum 'the data'

	step='writeback_limit'
	fill noise 4 8
	put writeback_limit 0
	put writeback_limit_enable 1
	put writeback huge
	put writeback_limit 512
	put writeback huge
	get writeback_limit
	near 'pages there' 3 "$(pages_backed)"
	put writeback_limit_enable 0
	put writeback huge
	look_backed 'the rest'
	sum 'the data'
}

# Since 6.19, as writeback_batch_size.
use_ranges()
{
	has writeback_batch_size || return 0
	put writeback page_indexes=10-20
	put writeback 'page_index=30 page_indexes=40-41 page_index=50'
	look_backed 'ranges'
	put writeback type=huge
	for text in page_index=4096 page_indexes=5-2 page_indexes=0-4096 \
		page_index=x page_index=-1 page_indexes=5 page_indexes=5- \
		page_index= page_indexes=1-x; do
		put writeback "$text"
	done
}

# Blocks on the store: ours share them, so there are fewer.
look_backed()
{
	local what=$1 there

	there=$(pages_backed)
	note "$what: blocks no more than pages, but for 2 %" \
		"$(($(column bd_stat 1) <= there + there / 50 + 1))"
	note "$what: pages there" "$there"
	columns mm_stat 1 6 8
	near "$what: compr_data_size" 35 "$(column mm_stat 2)"
	flags "$what"
}

pages_backed()
{
	if [ -n "$state" ]; then
		states | grep -c 'w[^ ]*$' || true
	else
		column bd_stat 1
	fi
}

use_params()
{
	local text

	has algorithm_params || return 0
	step='algorithm_params'
	put comp_algorithm lz4
	for text in 'algo=lz4 level=3' 'priority=0 level=2' algo=none-such \
		priority=9 priority=-1 priority=x level=x 'algo=lz4 level=' \
		algo level=1 'priority=0 unknown=3' 'priority=2 level=1' ''; do
		put algorithm_params "$text"
	done
	put_free reset 1
}

use_recompression()
{
	local text

	has recompress || return 0
	step='recomp_algorithm'
	for text in algo=zstd 'algo=zstd priority=1' 'algo=lz4hc priority=2' \
		'algo=zstd priority=0' 'algo=zstd priority=4' priority=1 \
		algo=none-such algo= algo 'unknown=1 algo=zstd' \
		"algo=$long" ''; do
		put recomp_algorithm "$text"
		note 'chosen' "$(sed 's/\(#.:\).*\[\(.*\)\].*/\1 \2/' \
			"$dir/recomp_algorithm" | xargs)"
	done
	put comp_algorithm lz4
	put recomp_algorithm 'algo=zstd priority=1'
	put algorithm_params 'algo=zstd level=5'
	put disksize 16M
	step='recompress'
	fill text 4 0
	fill noise 1 4
	fill zero 1 5
	for text in type=idle threshold=4096 threshold=x 'algo=none-such' \
		priority=3 max_pages=x type= type algo=lz4; do
		put recompress "$text"
	done
	flags 'before'
	put recompress 'type=huge priority=1'
	flags 'huge'
	put recompress 'max_pages=16 priority=1'
	flags 'sixteen'
	put idle all
	put recompress 'type=idle priority=1'
	flags 'idle'
	put recompress 'type=huge_idle threshold=100 priority=1'
	columns mm_stat 1 6 8
	near 'compr_data_size' 35 "$(column mm_stat 2)"
	sum 'the data'
	put_free reset 1
	get recomp_algorithm
}
