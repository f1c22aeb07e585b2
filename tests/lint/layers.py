# SPDX-License-Identifier: MIT
"""Who may include whom. The build's static libraries already refuse a call
upward; this refuses the sight of it, and of other people's private headers.
"""

import re

import tree

# A layer sees itself and what is listed. util and types.h are everybody's.
SEES = {
    'util': set(),
    'compress': set(),
    'table': set(),
    'pool': set(),
    'backing': set(),
    'image': set(),
    'device': {'table', 'pool', 'compress', 'backing'},
    'worker': {'device', 'table', 'pool', 'compress', 'backing', 'image'},
    'attr': {'worker', 'device', 'table', 'pool', 'compress', 'backing'},
    'frontend': {
        'attr',
        'worker',
        'device',
        'table',
        'pool',
        'compress',
        'backing',
    },
    'daemon': {
        'frontend',
        'attr',
        'worker',
        'device',
        'table',
        'pool',
        'compress',
        'backing',
    },
}
EVERYBODY = {'types', 'util'}

# A library is one layer's business.
LIBRARIES = {
    r'lz4|lz4hc|zstd|zdict': {'compress'},
    r'fuse|fuse3/.*|fuse_lowlevel|linux/fuse': {'frontend'},
    r'libsmartcols/.*|jansson': {'tools'},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(path):
    """The layer that a file belongs to, or None: it may see everything."""
    parts = path.parts
    if parts[0] == 'src':
        return parts[1]
    if parts[0] == 'compress':
        return 'compress'
    if parts[:2] == ('include', 'uzram'):
        return path.stem if len(parts) == 3 else parts[2]
    if parts[:2] == ('tests', 'unit'):
        name = path.stem.split('_')
        return name[1] if len(name) > 1 and name[1] in SEES else None
    return None


def angle(layer, path, name):
    """What is wrong with #include <name>, or None."""
    if name.startswith('uzram/'):
        parts = name.removesuffix('.h').split('/')
        seen = parts[1]
        if layer is None or seen in EVERYBODY or seen == layer:
            return None
        if layer == 'types' or seen not in SEES.get(layer, set()):
            return f'{layer} must not see {seen}'
        return None
    for pattern, layers in LIBRARIES.items():
        if re.fullmatch(rf'({pattern})\.h', name):
            if path.parts[0] in {'tests', *layers}:
                return None
            if layer not in layers:
                return f'<{name}> is for {", ".join(sorted(layers))} only'
    return None


def quoted(root, path, name):
    """What is wrong with #include "name", or None."""
    if name == 'config.h':
        return None
    target = (root / path.parent / name).resolve()
    if path.parts[0] == 'tests' and list(root.glob(f'tests/*/{name}')):
        return None
    if not target.is_file():
        return f'"{name}" does not lie beside this file; use <uzram/...>'
    if layer_of(target.relative_to(root)) != layer_of(path):
        return f'"{name}" reaches into another layer'
    if name.endswith('_priv.h') and '/' in name:
        return f'"{name}" is private to its directory'
    return None


def check(root):
    for path in tree.files(root, '*.c', '*.h'):
        rel = path.relative_to(root)
        layer = layer_of(rel)
        if rel.parts[0] == 'src' and layer not in SEES:
            yield path, 1, f'unknown layer {layer}: add it to SEES'
            continue
        for number, line in enumerate(tree.lines(path), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            wrong = (
                angle(layer, rel, match[2])
                if match[1] == '<'
                else quoted(root, rel, match[2])
            )
            if wrong:
                yield path, number, wrong


if __name__ == '__main__':
    tree.main(check)
