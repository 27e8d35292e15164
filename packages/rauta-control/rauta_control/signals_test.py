"""Signals that come while another program takes over the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

BEFORE = """
import os, signal, sys
from rauta_control.signals import Signals, blocked

signals = Signals()
for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
assert next(signals.read()) == signal.SIGCHLD  # the others were there when it was read
with blocked():
    os.kill(os.getpid(), signal.SIGUSR2)
    signals.leave()
    os.execv(sys.argv[1], sys.argv[1:])
"""
AFTER = """
from rauta_control.signals import Signals

print(sorted(Signals().read()))
"""


def test_signals_that_were_not_read_reach_the_next_program() -> None:
    command = [sys.executable, "-c", BEFORE, sys.executable, "-c", AFTER]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=dict(os.environ), check=True, timeout=60)
    assert done.stdout.decode().strip() == str([int(signal.SIGHUP), int(signal.SIGUSR2), int(signal.SIGTERM)])
