# SPDX-License-Identifier: MIT
"""Kills the worker of a device again and again: survive.py DIR KILLS SEED
[SIGNAL...]. Prints how long a client had to wait for an answer each time.
"""

import os
import random
import signal
import statistics
import sys
import time


def worker(directory):
    with open(f'{directory}/stat', encoding='ascii') as stat:
        for line in stat:
            if line.startswith('worker_pid '):
                return int(line.split()[1])
    raise SystemExit('no worker_pid in stat')


def kill(directory, number):
    """The seconds until another worker answers."""
    old = worker(directory)
    begin = time.monotonic()
    os.kill(old, number)
    while worker(directory) == old:
        pass
    return time.monotonic() - begin


def main():
    directory, kills, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    numbers = [signal.Signals[name] for name in sys.argv[4:] or ['SIGKILL']]
    chance = random.Random(seed)
    pauses = []
    for i in range(kills):
        time.sleep(chance.uniform(0.1, 0.3))
        pauses.append(kill(directory, numbers[i % len(numbers)]) * 1000)
    print(
        f'seed {seed}, {kills} kills: pause median '
        f'{statistics.median(pauses):.0f} ms, most {max(pauses):.0f} ms'
    )


if __name__ == '__main__':
    main()
