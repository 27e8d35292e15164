"""WriteBack: rests while nothing is due. (That it writes is replica_test.py's to show.)"""

from __future__ import annotations

import asyncio
from datetime import datetime

from rauta_control.apiclient import ApiClient
from rauta_control.fakeapi_test import FakeApi
from rauta_control.fakepace_test import Pace
from rauta_control.statuswriter import StatusWriter, Write
from rauta_control.writeback import WriteBack


class Idle(StatusWriter):
    """Has something to do later, and counts how often it is asked."""

    asked = 0
    due = 1010.0

    @property
    def next_due(self) -> float | None:
        return self.due

    def take(self, now: float, wall: datetime, limit: int) -> list[Write]:
        self.asked += 1
        return []


def test_it_rests_until_something_is_due_or_happens() -> None:
    async def main() -> None:
        pace, idle = Pace(), Idle({})
        back = WriteBack(ApiClient(FakeApi()), idle, {}, lambda: True, pace.timing)
        running = asyncio.create_task(back.run())

        async def turns() -> int:
            before = idle.asked
            for _ in range(50):
                await asyncio.sleep(0)
            return idle.asked - before

        assert await turns() == 1
        back.seen([])
        assert await turns() == 1, "what it waited for before is forgotten"
        assert await turns() == 0
        idle.due = 1020.0
        pace.advance(10)
        assert await turns() == 1
        running.cancel()
        await asyncio.wait((running,))

    asyncio.run(main())
