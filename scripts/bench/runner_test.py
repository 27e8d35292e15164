"""Which slices count: failed ones never, disturbed ones only if there is no better."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .backend.start import Backends
from .instance import Instance
from .machine import Cores
from .peers import DIRECT, Place
from .process import BenchError
from .rows import Measure, Row, Sample, Size, Turn
from .runner import Plan, Result, _rotated, _Run
from .setup import Setup, plain

CORES = Cores(0, 1)
INSTANCE = Instance(DIRECT, plain(1, 2), Place(Path("/scratch"), 1, 2, 3), None, CORES)


def _setup(_: Backends) -> Setup:
    return plain(1, 2)


def taken(outcomes: Iterator[Sample | Exception]) -> tuple[list[Sample], list[int], list[str]]:
    """The samples, seeds and messages of one slice whose attempts come out as given."""
    seeds: list[int] = []
    said: list[str] = []

    def work(turn: Turn) -> Sample:
        seeds.append(turn.seed)
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    row = Row("x", "x", (Measure("cpu", "CPU"),), work, _setup)
    run = _Run(Plan([row], [DIRECT], {}, None, 1, Size(), CORES, Path("/scratch")), row, said.append)
    run._take(INSTANCE, 0)
    return run._result.samples["direct"], seeds, said


def sample(waited: float, cpu: float = 1.0) -> Sample:
    return Sample({"cpu": cpu, "waited": waited}, logged=10)


def test_an_undisturbed_slice_is_taken_once() -> None:
    samples, seeds, _ = taken(iter([sample(0.01)]))
    assert (len(samples), len(seeds)) == (1, 1)


def test_of_disturbed_slices_the_least_disturbed_counts_and_all_are_in_the_log() -> None:
    samples, seeds, _ = taken(iter([sample(0.4, 1.0), sample(0.2, 9.0), sample(0.3, 0.5)]))
    assert [each.values["cpu"] for each in samples] == [9.0]
    assert samples[0].logged == 30
    assert len(set(seeds)) == 3


def test_a_failure_counts_even_when_the_slice_was_taken_again() -> None:
    samples, _, said = taken(iter([sample(0.4), Sample(failure="status 502")]))
    assert [each.failure for each in samples] == ["status 502"]
    assert "FAILED" in said[0]


@pytest.mark.parametrize("error", [OSError("reset"), BenchError("no wrk"), ValueError("no JSON")])
def test_whatever_goes_wrong_is_the_failure_of_the_slice(error: Exception) -> None:
    samples, _, _ = taken(iter([error]))
    assert str(error) in samples[0].failure


def test_failed_slices_have_no_values() -> None:
    row = Row("x", "x", (Measure("cpu", "CPU"),), lambda _: Sample(), _setup)
    result = Result(row, samples={"a": [sample(0, 5.0), Sample(failure="no")]})
    assert result.values("a", "cpu") == [5.0, None]
    assert result.good("a", "cpu") == [5.0]
    assert result.failures("a") == ["no"]


def test_a_proxy_of_some_rows_takes_part_in_these_only() -> None:
    row = Row("x", "x", (Measure("cpu", "CPU"),), lambda _: Sample(), _setup)
    for rows, expected in ((frozenset(), ["direct"]), (frozenset("x"), ["direct"]), (frozenset("y"), [])):
        proxy = replace(DIRECT, rows=rows)
        run = _Run(Plan([row], [proxy], {}, None, 1, Size(), CORES, Path("/scratch")), row, print)
        assert list(run._result.samples) == expected


def test_who_begins_rotates() -> None:
    assert [_rotated("abc", turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
