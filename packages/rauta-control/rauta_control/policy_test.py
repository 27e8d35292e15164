"""Timeouts and retries: what a rule's words mean, what is worth another attempt, what the budget allows."""

from __future__ import annotations

import pytest

from rauta_control import ir
from rauta_control.action import Retry
from rauta_control.policy import DEFAULT, DEFAULT_ATTEMPTS, DEFAULT_BACKOFF, Policy, affordable
from rauta_control.reasons import Reason


def rule(*, request: int = -1, backend: int = -1, retry: Retry | None = None) -> ir.Rule:
    return ir.Rule("r", "app", "l|*", "/", "prefix", (), request_timeout=request, backend_timeout=backend, retry=retry)


def given(**what: object) -> Policy:
    policy = Policy.of(rule(**what))  # type: ignore[arg-type]
    assert policy is not None
    return policy


def test_a_rule_without_a_word_has_no_policy() -> None:
    assert Policy.of(rule()) is None


def test_zero_is_no_limit_and_not_the_gateways_own() -> None:
    none = given(request=0)
    assert (none.request, none.backend, none.limited) == (0, 0, False)
    assert not given(backend=0).limited
    assert given(retry=Retry()).limited
    assert given(request=1500, backend=20).request == 1.5


def test_what_the_stanza_leaves_open_has_defaults() -> None:
    assert (given(retry=Retry()).attempts, given(retry=Retry()).backoff) == (DEFAULT_ATTEMPTS, DEFAULT_BACKOFF)
    assert given(retry=Retry(attempts=0)).attempts == 0
    assert given(retry=Retry(backoff=0)).backoff == 0


def test_a_wait_is_never_shorter_than_specified_and_grows_within_bounds() -> None:
    policy = given(retry=Retry(attempts=100, backoff=100))
    assert [round(policy.wait(number, 0), 3) for number in (1, 2, 3, 4, 5, 6, 100)] == [0.1, 0.2, 0.4, 0.8, 1, 1, 1]
    assert policy.wait(1, 0.999) < 0.15


def test_four_retries_by_default_fit_into_400_ms() -> None:
    """The conformance suite (HTTPRouteRetryWithTimeouts) leaves that much."""
    policy = given(retry=Retry(attempts=5, codes=(500,)))
    assert sum(policy.wait(number, 1) + 0.02 for number in range(1, 5)) < 0.35


@pytest.mark.parametrize(
    ("reason", "status", "safe", "again"),
    [
        (None, 503, False, True),
        (None, 500, True, False),
        (None, 200, True, False),
        (Reason.UPSTREAM_CONNECT, 0, True, True),
        (Reason.UPSTREAM_RESET, 0, True, True),
        (Reason.UPSTREAM_RESET, 0, False, False),
        (Reason.BACKEND_TIMEOUT, 0, True, True),
        (Reason.BACKEND_TIMEOUT, 0, False, False),
        (Reason.UPSTREAM_INVALID, 0, True, False),
    ],
)
def test_what_is_tried_again(reason: Reason | None, status: int, *, safe: bool, again: bool) -> None:
    assert given(retry=Retry(codes=(503,))).retries(reason, status, safe=safe) is again


def test_without_a_stanza_only_what_came_to_no_connection_is_tried_again() -> None:
    assert DEFAULT.retries(Reason.UPSTREAM_CONNECT, 0, safe=True)
    assert DEFAULT.retries(Reason.UPSTREAM_RESET, 0, safe=True)
    assert not DEFAULT.retries(Reason.UPSTREAM_RESET, 0, safe=False)
    assert not DEFAULT.retries(Reason.UPSTREAM_TIMEOUT, 0, safe=True)
    assert not DEFAULT.retries(None, 503, safe=True)
    assert DEFAULT.attempts == 1


@pytest.mark.parametrize(
    ("retries", "requests", "fine"),
    [(0, 1, True), (2, 3, True), (3, 3, False), (3, 22, False), (3, 23, True), (20, 120, False), (19, 120, True)],
)
def test_the_budget_is_a_fifth_and_three_at_least(retries: int, requests: int, *, fine: bool) -> None:
    assert affordable(retries, requests) is fine
