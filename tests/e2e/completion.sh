#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The completions of bash, zsh and fish: each offers the same verbs, options,
# devices, attributes and settings, those that there are.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires bash zsh fish script

completions=$source_root/tools/completions
PATH=$(dirname "$UZRAMCTL"):$(dirname "$UZRAMD"):$PATH
export PATH

# What a shell offers for the words of a command line, the last one begun.
offer_bash()
{
	# shellcheck disable=SC2016 # the inner shell expands it
	bash -c '. "$1/uzramctl"
		compopt() { [ "$2" != default ] || files=1; }
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_uzramctl
		[ -z "$files" ] || mapfile -t COMPREPLY < <(compgen -f "${@: -1}")
		printf "%s\n" "${COMPREPLY[@]}"' bash "$completions" "$@"
}

offer_zsh()
{
	# What zsh itself does with the words, outside of an interactive shell.
	# shellcheck disable=SC2016 # the inner shell expands it
	zsh -f -c 'begun=${@[-1]}
		compadd() {
			while [[ $1 != -- ]]; do shift; done
			shift
			print -l -- ${(M)@:#$begun*}
		}
		_describe() {
			local -a names=("${(@P)2}")
			print -l -- ${(M)${names%%:*}:#$begun*}
		}
		_files() { print -l -- $begun*(N) }
		file=$1
		shift
		words=("$@") CURRENT=$#
		set --
		. $file' zsh "$completions/_uzramctl" "$@"
}

offer_fish()
{
	# shellcheck disable=SC2016 # the inner shell expands it
	HOME=$tmp fish -N -c 'source $argv[1]/uzramctl.fish
		complete -C "$argv[2..-1]"' "$completions" "$@" | cut -f1
}

# offers WANTED WORDS...: every shell offers exactly that.
offers()
{
	local wanted=$1 shell got

	shift
	for shell in bash zsh fish; do
		got=$("offer_$shell" uzramctl "$@" | sort -u | xargs)
		expect_equal "$got" "$wanted" "$shell: uzramctl $*"
	done
}

start_device one -s 16M
start_device two -s 16M
touch "$tmp/example.conf"

offers 'histogram' hist
offers 'check-config' check
offers 'recompress remove reset resize' re
offers 'train' tr
offers '--algo' train --a
offers '' nosuchverb
offers '--prometheus' stat --pro
offers '--backing' add --back
offers 'one' stat o
offers 'one two' compact ''
offers 'two' compact one t
offers 'mem_limit mem_used_max' get one mem_
offers 'buffer_budget=' add -o buf
offers "$tmp/example.conf" check-config "$tmp/ex"

# All verbs, and of each verb all options.
"$UZRAMCTL" --help | sed -n 's/^  \([a-z-]\{3,\}\) .*/\1/p' |
	grep -vx uzramctl | sort >"$tmp/verbs"
for shell in bash zsh fish; do
	"offer_$shell" uzramctl '' | grep -v '^-' | sort -u >"$tmp/offered"
	expect_same "$tmp/verbs" "$tmp/offered"
done
while read -r verb; do
	options=$("$UZRAMCTL" "$verb" --help |
		{ grep -o -- '--[a-z-]\+' || true; } | sort -u | xargs)
	[ -z "$options" ] || offers "$options" "$verb" --
done <"$tmp/verbs"

# zsh finds and runs it where it lies.
printf '%s\n' "PS1='> '; fpath=($completions \$fpath)" \
	'autoload -U compinit; compinit -D -u' $'uzramctl hist\t' exit \
	>"$tmp/typed"
HOME=$tmp TERM=dumb script -qec 'zsh -f -i' /dev/null <"$tmp/typed" \
	>"$tmp/zsh.log" 2>&1 || true
grep -q 'usage: uzramctl histogram' "$tmp/zsh.log" ||
	fail 'zsh does not complete'
