"""The figures as people and programs get them."""

import json
from collections.abc import Mapping

from . import report
from .backend.start import Backends
from .rows import Row, Sample, Size, Turn
from .rows.model import CPU, P50, WAITED
from .runner import Result
from .setup import Setup

FACTS = {
    "when": "today",
    "commit": "abc",
    "cpu": "X",
    "cores": 2,
    "virtual": "no",
    "kernel": "Linux",
    "tcp": "cubic",
    "python": "CPython",
}


def _slice(_: Turn) -> Sample:
    return Sample()


def _setup(_: Backends) -> Setup:
    return Setup(())


def made(samples: Mapping[str, list[Sample]]) -> report.Json:
    result = Result(Row("distinct", "every head different", (CPU, P50, WAITED), _slice, _setup), samples=dict(samples))
    return report.document(FACTS, {"nginx": "1.31.3"}, 2, Size(), [result])


def sample(us: float) -> Sample:
    return Sample({"cpu": us * 1000, "p50": 1500.0, "waited": 0.01})


GOOD = made({"rauta": [sample(30), sample(32), sample(34)], "nginx": [sample(20), sample(16), sample(20)]})


def test_the_document_holds_samples_summary_and_ratios() -> None:
    entry = json.loads(json.dumps(GOOD))["rows"][0]["proxies"]["nginx"]
    assert entry["samples"][1]["cpu"] == 16_000
    assert entry["summary"]["cpu"]["median"] == 20_000
    assert entry["ratio"] == 1.6
    assert entry["paired_ratio"] == 1.7
    assert report.failed(GOOD) == []


def test_the_table_has_median_quartiles_and_ratios() -> None:
    text = "\n".join(report.table(GOOD))
    assert "distinct: every head different" in text
    assert "32.0 (31.0-33.0)" in text
    assert "1.60" in text


def test_the_markdown_names_machine_and_versions() -> None:
    text = "\n".join(report.markdown(GOOD))
    assert "commit abc" in text
    assert "nginx 1.31.3" in text
    assert "| nginx | 20.0 (18.0-20.0) | 1.50 | 1 | 1.60 | 1.70 |" in text


def test_a_failed_slice_is_loud_and_counts_for_nothing() -> None:
    broken = made({"rauta": [sample(30), sample(30)], "nginx": [Sample(failure="status 502"), sample(20)]})
    assert report.failed(broken) == ["distinct: nginx FAILED 1 of 2 slices: status 502"]
    assert broken["rows"][0]["proxies"]["nginx"]["paired_ratio"] == 1.5
    assert "FAILED 1 of 2" in "\n".join(report.markdown(broken))


def test_a_row_whose_proxies_shared_their_core_is_named() -> None:
    shared = made({"nginx": [Sample({"cpu": 1.0, "p50": 1.0, "waited": 0.4})], "envoy": [sample(50)]})
    assert report.disturbed(shared) == ["distinct: do not trust it, they waited for their core: nginx 40% of the time"]
    assert report.disturbed(GOOD) == []


def test_without_rauta_there_are_no_ratios() -> None:
    assert "rauta" not in "\n".join(report.table(made({"nginx": [sample(20)]})))


def test_a_proxy_with_nothing_but_failures_has_no_figures() -> None:
    text = "\n".join(report.table(made({"rauta": [sample(30)], "envoy": [Sample(failure="it did not start")]})))
    assert any(line.split() == ["envoy", "FAILED"] for line in text.splitlines())
