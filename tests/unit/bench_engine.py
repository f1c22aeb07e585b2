# SPDX-License-Identifier: MIT
"""uzram-bench engine runs; what it writes can be read by others and says where
it was taken; wrong options are refused in one line.
"""

import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

BENCH = sys.argv[1]
OPERATIONS = ('fill', 'overwrite', 'load_sequential', 'load_random')


def run(*args, status=0):
    result = subprocess.run(
        [BENCH, *args], capture_output=True, text=True, check=False
    )
    assert result.returncode == status, (args, result)
    return result


def measure(directory, threads, *options):
    directory = pathlib.Path(tempfile.mkdtemp(dir=directory))
    svg, out = directory / 'chart.svg', directory / 'results.json'
    text = run(
        'engine', '--size', '4M', '-r', '1', '-j', str(threads[-1]), *options,
        f'--json={out}', '--svg', svg,
    ).stdout
    results = json.loads(out.read_text())
    assert set(results['machine']) == {
        'cpu', 'cpus', 'ram_bytes', 'kernel', 'date', 'commit',
    }
    assert all(results['machine'].values()), results['machine']
    assert results['results']
    for result in results['results']:
        assert result['codec'] in text
        memory = result['memory_filled']
        assert 0 < memory['packing_efficiency_at_once'] <= 1
        assert 0 < memory['packing_efficiency'] <= 1
        for used in ('mem_used_total', 'mem_used_total_at_once'):
            assert memory[used] >= memory['compr_data_size']
        assert memory['orig_data_size'] == result['bytes']
        assert [r['threads'] for r in result['runs']] == threads
        for ran in result['runs']:
            for operation in OPERATIONS:
                assert ran[operation]['ratio'] > 0
                assert len(ran[operation]['device_mb_s']['rounds']) == 1
    root = ElementTree.parse(svg).getroot()
    titles = [e.text for e in root.iter('{http://www.w3.org/2000/svg}text')]
    assert any('against the bare codec' in t for t in titles), titles


def json_alone():
    result = run('engine', '-s', '1M', '-r', '1', '-j', '1', '-a', 'store',
                 '--json')
    assert json.loads(result.stdout)['benchmark'] == 'engine'


def refusals():
    for args in (
        ('engine', '-r', '0'),
        ('engine', '-r', '65'),
        ('engine', '-j', 'many'),
        ('engine', '-s', '4K'),
        ('engine', '-s', '-1'),
        ('engine', '-a', 'nonesuch'),
        ('engine', 'stray'),
        ('device', '-d', '0'),
        ('device', '-d', '1,'),
        ('device', '--seconds', 'nan'),
        ('device', '-s', '1M'),
        ('device', '-t', BENCH, '-s', '64M', '-d', '1'),
        ('device', '--compare', '-t', BENCH, '-s', '64M', '-d', '1'),
        ('device', '--compare', '--seconds', '0'),
        ('nonesuch',),
    ):
        lines = run(*args, status=2).stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith('uzram-bench: '), lines
    run('engine', '-c', '/nonexistent', status=1)
    run('device', '-t', '/nonexistent', '-s', '64M', '-d', '1', status=1)
    run(status=2)


with tempfile.TemporaryDirectory() as path:
    # Both wait most of the time, for memory that is given back.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        every_codec = pool.submit(measure, path, [1])
        measure(path, [1, 2], '-a', 'lz4')
        every_codec.result()
json_alone()
refusals()
