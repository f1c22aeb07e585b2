# SPDX-License-Identifier: MIT
"""What can be used is in a manual page: every attribute in uzram(7), every
option and verb that --help shows in the program's own page. --help goes to
stdout and fits 80 columns. The pages are clean to mandoc.

The programs are looked for in $UZ_BUILD/tools.
"""

import os
import pathlib
import re
import subprocess

import tree

PROGRAMS = ('uzramd', 'uzramctl', 'uzram-bench')
WIDTH = 80
ATTRIBUTE = re.compile(r'^\t\{ "(\w+)", 0\d+,', re.M)
OPTION = re.compile(r'(?<![\w-])--[a-z][\w-]+')
VERB = re.compile(r'^  ([a-z][a-z-]*)', re.M)


def page(root, name):
    """The manual page's path, or None."""
    return next(iter(tree.files(root / 'man', f'{name}.[1-9]')), None)


def rendered(path):
    text = subprocess.run(
        ['mandoc', '-Tascii', '-O', 'width=1000', path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.sub('.\b', '', text)


def attributes(root):
    source = root / 'src/attr/attr.c'
    names = ATTRIBUTE.findall(source.read_text(encoding='utf-8'))
    if not names:
        yield source, 1, 'no attribute table found'
    manual = page(root, 'uzram')
    if not manual:
        yield source, 1, 'there is no man/uzram.7'
        return
    text = rendered(manual)
    for name in names:
        if not re.search(rf'\b{name}\b', text):
            yield manual, 1, f'attribute {name} is not described'


def help_text(path, *verb):
    """What --help prints to stdout; None when it does not behave."""
    result = subprocess.run(
        [path, *verb, '--help'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode or result.stderr or not result.stdout:
        return None
    return result.stdout


def program(root, path):
    manual = page(root, path.name)
    if not manual:
        yield path, 1, f'{path.name} has no manual page'
        return
    described = rendered(manual)
    texts = {'': help_text(path)}
    verbs = set(VERB.findall(texts[''] or '')) - {path.name}
    if 'VERB --help' in (texts[''] or ''):
        texts.update((verb, help_text(path, verb)) for verb in sorted(verbs))
    for verb, text in texts.items():
        if text is None:
            yield path, 1, f'{verb} --help must print to stdout and succeed'
            continue
        for line in text.splitlines():
            if len(line.expandtabs()) > WIDTH:
                yield path, 1, f'--help: more than {WIDTH} columns: {line}'
        for option in sorted(set(OPTION.findall(text))):
            if not re.search(rf'{option}(?![\w-])', described):
                yield manual, 1, f'{verb} {option} is not described'
    for verb in sorted(verbs):
        if not re.search(rf'\b{verb}\b', described):
            yield manual, 1, f'{verb} is not described'


def check(root):
    tree.requires('mandoc')
    for path in tree.files(root / 'man', '*.[1-9]'):
        result = subprocess.run(
            ['mandoc', '-Tlint', '-Wwarning', path],
            capture_output=True,
            text=True,
            check=False,
        )
        for match in re.finditer(
            r':(\d+):\d+: (.*)$', result.stdout + result.stderr, re.M
        ):
            yield path, int(match[1]), match[2]
    yield from attributes(root)
    tools = pathlib.Path(os.environ.get('UZ_BUILD', root / 'build')) / 'tools'
    for name in PROGRAMS:
        path = tools / name
        if path.exists():
            yield from program(root, path)


if __name__ == '__main__':
    tree.main(check)
