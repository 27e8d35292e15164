import json

import pytest

from . import results
from .results import Outcome, Results


def feed(*events: tuple[str, str, str]) -> Results:
    """Results of (action, path below the root, output)."""
    found = Results()
    for action, path, output in events:
        test = f"{results.ROOT}/{path}" if path else results.ROOT
        found.feed(json.dumps({"Action": action, "Test": test, "Output": output + "\n", "Elapsed": 1.5}))
    return found


ASSERTION = [
    "    helpers.go:510: ",
    "        \tError Trace:\tmodule/helpers.go:823",
    "        \t            \t\t\t\tmodule/helpers.go:1327",
    "        \tError:      \tReceived unexpected error:",
    '        \t            \terror fetching HTTPRoute: Get "https://10.0.0.1:1/apis/x": context deadline exceeded',
    "        \tTest:       \tTestConformance/A",
    "        \tMessages:   \terror waiting for parents",
]


def test_an_assertion_is_told_with_its_message_its_subtest_and_what_was_logged_before() -> None:
    found = feed(
        ("run", "A", "=== RUN"),
        ("output", "A", "    conformance.go:72: 2026-11-22T23:53:07.6Z: Applying a.yaml"),
        ("output", "A/s", "    helpers.go:1: 2026-11-22T23:53:07.6Z: listener is not there"),
        ("output", "A/other", "    helpers.go:1: 2026-11-22T23:53:07.6Z: all well"),
        *(("output", "A/s", line) for line in ASSERTION),
        ("output", "A/s", "    apply.go:9: 2026-11-22T23:53:10.6Z: Deleting route"),
        ("fail", "A/s", ""),
        ("fail", "A", ""),
    )
    reason = "error waiting for parents: error fetching HTTPRoute: context deadline exceeded"
    assert found.outcomes == [Outcome("A", "failed", 1.5, reason, "s", "listener is not there")]


def test_without_an_assertion_the_last_log_of_the_first_failed_subtest_is_told() -> None:
    found = feed(
        ("output", "A/s", "    http.go:1: Wrong for request: {URL: {}}  not ready yet: status 404"),
        ("output", "A/s", "    http.go:2: timeout while waiting"),
        ("output", "A/s", '    mirror.go:3: Reading "logs"'),
        ("fail", "A/s", ""),
        ("output", "A/t", "    x.go:1: another"),
        ("fail", "A/t", ""),
        ("fail", "A", ""),
    )
    assert found.outcomes == [Outcome("A", "failed", 1.5, "timeout while waiting", "s", "Wrong: status 404")]


def test_only_the_first_assertion_counts() -> None:
    second = [line.replace("parents", "listeners") for line in ASSERTION]
    found = feed(*(("output", "A", line) for line in ASSERTION + second), ("fail", "A", ""))
    assert found.outcomes[0].reason.startswith("error waiting for parents")


def test_a_skip_says_what_is_missing() -> None:
    found = feed(("output", "A", "    conformance.go:57: Skipping A: suite does not support X"), ("skip", "A", ""))
    assert found.outcomes == [Outcome("A", "skipped", 1.5, "Skipping A: suite does not support X")]


def test_tests_of_other_names_do_not_mix() -> None:
    found = feed(("output", "A", "    x.go:1: of A"), ("output", "B", "    x.go:1: of B"), ("fail", "A", ""))
    assert found.outcomes[0].reason == "of A"


def test_failed_setup_is_a_failure() -> None:
    found = feed(*(("output", "", line) for line in ASSERTION), ("fail", "", ""))
    assert found.finish(1)[0].name == results.SETUP
    assert found.count("failed") == 1


def test_what_did_not_end_has_failed() -> None:
    found = feed(("run", "A", ""), ("output", "", "panic: test timed out after 1s"))
    assert [(each.name, each.reason) for each in found.finish(2)] == [
        ("A", "it did not end"),
        (results.SETUP, "panic: test timed out after 1s"),
    ]


@pytest.mark.parametrize("line", ["", "not JSON"])
def test_lines_that_are_no_events_are_left_out(line: str) -> None:
    assert Results().feed(line) is None


def test_nothing_is_added_to_a_run_that_passed() -> None:
    found = feed(("pass", "A", ""), ("pass", "", ""))
    assert found.finish(0) == []
    assert found.count("passed") == 1


def test_parallel_subtests_take_time_too() -> None:
    found = Results()
    for test, seconds in (("A/s", 30.0), ("A", 0.1)):
        found.feed(json.dumps({"Action": "pass", "Test": f"{results.ROOT}/{test}", "Elapsed": seconds}))
    assert found.outcomes == [Outcome("A", "passed", 30.0)]
