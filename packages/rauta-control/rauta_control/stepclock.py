"""How long one step of a task holds its event loop, in CPU time: a step is what runs between two awaits that wait.

Time on the clock would say how busy the machine is; this says whether work is sliced finely enough. It costs two
readings of a clock a step, about two microseconds. Callbacks that belong to no task are not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from time import thread_time
from typing import Any, TypeVar

T = TypeVar("T")


class StepClock:
    """Times the tasks that are created in `loop` from now on. `longest`: seconds, by the name of the coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest: dict[str, float] = {}
        loop.set_task_factory(self._task)

    def _task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T], **given: Any
    ) -> asyncio.Task[T]:
        return asyncio.Task(_Timed(coroutine, self.longest), loop=loop, **given)  # type: ignore[arg-type]


class _Timed(Coroutine[Any, Any, T]):
    """A coroutine that takes the time of its steps. See collections.abc.Coroutine."""

    __slots__ = ("__qualname__", "_inner", "_longest")

    def __init__(self, inner: Coroutine[Any, Any, T], longest: dict[str, float]) -> None:
        self._inner = inner
        self._longest = longest
        self.__qualname__ = getattr(inner, "__qualname__", type(inner).__name__)
        longest.setdefault(self.__qualname__, 0.0)

    def send(self, value: Any) -> Any:
        started = thread_time()
        try:
            return self._inner.send(value)
        finally:
            self._took(thread_time() - started)

    def throw(self, error: Any, *rest: Any) -> Any:
        started = thread_time()
        try:
            return self._inner.throw(error, *rest)
        finally:
            self._took(thread_time() - started)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._inner.__await__()

    def _took(self, seconds: float) -> None:
        self._longest[self.__qualname__] = max(self._longest[self.__qualname__], seconds)
