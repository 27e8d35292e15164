"""Signals as something to read: a handler only writes the number into a pipe, the supervisor's loop does the rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Signals:
    """The signals that arrived. One at a time in a process: Python has one wake-up descriptor."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # `hold`, or `blocked` before a re-exec, ends here

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._read

    def read(self) -> Iterator[int]:
        """Yield the numbers that arrived, in order. Those that are not asked for stay."""
        with suppress(BlockingIOError):
            while True:
                yield os.read(self._read, 1)[0]

    def leave(self) -> None:
        """Let those that were not read arrive once more, be it in the next program, when `blocked` is over."""
        for number in self.read():
            os.kill(os.getpid(), number)

    def close(self) -> None:
        """Give the pipe back. In a child, call `ignore` first, or its signals would appear to be the supervisor's."""
        os.close(self._read)
        os.close(self._write)


def hold() -> None:
    """Keep what comes while the program starts until there are Signals: it would kill us, or as PID 1 not be heard.

    Not SIGINT: what is read at the start may never come, and Ctrl-C ends that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [number for number in HANDLED if number != signal.SIGINT])


def ignore() -> None:
    """In a child: leave signals to the supervisor; a terminal and systemd send them to the whole group."""
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)


@contextmanager
def blocked() -> Iterator[None]:
    """Hold signals back: between a fork and `ignore`, and over an exec, where the default would be to die of them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _noted(number: int, frame: object) -> None:
    """Nothing to do: Python has written the number into the pipe."""
