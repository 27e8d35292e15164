"""StepClock: times the steps of tasks, and changes nothing about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import thread_time

import pytest
import uvloop

from rauta_control.stepclock import StepClock


def compute(seconds: float) -> None:
    until = thread_time() + seconds
    while thread_time() < until:
        pass


async def busy() -> str:
    await asyncio.sleep(0)
    compute(0.003)
    await asyncio.sleep(0)
    compute(0.002)
    return "done"


async def idle() -> None:
    await asyncio.sleep(0.01)


async def failing() -> None:
    await asyncio.sleep(0)
    raise ValueError("so it is")


async def waiting(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_step_is_timed_and_tasks_do_what_they_did(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        clock = StepClock(asyncio.get_running_loop())
        ended: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            working, resting = tasks.create_task(busy(), name="worker"), tasks.create_task(idle())
            cancelled = tasks.create_task(waiting(ended))
            await asyncio.sleep(0.02)
            cancelled.cancel()
        assert (working.result(), working.get_name(), resting.result()) == ("done", "worker", None)
        assert ended == ["ended"]
        assert cancelled.cancelled()
        with pytest.raises(ValueError, match="so it is"):
            await asyncio.create_task(failing())
        assert set(clock.longest) == {"busy", "idle", "waiting", "failing"}
        assert clock.longest["busy"] >= 0.003

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


async def _never_started() -> None:
    """Would warn if nobody closed it."""


def test_a_task_that_is_cancelled_before_it_starts_leaves_nothing() -> None:
    async def main() -> None:
        StepClock(asyncio.get_running_loop())
        made: Coroutine[None, None, None] = _never_started()
        task = asyncio.create_task(made)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
