# SPDX-License-Identifier: MIT
"""Kills the worker of a device while the kernel copies requests to it:
copying.py DIR SEED SIZE... Each SIZE is a round: the worker is stopped, several
clients on each CPU write so many bytes, and soon after it goes on it is killed.
Each write must succeed, and be there.
"""

import ctypes
import mmap
import os
import random
import signal
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.pwrite.restype = ctypes.c_ssize_t
LIBC.pwrite.argtypes = (
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int64,
)

CLIENTS = 8  # of each CPU: some find an entry, some wait in the queue
LONGEST = 0.012  # until the kill; copying them all takes about that


def worker(directory):
    with open(f'{directory}/stat', encoding='ascii') as stat:
        for line in stat:
            if line.startswith('worker_pid '):
                return int(line.split()[1])
    raise SystemExit('no worker_pid in stat')


def pwrite(fd, buf, offset):
    """What came of it; os.pwrite() does not tell of EINTR, but tries again."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(buf))
    written = LIBC.pwrite(fd, start, len(buf), offset)
    if written < 0:
        return os.strerror(ctypes.get_errno())
    return None if written == len(buf) else f'only {written} bytes'


class Client(threading.Thread):
    """One write from one CPU, to a place of its own."""

    def __init__(self, path, cpu, offset, data):
        super().__init__(daemon=True)
        self.path = path
        self.cpu = cpu
        self.offset = offset
        self.data = data
        self.outcome = 'it did not return'

    def run(self):
        os.sched_setaffinity(0, {self.cpu})
        buf = mmap.mmap(-1, len(self.data))
        buf[:] = self.data
        fd = os.open(self.path, os.O_WRONLY | os.O_DIRECT)
        self.outcome = pwrite(fd, buf, self.offset)
        os.close(fd)


def kill_while_copying(directory, clients, delay):
    pid = worker(directory)
    os.kill(pid, signal.SIGSTOP)
    for client in clients:
        client.start()
    # Until they are in the kernel; a machine that is busy has weaker rounds.
    time.sleep(0.02)
    end = time.perf_counter() + delay
    os.kill(pid, signal.SIGCONT)
    while time.perf_counter() < end:
        pass
    os.kill(pid, signal.SIGKILL)


def main():
    directory, seed = sys.argv[1:3]
    path = f'{directory}/block'
    chance = random.Random(seed)
    failures = []
    for size in map(int, sys.argv[3:]):
        clients = [
            Client(path, cpu, 0, chance.randbytes(size))
            for cpu in sorted(os.sched_getaffinity(0))[:4] * CLIENTS
        ]
        for i, client in enumerate(clients):
            client.offset = i * size
        delay = chance.uniform(0, LONGEST)
        kill_while_copying(directory, clients, delay)
        for client in clients:
            client.join(30)
            if client.outcome:
                failures.append(f'write of {size} bytes: {client.outcome}')
        with open(path, 'rb') as block:
            for client in clients:
                if block.read(size) != client.data and not client.outcome:
                    failures.append(f'write of {size} bytes: other data')
    for failure in failures:
        print(f'seed {seed}: {failure}', file=sys.stderr)
    # Who hangs is no reason to wait.
    sys.stderr.flush()
    os._exit(bool(failures))


if __name__ == '__main__':
    main()
