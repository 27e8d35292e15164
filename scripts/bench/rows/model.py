"""What a row of the benchmark is: a setup, a slice of work, and the measures that come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..backend.start import Backends
from ..instance import Instance
from ..setup import Setup


@dataclass(frozen=True, slots=True)
class Measure:
    """One column: the key in a sample, and how to print it. Less is better unless said."""

    key: str
    title: str
    scale: float = 1.0  # the sample's value divided by this is printed
    digits: int = 1
    quartiles: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; `--smoke` has its own."""

    seconds: float = 2.0
    body: int = 1 << 30
    connections: int = 4000
    streams: int = 50


@dataclass(frozen=True, slots=True)
class Turn:
    """One slice of one proxy.

    `target` is what the row's calibration found, 0 before; `seed` differs from slice to slice, not from proxy to proxy.
    """

    instance: Instance
    seed: int
    size: Size
    target: float = 0.0


@dataclass(slots=True)
class Sample:
    """What a slice found, by the keys of the measures. A `failure` makes the values void."""

    values: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    logged: int = 0  # lines the access log should have got


@dataclass(frozen=True, slots=True)
class Row:
    """`measures[0]` is the headline of the row: it gets the ratios."""

    name: str
    title: str
    measures: tuple[Measure, ...]
    slice: Callable[[Turn], Sample]
    setup: Callable[[Backends], Setup]
    needs: frozenset[str] = frozenset()  # "wrk", "nginx" (as the fast backend)
    fresh: bool = False  # a newly started proxy for each slice
    most: int = 1000  # slices; for rows whose figure hardly varies
    calibrate: Callable[[list[Instance], Mapping[str, float], Size], float] | None = None


CPU = Measure("cpu", "CPU us/request", 1e3, quartiles=True)
RATE = Measure("rps", "requests/s", digits=0, quartiles=True)
P50 = Measure("p50", "p50 ms", 1e3, 2)
P99 = Measure("p99", "p99 ms", 1e3, 2)
PSS = Measure("pss", "PSS MiB", 1 << 20)
BUSY = Measure("busy", "own core %", 0.01, 0)
WAITED = Measure("waited", "waited %", 0.01, 0)
