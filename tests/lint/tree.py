# SPDX-License-Identifier: MIT
"""What the lints share: the files of the source tree, and how to report.

A lint is a script with a function check(root) that yields violations, each
as (path, line, what is wrong and what to do). It is run as

    python3 tests/lint/NAME.py [ROOT]

and exits 0, 1, or 77 when a program that it needs is not installed.
"""

import pathlib
import shutil
import sys

GENERATED = ('.git', '.cache', '__pycache__')


def files(root, *patterns):
    """The tree's files that match one of the patterns, in order."""
    found = set()
    for pattern in patterns:
        for path in root.rglob(pattern):
            parts = path.relative_to(root).parts
            if path.is_file() and not any(
                p in GENERATED or p.startswith('build') for p in parts
            ):
                found.add(path)
    return sorted(found)


def scripts(root):
    """Shell scripts: by name, or by their first line."""
    for path in files(root, '*'):
        if path.suffix == '.sh':
            yield path
        elif not path.suffix:
            first = path.read_bytes()[:64].split(b'\n')[0]
            if first.startswith(b'#!') and first.endswith(b'sh'):
                yield path


def lines(path):
    return path.read_text(encoding='utf-8').splitlines()


def requires(command):
    if not shutil.which(command):
        print(f'skipped: {command} is not installed', file=sys.stderr)
        sys.exit(77)


def root_from_arguments():
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]


def main(check):
    root = root_from_arguments()
    count = 0
    for path, line, text in check(root):
        where = path.relative_to(root) if root in path.parents else path
        print(f'{where}:{line}: {text}', file=sys.stderr)
        count += 1
    if count:
        print(f'{count} violations', file=sys.stderr)
    sys.exit(1 if count else 0)
