# SPDX-License-Identifier: MIT
"""A service manager that keeps descriptors, in place of systemd.

manager.py SOCKET COMMAND...

It listens at SOCKET for what sd_notify(3) describes, and is told on stdin what
to do, a line each; it answers each by a line:

start [PROGRAM]  starts COMMAND, or the PROGRAM with its arguments, with what is
                 kept; "ready PID" or "ended STATUS"
signal NAME      sends that; "ended STATUS" once it has ended
wait             "ended STATUS" once it has ended by itself
kept             the names of what is kept, sorted
forget [NAME]    closes it, all or by name; "forgotten COUNT"
"""

import array
import fcntl
import os
import select
import signal
import socket
import sys

FIRST = 3


class Manager:
    def __init__(self, path, command):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.path = path
        self.command = command
        self.kept = []
        self.ready = False
        self.pid = 0

    def forget(self, name=None):
        gone = [fd for n, fd in self.kept if name in (None, n)]
        self.kept = [(n, fd) for n, fd in self.kept if fd not in gone]
        for fd in gone:
            os.close(fd)
        return len(gone)

    def message(self):
        room = socket.CMSG_SPACE(array.array('i').itemsize * 16)
        flags = socket.MSG_CMSG_CLOEXEC
        text, rights, _, _ = self.socket.recvmsg(4096, room, flags)
        fds = array.array('i')
        for _, _, data in rights:
            fds.frombytes(data)
        lines = text.decode().split('\n')
        words = dict(line.split('=', 1) for line in lines)
        if words.get('FDSTORE') == '1':
            assert words['FDPOLL'] == '0', text
            self.kept += [(words['FDNAME'], fd) for fd in fds]
            return
        for fd in fds:
            os.close(fd)
        if words.get('FDSTOREREMOVE') == '1':
            self.forget(words['FDNAME'])
        self.ready |= words.get('READY') == '1'

    def messages(self, timeout):
        while select.select([self.socket], [], [], timeout)[0]:
            self.message()
            timeout = 0

    def become(self, command):
        # Away from the numbers that they are to get.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for _, fd in self.kept]
        for number, fd in enumerate(fds, FIRST):
            os.dup2(fd, number)
        os.environ['NOTIFY_SOCKET'] = self.path
        if fds:
            os.environ['LISTEN_PID'] = str(os.getpid())
            os.environ['LISTEN_FDS'] = str(len(fds))
            os.environ['LISTEN_FDNAMES'] = ':'.join(n for n, _ in self.kept)
        os.execv(command[0], command)

    def start(self, program=None):
        self.ready = False
        command = [program or self.command[0], *self.command[1:]]
        self.pid = os.fork()
        if not self.pid:
            self.become(command)
        return self.wait(lambda: self.ready) or f'ready {self.pid}'

    def wait(self, until=lambda: False):
        while not until():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.messages(0 if pid else 0.002)
            if pid:
                return f'ended {os.waitstatus_to_exitcode(status)}'
        return None

    def signal(self, name):
        os.kill(self.pid, getattr(signal, f'SIG{name}'))
        return self.wait()

    def obey(self, verb, *words):
        if verb == 'kept':
            return ' '.join(sorted(name for name, _ in self.kept))
        if verb == 'forget':
            return f'forgotten {self.forget(*words)}'
        return getattr(self, verb)(*words)


def main():
    manager = Manager(sys.argv[1], sys.argv[2:])
    while True:
        ready = select.select([manager.socket, 0], [], [])[0]
        manager.messages(0)
        if 0 not in ready:
            continue
        # Unbuffered, since select() does not see what Python has read ahead.
        line = b''
        while not line.endswith(b'\n'):
            byte = os.read(0, 1)
            if not byte:
                return
            line += byte
        print(manager.obey(*line.decode().split()), flush=True)


main()
