"""Runs a command as the leader of a session with a terminal of its own, which is closed when stdin ends; what stdin brings
is typed into it. Exits as the command does, with 99 if a signal killed it."""

import fcntl
import os
import pty
import select
import struct
import sys

TIOCGPTN = 0x80045430  # Linux: the number of a terminal's other end.

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
# The terminal stays there for a command that has turned from it, as nohup does: without this it would be gone at once.
(number,) = struct.unpack("i", fcntl.ioctl(terminal, TIOCGPTN, bytes(4)))
held = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)


def copy():
    sys.stdout.buffer.write(os.read(terminal, 65536))
    sys.stdout.flush()


status = None
while status is None:
    ready, _, _ = select.select([0, terminal], [], [], 0.02)
    if terminal in ready:
        copy()
    if 0 in ready:
        typed = os.read(0, 4096)
        if not typed:
            break
        os.write(terminal, typed)
    ended, code = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = code
while select.select([terminal], [], [], 0)[0]:
    copy()
os.close(held)
os.close(terminal)
if status is None:
    status = os.waitpid(pid, 0)[1]
status = os.waitstatus_to_exitcode(status)
sys.exit(status if status >= 0 else 99)
