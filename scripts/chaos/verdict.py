"""What a fault was to show, and what was seen. Pure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One criterion, what was measured, and whether that meets it."""

    criterion: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """`number` names it to `--faults`, and stays its own. `run(size)`: 1 is all of it, less for a smoke test."""

    number: int
    title: str
    run: Callable[[float], Awaitable[list[Verdict]]]
    smoke: bool = False


def at_most(criterion: str, value: float, limit: float, unit: str = "") -> Verdict:
    """`value` must not be more than `limit`."""
    return Verdict(f"{criterion} <= {limit:g}{unit}", f"{value:.6g}{unit}", value <= limit)


def exactly(criterion: str, value: object, wanted: object) -> Verdict:
    """`value` must be `wanted`."""
    return Verdict(f"{criterion}: {wanted}", str(value), value == wanted)


def lines(verdicts: list[Verdict]) -> list[str]:
    """Lines to print, one each."""
    return [f"   {'ok    ' if each.met else 'FAILED'} {each.criterion}; seen: {each.measured}" for each in verdicts]


def report(fault: Fault, verdicts: list[Verdict]) -> list[str]:
    """Lines to print."""
    return [f"{fault.number:>2} {fault.title}", *lines(verdicts)]
