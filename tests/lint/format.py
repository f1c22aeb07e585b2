# SPDX-License-Identifier: MIT
"""C is as clang-format leaves it; every text file as .editorconfig says."""

import re
import subprocess
import sys

import tree

# Other versions disagree about details of the same .clang-format.
VERSION = '14'

# Of comments, which clang-format leaves as they are.
COMMENT = 80

# Of prose; tables and code are as wide as they are.
PROSE = 110


def clang_format(root):
    tree.requires('clang-format')
    version = subprocess.run(
        ['clang-format', '--version'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if not re.search(rf'version {VERSION}\.', version):
        print(f'skipped: clang-format is not {VERSION}', file=sys.stderr)
        sys.exit(77)
    result = subprocess.run(
        [
            'clang-format',
            '--dry-run',
            f'--style=file:{root / ".clang-format"}',
            *tree.files(root, '*.c', '*.h'),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    seen = set()
    for match in re.finditer(
        r'^(.*?):(\d+):\d+: \w+: code should be', result.stderr, re.M
    ):
        path = root / match[1]
        if path not in seen:
            yield path, int(match[2]), 'run clang-format -i on it'
        seen.add(path)


def white_space(root):
    texts = tree.files(
        root, '*.c', '*.h', '*.py', '*.md', 'meson*', '*.[1-9]', '*.service'
    )
    for path in [*texts, *tree.scripts(root)]:
        text = path.read_text(encoding='utf-8')
        if not text.endswith('\n') or text.endswith('\n\n'):
            yield path, text.count('\n'), 'ends with exactly one line feed'
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                yield path, number, 'white space at the end of the line'


def prose(root):
    for path in tree.files(root, '*.md'):
        code = False
        for number, line in enumerate(tree.lines(path), 1):
            code ^= line.startswith('```')
            if len(line) > PROSE and not code and not line.startswith('|'):
                yield path, number, f'more than {PROSE} columns'


def comments(root):
    for path in tree.files(root, '*.c', '*.h'):
        for number, line in enumerate(tree.lines(path), 1):
            wide = len(line.expandtabs(8)) > COMMENT
            if wide and line.lstrip().startswith(('/*', '*')):
                yield path, number, f'more than {COMMENT} columns'


def check(root):
    yield from white_space(root)
    yield from comments(root)
    yield from prose(root)
    yield from clang_format(root)


if __name__ == '__main__':
    tree.main(check)
