# SPDX-License-Identifier: MIT
"""Runs something in a terminal, and closes that.

terminal.py FILE program COMMAND...
terminal.py FILE shell LINE...

The command gets a terminal of its own, as the leader of its session; or an
interactive shell gets one, where the lines are typed. The terminal is closed
once FILE exists.
"""

import os
import pty
import sys
import time

flag, kind, *words = sys.argv[1:]
if kind == 'shell':
    command = ['bash', '--norc', '--noprofile', '-i']
else:
    command = words
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
if kind == 'shell':
    os.write(terminal, ''.join(f'{line}\n' for line in words).encode())
while not os.path.exists(flag):
    time.sleep(0.01)
os.close(terminal)
os.waitpid(pid, 0)
