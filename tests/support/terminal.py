"""Runs a command as the leader of a session with a terminal of its own, which is closed when stdin ends; what stdin brings
is typed into it. Exits as the command does, with 99 if a signal killed it."""

import os
import pty
import select
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    ready, _, _ = select.select([0, terminal], [], [])
    if 0 in ready:
        typed = os.read(0, 4096)
        if not typed:
            break
        os.write(terminal, typed)
    if terminal in ready:
        try:
            sys.stdout.buffer.write(os.read(terminal, 65536))
            sys.stdout.flush()
        except OSError:  # The command has ended.
            break
os.close(terminal)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 99)
