"""Criteria and how they are reported."""

import pytest

from .__main__ import FAULTS
from .verdict import Fault, Verdict, at_most, exactly, report


@pytest.mark.parametrize(
    ("verdict", "met"),
    [
        (at_most("x", 1.0, 1.0, " s"), True),
        (at_most("x", 1.1, 1.0, " s"), False),
        (at_most("x", float("inf"), 1.0), False),
        (exactly("x", 0, 0), True),
        (exactly("x", ["cut"], ["cut", "cut"]), False),
    ],
)
def test_criteria(verdict: Verdict, met: bool) -> None:
    assert verdict.met is met


def test_a_report_says_what_was_wanted_and_what_was_seen() -> None:
    async def run(_: float) -> list[Verdict]:
        return []

    lines = report(Fault(3, "fire", run), [at_most("smoke", 2, 1, " s"), exactly("failed", 0, 0)])
    assert lines == [" 3 fire", "   FAILED smoke <= 1 s; seen: 2 s", "   ok     failed: 0; seen: 0"]


def test_each_fault_has_a_number_of_its_own() -> None:
    assert len({fault.number for fault in FAULTS}) == len(FAULTS)
