# SPDX-License-Identifier: MIT
"""Whether stdin is Prometheus' text exposition format 0.0.4, as strict as
promtool: families together, help and type before the samples, names, counters
by their names, escapes, numbers. Prints "family{labels} value" lines, sorted.
"""

import re
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf'({NAME})\{{({LABEL}(?:,{LABEL})*)\}} (\S+)')
NUMBER = re.compile(r'\d+(\.\d+)?')
NOT_BASE = ('_kb', '_kib', '_mb', '_ms', '_us', '_ns', '_percent')


def check_family(name, kind, helped):
    assert helped, f'{name}: no HELP'
    assert kind in ('counter', 'gauge'), f'{name}: TYPE {kind}'
    assert (kind == 'counter') == name.endswith('_total'), f'{name}: {kind}'
    assert not name.removesuffix('_total').endswith(NOT_BASE), name
    assert name.startswith('uzram_'), name


def main():
    text = sys.stdin.read()
    assert text.endswith('\n') and '\n\n' not in text, 'lines'
    done, samples = set(), []
    family = helped = kind = None
    for line in text.splitlines():
        if line.startswith('# HELP '):
            family, helped = line.split(' ', 3)[2:]
            assert family not in done, f'{family}: twice'
            done.add(family)
            kind = None
        elif line.startswith('# TYPE '):
            name, kind = line.split(' ')[2:]
            assert name == family, f'TYPE {name} after HELP {family}'
            check_family(name, kind, helped)
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f'no sample: {line}'
            assert match[1] == family and kind, f'{line}: not of {family}'
            assert NUMBER.fullmatch(match[3]), f'{line}: no number'
            samples.append(line)
    assert len(samples) == len(set(s.rsplit(' ', 1)[0] for s in samples))
    print('\n'.join(sorted(samples)))


if __name__ == '__main__':
    main()
