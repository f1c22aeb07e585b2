# SPDX-License-Identifier: MIT
"""uzramctl top on a terminal of ours: top.py STEP COMMAND...

What the program draws is put on a screen of rows and columns, which each step
looks at. The terminal must be as it was when the program ends, however it does.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

DEADLINE = 60
SEQUENCE = re.compile(r'\x1b\[(\?)?([0-9;]*)([A-Za-z])')


class Screen:
    """A program on a terminal, and what that shows."""

    def __init__(self, command, rows=24, columns=100):
        self.main, self.side = pty.openpty()
        self.resize(rows, columns, tell=False)
        self.before = termios.tcgetattr(self.side)
        self.alternate, self.cursor = False, True
        self.text, self.lines, self.left = '', [''], ''
        self.drawn, self.frames = [], 0
        self.taken = self.since = 0 # how often; frames since
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            fcntl.ioctl(self.side, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(self.side, fd)
            os.closerange(3, 20)
            os.environ['TERM'] = 'xterm'
            os.execvp(command[0], command)

    def resize(self, rows, columns, tell=True):
        # A frame of the size before may be on its way.
        self.most = max(rows, getattr(self, 'rows', rows))
        self.rows, self.columns = rows, columns
        size = struct.pack('HHHH', rows, columns, 0, 0)
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, size)
        if tell:
            os.kill(self.pid, signal.SIGWINCH)

    def control(self, private, number, what):
        if private:
            if number == '1049':
                self.alternate = what == 'h'
                self.taken += self.alternate
                self.since = 0
            elif number == '25':
                self.cursor = what == 'h'
            else:
                raise AssertionError(f'ESC [ ? {number} {what}')
        elif what == 'H':
            self.lines = ['']
        elif what == 'J':
            # A frame is complete: what is shown from here on.
            self.drawn.append('\n'.join(self.lines))
            self.frames += 1
            self.since += 1
            assert len(self.lines) <= self.most, self.drawn[-1]
        elif what != 'K':
            raise AssertionError(f'ESC [ {number} {what}')

    def take(self, data):
        data = self.left + data
        self.left = ''
        while data:
            if data[0] == '\x1b':
                match = SEQUENCE.match(data)
                if not match:
                    self.left = data
                    return
                self.control(*match.groups())
                data = data[match.end():]
                continue
            if data[0] == '\n':
                self.lines.append('')
            elif data[0] != '\r':
                self.lines[-1] += data[0]
            data = data[1:]

    def read(self, seconds=0.1):
        """False: the program has closed the terminal."""
        if not select.select([self.main], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.main, 65536)
        except OSError:
            return False
        self.take(data.decode())
        return bool(data)

    def until(self, what, condition):
        """Of frames that came together, each is looked at."""
        end = time.monotonic() + DEADLINE
        while not condition(self):
            assert time.monotonic() < end, f'no {what}: {self.text}'
            if not self.drawn:
                self.read()
            if self.drawn:
                self.text = self.drawn.pop(0)
        return self

    def shows(self, pattern):
        return self.until(pattern, lambda s: re.search(pattern, s.text))

    def key(self, key):
        os.write(self.main, key.encode())

    def ends(self):
        """Its status, as a shell says it; the terminal is as it was."""
        end = time.monotonic() + DEADLINE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < end, 'it does not end'
            self.read()
        # What it wrote last may take a while to come through.
        self.until('end of the screen', lambda s: s.left_alone())
        self.restored()
        status = os.waitstatus_to_exitcode(status)
        return status if status >= 0 else 128 - status

    def left_alone(self):
        return not self.alternate and self.cursor

    def restored(self):
        now = termios.tcgetattr(self.side)
        assert now == self.before, f'{now} is not {self.before}'


def quits(command):
    s = Screen(command)
    s.shows(r'q quits')
    assert s.alternate and not s.cursor
    assert not termios.tcgetattr(s.side)[3] & termios.ECHO, 'it echoes'
    s.shows(r'(?m)^one ')
    s.key('q')
    assert s.ends() == 0


def rates(command):
    s = Screen(command + ['-d', '0.2'])
    s.shows(r'(?m)^one +16M +\S+ +\S+ +0B +\S+ +- +- +- +-$')
    s.shows(r'(?m)^one +16M +\S+ +\S+ +0B +\S+ +\d\S* +\d\S* +\d+ +\d+$')
    s.key('x')
    s.key('Q')
    assert s.ends() == 0


def resizes(command):
    s = Screen(command + ['-d', '3600'])
    s.shows(r'(?m)^one .* -$')
    s.resize(24, 30)
    s.until('narrow frame', lambda s: 'one' in s.text and
            max(map(len, s.text.split('\n'))) <= 30)
    s.resize(2, 100)
    s.until('low frame', lambda s: len(s.text.split('\n')) == 2)
    s.resize(24, 100)
    s.shows(r'(?m)^one .* -$')
    s.key('q')
    assert s.ends() == 0


def counts(command):
    s = Screen(command + ['-n', '2', '-d', '0.1'])
    assert s.ends() == 0
    assert s.frames == 2, s.frames


def signals(command):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP,
                   signal.SIGQUIT):
        s = Screen(command)
        s.shows(r'q quits')
        os.kill(s.pid, number)
        assert s.ends() == 128 + number
    s = Screen(command)
    s.shows(r'q quits')
    s.key('\x03')
    assert s.ends() == 128 + signal.SIGINT


def stops(command):
    s = Screen(command + ['-d', '3600'])
    s.shows(r'q quits')
    os.kill(s.pid, signal.SIGSTOP)
    os.kill(s.pid, signal.SIGCONT)
    # Ctrl-Z: in a session without a shell only the signal itself stops it.
    taken = s.taken
    os.kill(s.pid, signal.SIGTSTP)
    s.until('frame after the stop', lambda s: s.taken > taken and s.since)
    s.key('q')
    assert s.ends() == 0


def hangs_up(command):
    s = Screen(command)
    s.shows(r'q quits')
    os.close(s.side)
    os.close(s.main)
    end = time.monotonic() + DEADLINE
    while not os.waitpid(s.pid, os.WNOHANG)[0]:
        assert time.monotonic() < end, 'it outlives its terminal'
        time.sleep(0.05)


if __name__ == '__main__':
    globals()[sys.argv[1]](sys.argv[2:])
