"""The heartbeat of control: shows the supervisor that its loop turns (children.HangDetector). A worker has its tick."""

from __future__ import annotations

import asyncio
import time

from rauta_control.sharedmem import CONTROL_HEARTBEAT

BEAT = 1.0  # seconds


class Heartbeat:
    """Beats in the shared `words` from now on, as long as the running loop turns, until `stop`."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._loop = asyncio.get_running_loop()
        self._beat()

    def _beat(self) -> None:
        self._words[CONTROL_HEARTBEAT] = time.monotonic_ns()
        self._timer = self._loop.call_later(BEAT, self._beat)

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()
