# SPDX-License-Identifier: MIT
"""Shell scripts pass shellcheck, and can be run if they are to be run."""

import concurrent.futures
import os
import re
import subprocess

import tree


def shellcheck(root, paths):
    """Its complaints: it reads anew what each script includes."""
    return subprocess.run(
        ['shellcheck', '--external-sources', '--format=gcc', *paths],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def check(root):
    tree.requires('shellcheck')
    paths = list(tree.scripts(root))
    cpus = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(cpus) as pool:
        shares = [paths[i::cpus] for i in range(min(cpus, len(paths)))]
        results = pool.map(lambda share: shellcheck(root, share), shares)
    for match in re.finditer(r'^(.*?):(\d+):\d+: (.*)$', ''.join(results), re.M):
        yield root / match[1], int(match[2]), match[3]
    for path in paths:
        if not path.suffix and not os.access(path, os.X_OK):
            yield path, 1, 'a script without suffix must be executable'


if __name__ == '__main__':
    tree.main(check)
