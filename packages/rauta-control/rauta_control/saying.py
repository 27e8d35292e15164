"""When a cluster is told of statuses: once this gateway is ready, or takes too long to become so.

One that starts has nothing programmed for a moment, and Gateways that another one programmed, or this one before, need
not say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from rauta_control.condition import Status
from rauta_control.world import Key

STATUS_GRACE = 10.0  # seconds after a start in which one that is not ready yet says nothing of objects


class Hearer(Protocol):
    """Who is told: a ClusterSource."""

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These statuses changed; None: there is none any more."""


class Saying:
    """What one hearer was not told yet. Without one, nothing is kept."""

    def __init__(self, hearer: Hearer | None) -> None:
        self._hearer = hearer
        self._unsaid: dict[Key, Status | None] = {}
        self._patient = True  # until STATUS_GRACE has passed

    async def lose_patience(self) -> None:
        """Wait until statuses are told of in any case."""
        await asyncio.sleep(STATUS_GRACE)
        self._patient = False

    def say(self, statuses: Mapping[Key, Status | None], *, ready: bool) -> None:
        """Tell of these changes, and of what was not told before, if it is time."""
        if self._hearer is None:
            return
        self._unsaid.update(statuses)
        if ready or not self._patient:
            told, self._unsaid = self._unsaid, {}
            self._hearer.want(told)
