# SPDX-License-Identifier: MIT
"""screens.py PROGRAM FILE...: whether the screens that pages show are those
that uzramctl prints: blocks of a manual page in which a line "$ uzramctl ...", of a
verb that only shows something, is followed by what it prints.

Numbers may differ, and so may the blanks that they push about. A line "..." is
any lines that the page leaves out. Prints how many screens there were.
"""

import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r'^\.Bd -literal[^\n]*\n(.*?)^\.Ed$', re.M | re.S)
COMMAND = re.compile(r'^\$ uzramctl ((?:list|stat|histogram|top)\b.*)$')
NUMBER = re.compile(r'(?<![\w.])\d+(\.\d+)?([BKMGT]\b)?')
UNIT = re.compile(r'\b(bytes|KiB|MiB|GiB)\b')


def screens(text):
    """(arguments, lines) of each command that prints something."""
    for block in BLOCK.findall(text):
        command, lines = None, []
        # In a manual page a line does not begin with a dot.
        for line in [*block.replace('\\&', '').splitlines(), '$ end']:
            if line[:2] not in ('$ ', '# '):
                lines.append(line)
                continue
            while lines and not lines[-1]:
                lines.pop()
            if command and lines:
                yield command[1].split(), lines
            command, lines = COMMAND.match(line), []


def plain(line):
    """A line with each number as 0 and each unit as bytes."""
    line = NUMBER.sub('0', line.rstrip())
    return re.sub(' +', ' ', UNIT.sub('bytes', line))


def pattern(lines):
    parts = (
        r'(?:.*\n)*?' if line == '...' else re.escape(plain(line)) + r'\n'
        for line in lines
    )
    return re.compile(''.join(parts))


def main():
    program, *pages = sys.argv[1:]
    count = 0
    for page in pages:
        text = pathlib.Path(page).read_text(encoding='utf-8')
        for arguments, lines in screens(text):
            printed = subprocess.run(
                [program, *arguments],
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            real = ''.join(
                plain(line) + '\n' for line in printed.rstrip().splitlines()
            )
            if not pattern(lines).fullmatch(real):
                wanted = '\n'.join(map(plain, lines))
                sys.exit(
                    f'{page}: uzramctl {" ".join(arguments)} prints\n{real}\n'
                    f'and not\n{wanted}'
                )
            count += 1
    print(count)


if __name__ == '__main__':
    main()
