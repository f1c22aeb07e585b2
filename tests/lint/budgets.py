# SPDX-License-Identifier: MIT
"""Sizes: a file is one noun and fits a head, a function fits a screen."""

import ast

import tree

FILE = 600
# What holds a device has to be easy to see through.
FEWER = {'src/daemon/supervisor.c': 400}
FUNCTION = 80
README = 200


def braced_functions(lines):
    """(first line, length) of what stands between '{' and '}' in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == '{':
            start = number
        elif line == '}' and start:
            yield start, number - start + 1
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def check(root):
    sources = tree.files(root, '*.c', '*.h', '*.py')
    for path in [*sources, *tree.scripts(root)]:
        lines = tree.lines(path)
        most = FEWER.get(path.relative_to(root).as_posix(), FILE)
        if len(lines) > most:
            yield path, 1, f'{len(lines)} lines, more than {most}: split it'
        if path.suffix == '.py':
            functions = python_functions('\n'.join(lines))
        else:
            functions = braced_functions(lines)
        for number, length in functions:
            if length > FUNCTION:
                yield path, number, (
                    f'a function of {length} lines, more than {FUNCTION}'
                )
    readme = root / 'README.md'
    if readme.exists() and len(tree.lines(readme)) > README:
        yield readme, 1, f'more than {README} lines'


if __name__ == '__main__':
    tree.main(check)
