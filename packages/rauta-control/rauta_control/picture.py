"""One moment of the gateway, as control knows it: what the views and the metrics are made from. Pure.

Nothing in a picture changes after it was taken, but for the counters, which are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rauta_control.condition import Status
from rauta_control.counters import Counters
from rauta_control.finding import Finding
from rauta_control.ir import Resource
from rauta_control.limits import Limits
from rauta_control.messages import Bound
from rauta_control.world import Key


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A live worker: the `generation` it acknowledged (-1: none yet), and why it refuses a newer one, if it does."""

    index: int
    pid: int
    generation: int
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """See the module. Times are in seconds."""

    version: str
    uptime: float
    generation: int  # published last, -1 before the first
    config_age: float | None  # since it was published
    ready: bool
    draining: bool
    expected_workers: int
    workers: tuple[WorkerStatus, ...]  # those alive
    resources: Mapping[str, Resource]  # by key, with slots, in the order in which they are configured
    bound: Mapping[str, Bound]  # by listener
    problems: tuple[str, ...]
    counters: Counters
    limits: Limits = field(default_factory=Limits)
    statuses: Mapping[Key, Status] = field(default_factory=dict)  # of the objects of sources
    findings: tuple[Finding, ...] = ()  # in no order
    steps: Mapping[str, float] = field(default_factory=dict)  # control's longest, CPU time, by task
