"""The order of things: all proxies of a row are started, warmed by one slice that is thrown away, and then take
turns, slice by slice.

Turns, because a shared machine drifts by more than the differences that matter: what disturbs one proxy's slice
disturbs the next one's too. All started at once, because a proxy with warm pools and caches is what is run in
earnest; idle they cost their core well under a percent (`waited %` would show it). Who goes first rotates. A proxy that
is wrong, or dies, has failed slices, never fast ones.
"""

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from . import cpu
from .backend.start import backends
from .instance import Instance, started
from .machine import Cores
from .peers import Proxy
from .process import BenchError
from .rows import Row, Sample, Size, Turn
from .setup import Setup
from .stats import quantile
from .wire import WrongAnswerError

LOGGED = 0.9  # of the requests must be in the access log: it may drop some under pressure, it may not be off
DISTURBED = 0.05  # of a slice the proxy waited for its core: more, and the slice is taken again
RETAKES = 3  # times at most, all in all
FLUSH = 1.5  # seconds for the last buffer of the log


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, with whom. `binaries` are those of `proxies`, by name."""

    rows: Sequence[Row]
    proxies: Sequence[Proxy]
    binaries: Mapping[str, Path]
    nginx: Path | None  # the fast backend
    slices: int
    size: Size
    cores: Cores
    scratch: Path


@dataclass(slots=True)
class Result:
    """The samples of one row, by proxy, slice by slice."""

    row: Row
    target: float = 0.0
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def values(self, proxy: str, key: str) -> list[float | None]:
        """One measure, None for failed slices."""
        return [None if sample.failure else sample.values[key] for sample in self.samples[proxy]]

    def good(self, proxy: str, key: str) -> list[float]:
        """One measure of the slices that did not fail."""
        return [value for value in self.values(proxy, key) if value is not None]

    def failures(self, proxy: str) -> list[str]:
        """What went wrong, slice by slice."""
        return [sample.failure for sample in self.samples[proxy] if sample.failure]


# what a wrong, slow or dead proxy makes the rows raise; ValueError and KeyError from answers that cannot be read
WRONG = (WrongAnswerError, BenchError, OSError, ValueError, KeyError, cpu.GoneError)

Say = Callable[[str], None]
T = TypeVar("T")


def run(plan: Plan, say: Say) -> Iterator[Result]:
    """All rows, one after another; `say` hears about progress."""
    earlier: dict[str, float] = {}
    for number, row in enumerate(plan.rows, 1):
        say(f"row {number} of {len(plan.rows)}: {row.name} ({row.title})")
        result = _Run(plan, row, say).all(earlier)
        if row.name == "distinct":
            rates = {name: result.good(name, "rps") for name in result.samples}
            earlier = {name: quantile(found, 0.5) for name, found in rates.items() if found}
        yield result


class _Run:
    """One row."""

    def __init__(self, plan: Plan, row: Row, say: Say) -> None:
        self._plan = plan
        self._row = row
        self._say = say
        self._proxies = [proxy for proxy in plan.proxies if not proxy.rows or row.name in proxy.rows]
        self._result = Result(row, samples={proxy.name: [] for proxy in self._proxies})
        self._seed = zlib.crc32(row.name.encode()) & 0xFFFF0000

    def all(self, earlier: Mapping[str, float]) -> Result:
        """Start what is needed, take the turns."""
        with backends(self._plan.nginx, self._plan.cores.load, self._plan.scratch) as behind:
            setup = self._row.setup(behind)
            if self._row.fresh:
                self._each_new(setup)
            else:
                self._interleaved(setup, earlier)
        return self._result

    def _start(self, stack: ExitStack, proxy: Proxy, setup: Setup) -> Instance | None:
        """A running proxy; None, and all its slices failed, if it does not start or answers wrongly."""
        try:
            return stack.enter_context(
                started(proxy, self._plan.binaries[proxy.name], setup, self._plan.cores, self._plan.scratch)
            )
        except (BenchError, WrongAnswerError, OSError) as error:
            self._say(f"  {proxy.name} FAILED to start: {error}")
            self._result.samples[proxy.name] += [Sample(failure=f"it did not start: {error}")]
            return None

    def _slices(self) -> int:
        return min(self._plan.slices, self._row.most)

    def _each_new(self, setup: Setup) -> None:
        for turn in range(self._slices()):
            for proxy in _rotated(self._proxies, turn):
                with ExitStack() as stack:
                    instance = self._start(stack, proxy, setup)
                    if instance:
                        self._take(instance, turn)

    def _interleaved(self, setup: Setup, earlier: Mapping[str, float]) -> None:
        with ExitStack() as stack:
            running = [instance for proxy in self._proxies if (instance := self._start(stack, proxy, setup))]
            if not running:
                return
            for instance in running:  # the thrown-away slice
                self._take(instance, -1, count=False)
                instance.lines()
            try:
                if self._row.calibrate:
                    self._result.target = self._row.calibrate(running, earlier, self._plan.size)
            except WRONG as error:
                self._say(f"  {self._row.name} FAILED: {error}")
                for instance in running:
                    self._result.samples[instance.name] += [Sample(failure=f"calibration: {error}")]
                return
            lines = dict.fromkeys((instance.name for instance in running), 0)
            for turn in range(self._slices()):
                for instance in _rotated(running, turn):
                    self._take(instance, turn)
                    lines[instance.name] += instance.lines()
            _wait_for_logs(running, lines)
            self._check_logs(running, lines)

    def _take(self, instance: Instance, turn: int, *, count: bool = True) -> None:
        """A slice of its own; taken again if somebody else used the proxy's core, of which the least disturbed counts.

        What is taken again is decided by what others did, never by the result.
        """
        sample = self._once(instance, turn, 0)
        for again in range(1, RETAKES if count else 1):
            if sample.failure or sample.values.get("waited", 0.0) <= DISTURBED:
                break
            second = self._once(instance, turn, again)
            if second.failure or second.values["waited"] < sample.values["waited"]:
                second.logged += sample.logged
                sample = second
            else:
                sample.logged += second.logged
        if count:
            self._result.samples[instance.name].append(sample)

    def _once(self, instance: Instance, turn: int, again: int) -> Sample:
        """One slice; whatever goes wrong in it is its failure."""
        try:
            sample = self._row.slice(
                Turn(instance, self._seed + (turn + 1) * RETAKES + again, self._plan.size, self._result.target)
            )
        except WRONG as error:
            sample = Sample(failure=f"{type(error).__name__}: {error}")
        if sample.failure:
            self._say(f"  {instance.name} slice {turn + 1} FAILED: {sample.failure}")
        return sample

    def _check_logs(self, running: list[Instance], lines: Mapping[str, int]) -> None:
        for instance in running:
            samples = self._result.samples[instance.name]
            due = sum(sample.logged for sample in samples)
            if instance.is_proxy and lines[instance.name] < LOGGED * due:
                wrong = f"its access log has {lines[instance.name]} lines for {due} requests"
                self._say(f"  {instance.name} FAILED: {wrong}")
                for sample in samples:
                    sample.failure = sample.failure or wrong


def _wait_for_logs(running: list[Instance], lines: dict[str, int]) -> None:
    time.sleep(FLUSH)
    for instance in running:
        lines[instance.name] += instance.lines()


def _rotated(items: Sequence[T], turn: int) -> list[T]:
    """The same, beginning with another one each turn."""
    at = turn % len(items)
    return [*items[at:], *items[:at]]
