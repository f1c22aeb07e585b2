# SPDX-License-Identifier: MIT
"""What must not stand in the tree: debts without an owner, the places of one
machine, numbers of somebody's tracker, misspelt words, links to nowhere.
"""

import re
import subprocess

import tree

# Written so that this file does not match itself.
FORBIDDEN = {
    r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b': 'do it, or leave it',
    r'(?<![\w.$}/*-])/(home|root|wo' r'rk|Users)/': 'a path of one machine',
    r'\b[Ii]ssue #?\d|\b([Ff]ixes|[Cc]loses) #\d': 'a number of a tracker',
}
LINK = re.compile(r'\]\(([^)#:\s]+)(?:#[^)]*)?\)')


def texts(root):
    for path in tree.files(root, '*'):
        try:
            yield path, path.read_text(encoding='utf-8').splitlines()
        except UnicodeDecodeError:
            continue


def spelling(root):
    tree.requires('codespell')
    result = subprocess.run(
        [
            'codespell',
            '--ignore-words',
            root / 'tests/lint/codespell.words',
            *tree.files(root, '*.c', '*.h', '*.md', '*.py', '*.[1-9]'),
            *tree.scripts(root),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    for match in re.finditer(r'^(.*?):(\d+): (.*)$', result.stdout, re.M):
        yield root / match[1], int(match[2]), match[3]


def check(root):
    for path, lines in texts(root):
        for number, line in enumerate(lines, 1):
            for pattern, why in FORBIDDEN.items():
                match = re.search(pattern, line)
                if match:
                    yield path, number, f'"{match[0]}": {why}'
            if path.suffix == '.md':
                for link in LINK.findall(line):
                    if not (path.parent / link).exists():
                        yield path, number, f'link to nowhere: {link}'
    yield from spelling(root)


if __name__ == '__main__':
    tree.main(check)
