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
    assert kind in ('counter', 'gauge', 'histogram'), f'{name}: TYPE {kind}'
    assert (kind == 'counter') == name.endswith('_total'), f'{name}: {kind}'
    assert not name.removesuffix('_total').endswith(NOT_BASE), name
    assert name.startswith('uzram_'), name


def check_histogram(samples):
    """Of one device and operation: buckets ascend, the last one has all."""
    names = [s.split('{')[0].rsplit('_', 1)[1] for s in samples]
    assert names == ['bucket'] * (len(names) - 2) + ['sum', 'count'], names
    buckets, (total, count) = samples[:-2], samples[-2:]
    bounds = [float(re.search('le="(.*?)"', b)[1]) for b in buckets]
    counts = [int(b.rsplit(' ', 1)[1]) for b in buckets]
    assert bounds == sorted(set(bounds)) and bounds[-1] == float('inf')
    assert counts == sorted(counts), counts
    assert counts[-1] == int(count.rsplit(' ', 1)[1]), count
    assert (counts[-1] == 0) == (float(total.rsplit(' ', 1)[1]) == 0), total


def check_histograms(samples):
    groups = {}
    for sample in samples:
        labels = re.sub(',le=".*?"', '', sample[sample.index('{'):])
        groups.setdefault(labels.rsplit(' ', 1)[0], []).append(sample)
    for group in groups.values():
        check_histogram(group)


def main():
    text = sys.stdin.read()
    assert text.endswith('\n') and '\n\n' not in text, 'lines'
    done, samples, histogram = set(), [], []
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
            name = match[1]
            if kind == 'histogram':
                name = re.sub('_(bucket|sum|count)$', '', name)
                histogram.append(line)
            assert name == family and kind, f'{line}: not of {family}'
            assert NUMBER.fullmatch(match[3]), f'{line}: no number'
            samples.append(line)
    check_histograms(histogram)
    assert len(samples) == len(set(s.rsplit(' ', 1)[0] for s in samples))
    print('\n'.join(sorted(samples)))


if __name__ == '__main__':
    main()
