# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What tools/demo, tools/test and .ci/run share. A script sets $top to the
# root of the source tree and then reads this file:
#
#	top=$(cd "$(dirname "$0")/.." && pwd)
#	. "$top/tools/lib.sh"
#
# say TEXT...             a plain line
# heading TEXT...         the next step begins
# die TEXT...             one line on stderr, exit 1
# missing PURPOSE...      lines of tools/deps that this machine lacks
# need_packages PURPOSE.. install them (root, apt-get) or name them and exit
# build [DIR [OPTION..]]  configure and compile; DIR defaults to $top/build
# progress DONE TOTAL TEXT, progress_end
#                         a bar, only when stdout is a terminal

: "${top:?is the root of the source tree}"

# Tools that a user's PATH often lacks: losetup, mkfs, fsck.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say()
{
	printf '%s\n' "$*"
}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	heading()
	{
		printf '\n\033[1m== %s\033[0m\n' "$*"
	}
else
	heading()
	{
		printf '\n== %s\n' "$*"
	}
fi

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

have()
{
	case $1 in
	/*) [ -e "$1" ] ;;
	*.pc) pkg-config --exists "${1%.pc}" 2>/dev/null ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing()
{
	while read -r _probe _for _names; do
		case " $* " in
		*" $_for "*) have "$_probe" || say "$_for $_names" ;;
		esac
	done <"$top/tools/deps"
}

# Column N of what missing() printed, on one line.
package_names()
{
	printf '%s\n' "$1" | awk -v n="$2" '$n != "-" && !seen[$n]++ {
		line = line sep $n; sep = " "
	} END { print line }'
}

install_packages()
{
	apt-get -qq -o Acquire::Retries=3 update ||
		say "apt-get update failed; trying all the same"
	# Word splitting turns the line into a list of packages.
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -qq \
		-o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
		install -y --no-install-recommends $1
}

need_packages()
{
	_lack=$(missing "$@")
	[ -n "$_lack" ] || return 0
	_apt=$(package_names "$_lack" 2)
	if [ "$(id -u)" = 0 ] && have apt-get; then
		say "installing: $_apt"
		_log=$(mktemp)
		# A mirror may not answer, or just be brought up to date.
		for _pause in 5 20 0; do
			! install_packages "$_apt" >"$_log" 2>&1 || break
			sleep "$_pause"
		done
		_lack=$(missing "$@")
		[ -z "$_lack" ] || tail -n 15 "$_log" >&2
		rm -f "$_log"
		[ -n "$_lack" ] || return 0
		die "apt-get could not install: $(package_names "$_lack" 2)"
	fi
	cat >&2 <<-TEXT
	${0##*/}: packages are missing; install them as root with one of
	  apt-get install $_apt
	  dnf install $(package_names "$_lack" 3)
	  pacman -S --needed $(package_names "$_lack" 4)
	  apk add $(package_names "$_lack" 5)
	TEXT
	exit 1
}

configure()
{
	_dir=$1
	shift
	if [ ! -f "$_dir/build.ninja" ]; then
		meson setup "$_dir" "$top" "$@"
	elif [ $# -gt 0 ]; then
		meson configure "$_dir" "$@"
	fi
}

# Lines of ninja, as "[12/80] what it does", become a bar.
show_build()
{
	while IFS= read -r _line; do
		case $_line in
		"["*/*"] "*)
			_line=${_line#"["}
			_line=${_line%%"]"*}
			progress "${_line%/*}" "${_line#*/}" building
			;;
		esac
	done
	progress_end
}

build()
{
	_dir=${1:-$top/build}
	[ $# -eq 0 ] || shift
	_log=$(mktemp)
	{
		configure "$_dir" "$@" && meson compile -C "$_dir" &&
			say "built in $_dir"
	} 2>&1 | tee "$_log" | show_build
	if [ "$(tail -n 1 "$_log")" = "built in $_dir" ]; then
		rm -f "$_log"
		return 0
	fi
	cat "$_log" >&2
	rm -f "$_log"
	die "could not build in $_dir; the reason is above"
}

if [ -t 1 ]; then
	progress()
	{
		awk -v part="$1" -v all="$2" -v text="$3" 'BEGIN {
			f = all > 0 ? part / all : 1
			if (f > 1) f = 1
			for (i = 0; i < 30; i++)
				bar = bar (i < f * 30 ? "#" : ".")
			printf "\r  [%s] %3d %%  %s\033[K", bar, f * 100, text
		}'
	}
	progress_end()
	{
		printf '\r\033[K'
	}
else
	progress() { :; }
	progress_end() { :; }
fi
