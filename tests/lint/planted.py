# SPDX-License-Identifier: MIT
"""The lints themselves: each must see what is planted in a copy of the tree.

A row is a lint, a file of the copy, what is put in it (a text appended, or
an (old, new) pair), and words that the complaint must have.

Lints that look at each file by itself are not shown all the others once more
for every row: their copy has this one file only.
"""

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

import tree

NOUN = '// SPDX-License-Identifier: MIT\n/*\n * ' + 'word ' * 10 + '\n */\n'
SCRIPT = '#!/bin/sh\n# SPDX-License-Identifier: MIT\n'

EACH_BY_ITSELF = {'budgets', 'format', 'notes', 'scripts', 'words'}

PLANTS = [
    ('layers', 'src/pool/pool.c', '#include <uzram/table.h>\n', 'see table'),
    ('layers', 'src/table/table.c', '#include <uzram/pool.h>\n', 'see pool'),
    ('layers', 'compress/codec.c', '#include <uzram/pool.h>\n', 'see pool'),
    ('layers', 'src/attr/attr.c', '#include <lz4.h>\n', '<lz4.h>'),
    ('layers', 'src/attr/attr.c', '#include "../pool/zsmalloc/zsmalloc_priv.h"\n',
     'reaches'),
    ('layers', 'src/attr/attr.c', '#include "none.h"\n', 'beside'),
    ('layers', 'src/new/new.c', NOUN, 'unknown layer'),
    ('layers', 'include/uzram/pool.h', '#include <uzram/device.h>\n', 'see'),
    ('layers', 'tests/unit/test_pool_x.c', '#include <uzram/attr.h>\n', 'see'),
    ('budgets', 'src/pool/pool.c', '/* */\n' * 601, 'lines'),
    ('budgets', 'src/daemon/supervisor.c', '/* */\n' * 401, 'than 400'),
    ('budgets', 'src/pool/pool.c', 'int f(void)\n{\n' + ';\n' * 79 + '}\n',
     'a function of'),
    ('budgets', 'tools/new', SCRIPT + 'f()\n{\n' + ':\n' * 79 + '}\n',
     'a function of'),
    ('budgets', 'tests/lint/new.py', 'def f():\n' + '    f()\n' * 80,
     'a function of'),
    ('budgets', 'README.md', 'line\n' * 201, 'more than 200'),
    ('contracts', 'include/uzram/pool.h', 'int uz_new(int a);\n',
     'uz_new() has no kernel-doc'),
    ('contracts', 'include/uzram/pool.h', (' * @owner: index', ' * index'),
     '@owner is not documented'),
    ('contracts', 'include/uzram/pool.h', (' * @owner: index', ' * @o: index'),
     'no parameter @o'),
    ('contracts', 'include/uzram/pool.h', (' * Context: any', ' * any'),
     'no Context:'),
    ('contracts', 'include/uzram/pool.h', (' * Return:  0', ' * 0'),
     'no Return:'),
    ('headers', 'include/uzram/new.h', 'int f(uint32_t a);\n', 'alone'),
    ('format', 'src/pool/pool.c', 'int  a;\n', 'clang-format'),
    ('format', 'tools/new', SCRIPT + 'true \n', 'at the end of the line'),
    ('format', 'README.md', 'word ' * 22 + 'x\n', '110 columns'),
    ('format', 'src/pool/pool.c', f'/* {"x" * 75} */\n', '80 columns'),
    ('format', 'tools/new', SCRIPT + 'true', 'exactly one line feed'),
    ('notes', 'src/pool/new.c', '/* not the licence */\n', 'first line'),
    ('notes', 'src/pool/new.c', NOUN.replace('word ', ''), 'no comment'),
    ('notes', 'tools/new', '#!/bin/sh\n', 'first lines'),
    ('notes', 'tests/left.state', 'x', 'doing here'),
    ('words', 'src/pool/pool.c', '/* TO' 'DO: later */\n', 'do it'),
    ('words', 'src/pool/pool.c', '/* see /ho' 'me/me/x */\n', 'machine'),
    ('words', 'README.md', 'Closes ' '#12.\n', 'tracker'),
    ('words', 'README.md', '[x](no/such.md)\n', 'nowhere: no/such.md'),
    ('words', 'README.md', 'rec' 'ieve\n', 'receive'),
    ('scripts', 'tools/new', SCRIPT + 'echo $1\n', 'Double quote'),
    ('scripts', 'tools/new', SCRIPT, 'executable'),
    ('manuals', 'src/attr/attr.c', '\t{ "planted", 0444,\n', 'planted is'),
    ('manuals', 'man/uzramd.8', '.Xx\n', 'unknown macro'),
    ('manuals', 'tools/uzramd', SCRIPT + 'echo --planted\n', '--planted is'),
    ('manuals', 'tools/uzramd', SCRIPT + 'echo "  planted"\n', 'planted is'),
    ('manuals', 'tools/uzramd', SCRIPT + f'echo {"x" * 81}\n', '80 columns'),
    ('manuals', 'tools/uzramd', SCRIPT + 'echo x >&2\n', 'to stdout'),
]


def plant(path, what):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding='utf-8') if path.exists() else ''
    if isinstance(what, tuple):
        assert what[0] in text, f'{path} has no "{what[0]}" to replace'
        text = text.replace(*what, 1)
    else:
        text += what
    path.write_text(text, encoding='utf-8')
    if path.name == 'uzramd':
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def complaint(root, lint):
    # The copy's own tools/ stands for the build directory.
    result = subprocess.run(
        [sys.executable, root / f'tests/lint/{lint}.py', root],
        env={**os.environ, 'UZ_BUILD': str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def copy_of(source, root, *patterns):
    for path in tree.files(source, *patterns):
        copy = root / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return root


def try_plant(root, lint, name, what, wanted):
    """What is wrong with the lint, or None."""
    path = root / name
    before = path.read_bytes() if path.exists() else None
    plant(path, what)
    status, output = complaint(root, lint)
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)
    if status == 77 or (status == 1 and wanted in output):
        return None
    return f'{lint} misses {what!r:.60} in {name}: {status} {output}'


def main():
    source = tree.root_from_arguments()
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        whole = copy_of(source, pathlib.Path(tmp) / 'tree', '*')
        for lint, name, what, wanted in PLANTS:
            root = whole
            if lint in EACH_BY_ITSELF:
                root = copy_of(
                    source,
                    pathlib.Path(tempfile.mkdtemp(dir=tmp)),
                    '.*', 'tests/lint/*', name,
                )
            wrong = try_plant(root, lint, name, what, wanted)
            if wrong:
                print(wrong, file=sys.stderr)
                failed += 1
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
