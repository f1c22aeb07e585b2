# SPDX-License-Identifier: MIT
"""uzram-bench pool runs every part, and each alone; its figures are possible;
wrong options are refused in one line before anything is measured.
"""

import concurrent.futures
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

BENCH = sys.argv[1]
PARTS = (
    'density', 'churn', 'discard', 'sleepers', 'latency', 'cost',
    'recompress', 'writeback', 'client', 'policy', 'cache', 'growth',
)
TINY = (
    '-s', '4M', '--large', '8M', '--seconds', '0.03', '--sleep', '0.03',
    '-r', '2', '--churn', '2', '--idle', '0.03', '--limit', '1M', '--no-zram',
    # One that no daemon takes: tests/e2e/bench_client.sh has clients.
    '-t', 'uzram:nonesuch=1',
)


def run(*args, status=0):
    result = subprocess.run(
        [BENCH, 'pool', *args], capture_output=True, text=True, check=False
    )
    assert result.returncode == status, (args, result)
    return result


def median(value):
    if isinstance(value, dict):
        assert len(value['rounds']) == 2, value
        return value['median']
    return value


def rows(part):
    return {(row['codec'], row['what']): row for row in part['rows']}


def check_memory(parts):
    for name, what in (('density', 'uzram'), ('churn', 'uzram, compacted')):
        for codec in ('lz4', 'lz4hc'):
            row = rows(parts[name])[codec, what]
            assert 0 < row['density'] <= 1, row
            assert row['pool_bytes'] >= row['compressed_bytes'] > 0, row
            # All of it: the arena, the table, and what else it took.
            assert row['all_bytes'] >= row['pool_bytes'], row
    density = rows(parts['density'])['lz4', 'uzram']
    assert density['pool_bytes_at_once'] >= density['compressed_bytes']
    assert density['mem_resident'] >= density['pool_bytes']
    discard = rows(parts['discard'])
    for codec in ('lz4', 'lz4hc'):
        before = discard[codec, 'filled']
        after = discard[codec, 'compacted, memfd shrunk']
        assert after['live_bytes'] < before['live_bytes'] / 5


def check_rates(parts):
    for what in ('loads', 'stores'):
        row = rows(parts['sleepers'])['lz4', what]
        assert median(row['per_second_with']) > 0, row
        assert row['ratio'] > 0, row
        row = rows(parts['latency'])['lz4hc', what]
        assert (
            0
            < median(row['p50_ns_with'])
            <= median(row['p99_ns_with'])
            <= median(row['p999_ns_with'])
        ), row
    for row in parts['cost']['rows']:
        assert median(row['pair_ns']) > 0, row
    growth = rows(parts['growth'])
    for what in ('4M stored', '8M stored'):
        row = growth['lz4', what]
        assert median(row['fill_ns']) > 0, row
        assert median(row['overwrite_ns']) > 0, row
        assert median(row['table_bytes_per_page']) >= 8, row


def check_workers(parts, text):
    recompress = rows(parts['recompress'])
    if 'left out: codec' in text:
        assert not recompress, text
    else:
        row = recompress['lz4', 'to zstd']
        # A sanitizer's memory counts too, so not which one is less.
        assert median(row['all_bytes_before']) > 0, row
        assert median(row['all_bytes_after']) > 0, row
        assert 0 < median(row['density_after']) <= 1, row
        assert median(row['load_p99_ns_without']) > 0, row
    for row in parts['writeback']['rows']:
        # Several pages share a block, and nearly all of them went.
        assert 0 < median(row['blocks_per_page']) < 1, row
        assert median(row['pages']) > 900, row


def check_unasked(parts):
    for codec in ('lz4', 'lz4hc'):
        row = rows(parts['policy'])[codec, 'auto']
        # Nothing is old enough.
        assert row['all_bytes_before'] > 0 and row['marked_pages'] == 0, row
        cache = rows(parts['cache'])
        for what in ('written once', '80/20'):
            row = cache[codec, what]
            assert row['peak_arena_bytes'] <= 1.01 * (1 << 20), row
            assert 0 < row['peak_to_limit'] <= 1.01, row
        assert cache[codec, 'written once']['written_back_pages'] > 0, cache
        # On a machine that is busy perhaps not a page was read in that time.
        assert 0 <= cache[codec, '80/20'].get('hit_percent', 0) <= 100, cache


def whole(directory):
    svg, out = directory / 'chart.svg', directory / 'results.json'
    result = run(*TINY, '-a', 'lz4', '-a', 'lz4hc', f'--json={out}', '--svg', svg)
    results = json.loads(out.read_text())
    assert results['benchmark'] == 'pool' and all(results['machine'].values())
    parts = {part['part']: part for part in results['parts']}
    assert tuple(parts) == PARTS
    for part in PARTS:
        assert f'\n{part}: ' in result.stdout, result.stdout
        if part in ('recompress', 'client') and not parts[part]['rows']:
            assert '(left out: ' in result.stdout
            continue
        assert f'uzram-bench pool: {part}, ' in result.stderr, result.stderr
        assert parts[part]['rows']
    assert 'kernel zram' not in result.stdout
    check_memory(parts)
    check_rates(parts)
    check_workers(parts, result.stdout)
    check_unasked(parts)
    root = ElementTree.parse(svg).getroot()
    titles = [e.text for e in root.iter('{http://www.w3.org/2000/svg}text')]
    assert any('latency: stores, p99' in t for t in titles), titles


def alone(part):
    result = run(*TINY, '-r', '1', '--part', part, '--json')
    parts = json.loads(result.stdout)['parts']
    assert [p['part'] for p in parts] == [part]


def interrupted():
    # Sleeps most of the time, so it must be woken.
    with subprocess.Popen(
        [BENCH, 'pool', *TINY, '--part', 'sleepers', '--sleep', '600'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        while 'round' not in child.stderr.readline():
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 130, child.returncode


def refusals():
    for args in (
        ('--part', 'nonesuch'),
        ('-r', '0'),
        ('-j', '65'),
        ('--churn', '0'),
        ('--sleep', '0'),
        ('--seconds', 'nan'),
        ('-s', '64K'),
        ('--large', 'much'),
        ('--limit', '64K'),
        ('--idle', '0'),
        ('--policy', 'on'),
        ('-a', 'nonesuch'),
        ('-t', 'zram'),
        ('stray',),
    ):
        lines = run(*args, status=2).stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith('uzram-bench: '), lines
    assert '--zpool' in run('--help').stdout
    assert 'nonesuch' in run('--zpool', 'nonesuch', status=5).stderr
    run('-c', '/nonexistent', status=1)
    # No machine has this much; nothing is measured before it is found out.
    result = run(*TINY, '--large', '16T', status=1)
    assert 'growth: 16T' in result.stderr and 'density' not in result.stderr


# All of them wait most of the time, for memory that is given back.
with (
    tempfile.TemporaryDirectory() as path,
    concurrent.futures.ThreadPoolExecutor(4) as pool,
):
    all_parts = pool.submit(whole, pathlib.Path(path))
    for done in [pool.submit(alone, part) for part in PARTS]:
        done.result()
    all_parts.result()
interrupted()
refusals()
