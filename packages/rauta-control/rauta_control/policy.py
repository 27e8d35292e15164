"""Timeouts and retries of a rule: what they mean, what is tried again and when. Pure; attempts.py carries it out.

Timeouts (GEP-1742). `request` runs from the end of the request's head to the end of its response, over all attempts: it
is what the client is promised, so a slow upload is part of it. `backend` runs from the moment an attempt begins, its
connection included, to the end of its response, but not before the request is complete (as in Envoy): a backend is not
blamed for a slow upload. Both go on while the client is slow to take the response (as in Envoy). Zero means none. Where
a rule gives either, the gateway's own limit for heads of responses (upstream.py) does not apply. A response that is
silent for minutes is cut all the same, and so is a request of which the backend takes nothing.

Retries (GEP-1731). With a `retry` stanza, a request is tried again

* if nothing of it was sent, because no connection could or may be made: whatever the method;
* if the connection broke, or `backend` passed, before the head of the response was whole: only idempotent methods, as
  the request may have been carried out. What came of the head is dropped, as by Envoy (`reset`) and nginx (`error`);
* if the response has one of `codes`: whatever the method, for who lists a code says that it may be tried again;

each only while all of the request that was sent is retained (64 KiB of a body) and the client has heard nothing. When
no attempt is left or the budget is used up, the client gets the last response as it is.

Without a stanza, a failed connection, or one too many, is tried once more, at once, at another endpoint if there is
one. So is an idempotent request whose connection broke before the head of an answer was whole: a backend that takes
connections only to break them, as one does that ends, or a relay before a dead one, is as good as none (nginx does that
by default, Envoy and HAProxy if told to). But that is a matter of the budget, of its minimum: where all break theirs,
requests must not double. `attempts: 0` forbids all of it. That an idempotent request is sent once more when a pooled
connection turns out to be dead is no retry, but counts as one.
"""

from __future__ import annotations

from rauta_control import ir
from rauta_control.action import UNSET, Retry
from rauta_control.reasons import Reason

# Where the stanza does not say. What it says is kept exactly.
DEFAULT_ATTEMPTS = 2  # after the first; Envoy Gateway's numRetries
DEFAULT_BACKOFF = 0.01  # seconds; Envoy waits 0-25 ms before the first retry
LONGEST_GROWTH = 10  # a wait doubles each time, up to so many times the first; Envoy's maximum interval
JITTER = 0.5  # of a wait, added at random: never less than what was specified

BUDGET_SHARE = 5  # one retry may be under way for so many requests that are not being retried: Envoy's 20 %
BUDGET_MINIMUM = 3  # and so many always may; Envoy's

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))  # RFC 9110 9.2.2
RETAINED = 65_536  # bytes of a body that are kept for another attempt

#: There was no connection: nothing was sent.
CONNECT_FAILURES = frozenset((Reason.UPSTREAM_CONNECT, Reason.UPSTREAM_CONNECT_TIMEOUT, Reason.UPSTREAM_OVERFLOW))
#: An attempt ended without a response. If it was sent, nobody knows what the backend did.
_FAILURES = CONNECT_FAILURES | {Reason.UPSTREAM_RESET, Reason.UPSTREAM_TIMEOUT, Reason.BACKEND_TIMEOUT}


class Policy:
    """One rule's. `request` and `backend` are seconds, 0 for none; `attempts` are those after the first.

    `limited`: the gateway's own limit for response heads applies; `stanza`: the rule says when to retry.
    """

    __slots__ = ("attempts", "backend", "backoff", "codes", "limited", "request", "stanza")

    def __init__(self, request: int, backend: int, retry: Retry | None) -> None:
        self.request = max(0, request) / 1000
        self.backend = max(0, backend) / 1000
        self.limited = request == backend == UNSET
        self.stanza = retry is not None
        self.attempts = 1
        self.codes: frozenset[int] = frozenset()
        self.backoff = 0.0
        if retry is not None:
            self.attempts = DEFAULT_ATTEMPTS if retry.attempts == UNSET else retry.attempts
            self.backoff = DEFAULT_BACKOFF if retry.backoff == UNSET else retry.backoff / 1000
            self.codes = frozenset(retry.codes)

    @classmethod
    def of(cls, rule: ir.Rule) -> Policy | None:
        """Return what `rule` asks for; None if it asks for nothing."""
        if rule.retry is None and rule.request_timeout == rule.backend_timeout == UNSET:
            return None
        return cls(rule.request_timeout, rule.backend_timeout, rule.retry)

    def retries(self, reason: Reason | None, status: int, *, safe: bool) -> bool:
        """Whether to try again what failed with `reason`, or was answered with `status` if that is None.

        `safe`: it may be repeated although it may have been carried out, or it was not.
        """
        if not self.stanza:
            return reason in CONNECT_FAILURES or (safe and reason is Reason.UPSTREAM_RESET)
        return status in self.codes if reason is None else safe and reason in _FAILURES

    def wait(self, attempt: int, chance: float) -> float:
        """Return the seconds to wait before retry number `attempt` (from 1), for a random `chance` in [0, 1)."""
        return self.backoff * min(1 << min(attempt - 1, 10), LONGEST_GROWTH) * (1 + JITTER * chance)


#: For rules that ask for nothing.
DEFAULT = Policy(UNSET, UNSET, None)


def affordable(retries: int, requests: int) -> bool:
    """Whether another retry is within the budget, when `retries` of a cluster's `requests` are being retried."""
    return retries < BUDGET_MINIMUM or retries < (requests - retries) // BUDGET_SHARE
