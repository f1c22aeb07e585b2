# SPDX-License-Identifier: MIT
"""Each contract compiles alone, and twice: it includes what it uses."""

import os
import subprocess

import tree

WARNINGS = ['-Wall', '-Wextra', '-Wmissing-include-dirs', '-Werror']


def check(root):
    compiler = os.environ.get('CC', 'cc').split()
    tree.requires(compiler[0])
    for path in tree.files(root / 'include', '*.h'):
        name = path.relative_to(root / 'include')
        result = subprocess.run(
            [
                *compiler,
                *WARNINGS,
                '-std=gnu11',
                '-D_GNU_SOURCE',
                '-fsyntax-only',
                f'-I{root / "include"}',
                '-xc',
                '-',
            ],
            input=f'#include <{name}>\n' * 2,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            yield path, 1, f'does not compile alone:\n{result.stderr}'


if __name__ == '__main__':
    tree.main(check)
