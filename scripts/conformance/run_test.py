import asyncio
import sys
from pathlib import Path

import pytest

from . import run
from .problem import ConformanceError
from .process import Process


async def started(code: str, log: Path) -> Process:
    return await Process.start("program", [sys.executable, "-c", code], log)


def test_work_ends_when_a_process_that_it_needs_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WATCH", 0.01)
    cancelled: list[bool] = []

    async def work() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return 0

    async def both() -> None:
        await run.together(work(), [await started("import sys; sys.exit('told')", tmp_path / "log")])

    with pytest.raises(ConformanceError, match=r"program ended with status 1:\ntold"):
        asyncio.run(both())
    assert cancelled == [True]


def test_work_that_ends_leaves_the_processes_alone(tmp_path: Path) -> None:
    async def work() -> int:
        return 7

    async def both() -> tuple[int, int | None]:
        process = await started("import time; time.sleep(60)", tmp_path / "log")
        try:
            return await run.together(work(), [process]), process.ended
        finally:
            await process.stop()

    assert asyncio.run(both()) == (7, None)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConformanceError, match="thing could not be started"):
        asyncio.run(Process.start("thing", [str(tmp_path / "absent")], tmp_path / "log"))
