# SPDX-License-Identifier: MIT
"""Every file is of a kind that belongs here and says its licence; every .c
then says what it is for.
"""

import re

import tree

SPDX = 'SPDX-License-Identifier: MIT'
FIRST = {'.c': f'// {SPDX}', '.h': f'/* {SPDX} */'}
KINDS = {
    '', '.1', '.5', '.7', '.8', '.build', '.c', '.conf', '.fish', '.h', '.in', '.json',
    '.md', '.pml', '.py', '.service', '.sh', '.svg', '.txt', '.words',
}


def opening_comment(lines):
    """The words of the block comment after the licence."""
    text = '\n'.join(lines[1:]).lstrip()
    match = re.match(r'/\*(.*?)\*/', text, re.S)
    return re.findall(r'\w+', match[1]) if match else []


def check(root):
    for path in tree.files(root, '*'):
        if path.suffix not in KINDS and not path.name.startswith('.'):
            yield path, 1, f'what is a {path.suffix} file doing here?'
    for path in tree.files(root, '*.c', '*.h'):
        lines = tree.lines(path)
        wanted = FIRST[path.suffix]
        if not lines or lines[0] != wanted:
            yield path, 1, f'first line is not "{wanted}"'
        if path.suffix == '.c' and len(opening_comment(lines)) < 8:
            yield path, 2, (
                'no comment after the licence: what it is for, invariants, '
                'locks, what it does not do'
            )
    others = tree.files(root, '*.py', '*.[1-9]', '*.service')
    for path in [*others, *tree.scripts(root)]:
        if not any(SPDX in line for line in tree.lines(path)[:3]):
            yield path, 1, f'no "{SPDX}" in the first lines'


if __name__ == '__main__':
    tree.main(check)
