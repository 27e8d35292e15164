from . import tally
from .results import Outcome
from .tally import Entry

H, T = "GATEWAY-HTTP", "GATEWAY-TLS"
TESTS = {
    "A": Entry("A", ("Gateway",), {H: "core", T: "core"}, False, False),
    "B": Entry("B", ("Gateway", "X"), {H: "extended"}, True, True),
    "C": Entry("C", ("Mesh",), {}, False, False),
}
OUTCOMES = [
    Outcome("C", "skipped", 0.0, "Skipping C: suite does not support Mesh"),
    Outcome("B", "skipped", 0.0, "Skipping B: suite does not support X"),
    Outcome("A", "failed", 2.0, "wrong status", "sub", "404"),
]


def test_the_table_tells_failures_last_and_leaves_out_what_no_profile_has() -> None:
    assert tally.table(OUTCOMES, TESTS, (H,)) == [
        "skipped, suite does not support X: B",
        "failed   core        2.0 s  A",
        "         sub: wrong status",
        "         logged before: 404",
    ]


def test_the_summary_counts_by_profile_and_level() -> None:
    assert tally.summary(OUTCOMES, TESTS, (H, T)) == [
        "GATEWAY-HTTP: core 0 of 1 passed (1 failed); extended 0 of 1 passed (1 skipped)",
        "GATEWAY-TLS: core 0 of 1 passed (1 failed); extended 0 of 0 passed",
    ]


def test_tests_that_did_not_run_are_counted() -> None:
    assert tally.summary([], TESTS, (H,)) == [
        "GATEWAY-HTTP: core 0 of 1 passed (1 not run); extended 0 of 1 passed (1 not run)"
    ]


def test_a_report_that_leaves_out_a_failure_is_contradicted() -> None:
    failed = [Outcome("A", "failed", 0.0), Outcome("B", "failed", 0.0), Outcome("C", "passed", 0.0)]
    report = {"profiles": [{"core": {"failedTests": ["A"]}, "extended": None}]}
    assert tally.contradictions(failed, report) == ["B"]


def test_the_listing_has_the_tests_of_the_profiles() -> None:
    lines = tally.listing(TESTS.values(), (H,))
    assert [line.split() for line in lines] == [
        ["core", "A", "-", "-", "Gateway"],
        ["extended", "B", "parallel", "provisional", "Gateway", "X"],
    ]


def test_the_catalogue_is_read() -> None:
    written = {"name": "A", "features": ["Gateway"], "levels": {H: "core", T: "core"}}
    assert tally.tests_of([{**written, "parallel": False, "provisional": False}]) == {"A": TESTS["A"]}


def test_long_reasons_keep_their_beginning_and_their_end() -> None:
    text = tally.shorten("what" + "x" * 1000 + "why")
    assert len(text) <= tally.WIDTH
    assert text.startswith("what")
    assert text.endswith("why")
