# SPDX-License-Identifier: MIT
#
# Completion of uzramctl for fish. Verbs, options, devices and attributes are
# asked of uzramctl itself, so this never lags behind it.

# The words before the one that is being typed, uzramctl itself not counted.
function __uzramctl_before
	set -l words (commandline -opc)
	# With nothing to print, it would print an empty line.
	set -q words[2]; and printf '%s\n' $words[2..-1]
end

function __uzramctl_verbs
	uzramctl --help 2>/dev/null |
		sed -n '/^  uzramctl/d; s/^  \([a-z-]\{3,\}\) *\(.*\)/\1\t\2/p'
end

# Only once a dash has been typed.
function __uzramctl_options
	string match -q -- '-*' (commandline -ct); or return
	uzramctl $argv --help 2>/dev/null | grep -o -- '--[a-z-]\+'
end

function __uzramctl_attributes
	set -l file (uzramctl -n --raw -o PATH $argv 2>/dev/null)
	test -n "$file"; and ls (dirname $file) | grep -vx block
end

# The settings of -o: the words between commas that uzramd --help shows.
function __uzramctl_settings
	uzramd --help 2>/dev/null |
		sed -n '/--option/,/--dir/{/--dir/d;s/.*KEY=VALUE//;s/[, ]\+/\n/g;p}' |
		sed -n 's/^[a-z_]\+$/&=/p'
end

# True where a file is wanted.
function __uzramctl_files
	set -l before (__uzramctl_before)
	test (count $before) -ge 1; or return 1
	contains -- $before[-1] --restore --backing --binary; and return 0
	switch $before[1]:(count $before)
		case 'run:*' 'check-config:*' mount:2 save:2
			return 0
	end
	return 1
end

function __uzramctl_words
	set -l before (__uzramctl_before)
	if test (count $before) -eq 0
		__uzramctl_verbs
		__uzramctl_options
		return
	end
	if contains -- $before[1] add run; and contains -- $before[-1] -o --option
		__uzramctl_settings
		return
	end
	__uzramctl_options $before[1]
	switch $before[1]:(count $before)
		case get:2 set:2
			__uzramctl_attributes $before[2]
		case 'add:*' 'set:*' 'doctor:*' resize:2 'run:*' 'check-config:*' mount:2 save:2
		case '*'
			uzramctl -n --raw -o NAME 2>/dev/null
	end
end

complete -c uzramctl -f
complete -c uzramctl -n 'not __uzramctl_files' -a '(__uzramctl_words)'
complete -c uzramctl -n __uzramctl_files -F -a '(__uzramctl_options (__uzramctl_before)[1])'
