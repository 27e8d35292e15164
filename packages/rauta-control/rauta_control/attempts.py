"""The attempts of one request: carries out what policy.py says, over the connections that upstream.py makes.

A request has an Attempts if its rule gives timeouts or retries, from its head on; any other gets one when the first
connection for it fails. Whoever sees an attempt fail (worker.py: no connection; upstream.py: broken, silent, a status)
asks `again`; if that says yes, lets go of the request and calls `proceed`.
"""

from __future__ import annotations

from random import random
from time import monotonic
from typing import TYPE_CHECKING

from rauta_control import replay
from rauta_control.ledger import record_attempt
from rauta_control.policy import IDEMPOTENT, affordable
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital
from rauta_control.wheel import NEVER

if TYPE_CHECKING:
    from asyncio import Task

    from rauta_control.cluster import Cluster, Endpoint
    from rauta_control.downstream import Downstream
    from rauta_control.policy import Policy
    from rauta_control.table import Rule


BREATH = 0.001  # seconds; where there is no room for a connection, hundreds of tries at once would be a deep recursion


class Attempts:
    """Deadlines and tries of one request. `number` of them were retries, `began` is when the present one did."""

    __slots__ = (
        "_attempt_due",
        "_head",
        "_request",
        "_request_due",
        "_retrying",
        "_tried",
        "_wait",
        "_waiting",
        "began",
        "bucket",
        "cluster",
        "due",
        "gate",
        "heard",
        "number",
        "policy",
    )

    def __init__(self, request: Downstream, policy: Policy) -> None:
        self.policy = policy
        self.number = 0
        self.heard = False  # the client has heard an interim response
        self.gate: Task[None] | None = None  # what decides whether there will be a first one
        self.began = request.started
        self.due = NEVER
        self.bucket = 0
        self._request = request
        self.cluster: Cluster | None = None  # that was drawn
        self._head = b""  # what each attempt begins with
        self._tried: list[Endpoint] = []
        self._retrying = False  # and counted as such by the cluster
        self._waiting = False  # the next attempt has not begun yet
        self._wait = 0.0  # seconds
        self._request_due = self._attempt_due = NEVER
        if policy.codes:
            request.plain = False
        if policy.request:
            self._request_due = request.worker.loop.time() + policy.request

    def begin(self, endpoint: Endpoint, head: bytes) -> None:
        """The first attempt begins: `head`, and what follows it, goes to `endpoint`."""
        rule = self._request.rule
        self._head = head
        self._tried.append(endpoint)
        if self.cluster is None and rule is not None:
            self.cluster = _cluster(rule, endpoint)
        if self.policy.stanza and self.cluster is not None:
            self.cluster.requests += 1
        self.limit()

    def limit(self) -> None:
        """The time of the present attempt, if there is one, begins if the request is complete."""
        if self._head and not self._waiting:
            if self.policy.backend and self._request.complete():
                self._attempt_due = self._request.worker.loop.time() + self.policy.backend
            self.watch()

    def watch(self) -> None:
        """Have `lapse` called when time is up."""
        self._request.worker.wheel.set(self, min(self._attempt_due, self._request_due))

    def replayable(self) -> bool:
        """Whether there may be an attempt that is due to a stale connection: it waits for nothing, but it counts."""
        return not self.policy.stanza or self.number < max(1, self.policy.attempts)

    def replayed(self) -> None:
        """There is one."""
        if self.policy.stanza:
            self.number += 1
            record_attempt(self._request, 0, self.began, made=False)

    def made(self, reason: Reason | None) -> bool:
        """Whether the present attempt, which ends for `reason`, was more than a wait or a look for room."""
        return not self._waiting and reason is not Reason.UPSTREAM_OVERFLOW

    def again(self, reason: Reason | None, status: int = 0) -> bool:
        """Whether to try again after an attempt that failed with `reason`, or was answered with `status` if None.

        If so, what was sent waits to be sent once more.
        """
        request, policy = self._request, self.policy
        if self.number >= policy.attempts or request.status or self.heard or not self._head:
            return False
        outgoing = request.outgoing
        unsent = bool(outgoing) and outgoing[0] is self._head
        if not policy.retries(reason, status, safe=unsent or request.method in IDEMPOTENT):
            return False
        if not unsent and not replay.retains(request):
            return False
        if not policy.stanza and self._pick() in (None, *self._tried):
            return False
        self._release()
        if (policy.stanza or not unsent) and not self._reserve():
            return False
        self.number += 1
        self._wait = policy.wait(self.number, random())  # noqa: S311 - spreads load
        if reason is Reason.UPSTREAM_OVERFLOW and policy.stanza:
            self._wait = self._wait or BREATH
        record_attempt(request, status, self.began, made=self.made(reason))
        if not unsent:
            replay.rewind(request, self._head)
        request.plain = False  # so that `answered` is called
        return True

    def answered(self) -> None:
        """The client gets the present attempt's answer, which may take hours: nothing is retried any more."""
        self._release()

    def proceed(self) -> None:
        """Begin the next attempt, once its wait is over."""
        self._attempt_due = NEVER
        worker = self._request.worker
        self._waiting = True
        if self._wait:
            worker.wheel.set(self, min(worker.loop.time() + self._wait, self._request_due))
            self._request.regulate()
        else:
            self._start()

    def _start(self) -> None:
        request = self._request
        endpoint = self._pick()
        if endpoint is None:
            request.fail(Reason.NO_ENDPOINTS)
            return
        self._waiting = False
        self.began = monotonic()
        self._tried.append(endpoint)
        request.endpoint = endpoint
        self.limit()
        request.send(endpoint)

    def lapse(self) -> None:
        """A deadline has passed: the request's, the attempt's, or that of waiting for the next attempt."""
        request = self._request
        endpoint = request.endpoint
        whole = request.worker.loop.time() >= self._request_due
        if self._waiting and not whole:
            self._start()
            return
        # A slow upload is not the endpoint's fault; but without a connection, or being asked for, nothing of it comes.
        due = request.complete() or request.upstream is None or request.withholds()
        slow = request.blocked or not due
        if not self._waiting and endpoint is not None and not slow:
            request.worker.count_failure(endpoint)
        if whole:
            request.fail(Reason.REQUEST_TIMEOUT)
        else:
            request.detach()
            request.failed(Reason.BACKEND_TIMEOUT)

    def settle(self) -> None:
        """The request has become a tunnel (tunnel.py), which has a time of its own."""
        self.answered()
        self._attempt_due = self._request_due = NEVER
        if self.bucket:
            self._request.worker.wheel.clear(self)

    def stop(self) -> None:
        """The request is over."""
        if self.bucket:
            self._request.worker.wheel.clear(self)
        if self.gate is not None:
            self.gate.cancel()
            self.gate = None
        self._release()
        if self.policy.stanza and self.cluster is not None:
            self.cluster.requests -= 1
        self.cluster = None

    def label(self, endpoint: bytes) -> bytes:
        """Return what the access log says of endpoint and attempts."""
        return b'%b"attempts":%d,' % (endpoint, self.number + 1) if self.number else endpoint

    def _pick(self) -> Endpoint | None:
        cluster, request = self.cluster, self._request
        if cluster is None:
            return None
        flow = cluster.flow(request.flow, request.client, self._head[:-2])
        return cluster.pick(flow, self._tried)

    def _reserve(self) -> bool:
        """Claim a part of the budget of retries; False if that is used up."""
        cluster = self.cluster
        if cluster is not None:
            if not affordable(cluster.retries, cluster.requests):
                self._request.worker.vitals[Vital.RETRIES_DENIED] += 1
                return False
            cluster.retries += 1
            self._retrying = True
        return True

    def _release(self) -> None:
        if self._retrying and self.cluster is not None:
            self._retrying = False
            self.cluster.retries -= 1


def _cluster(rule: Rule, endpoint: Endpoint) -> Cluster | None:
    """Return the cluster through which `rule` led to `endpoint`; None if it can have been one of several."""
    if rule.cluster is not None:
        return rule.cluster
    found = {cluster for cluster, _ in rule.shares if cluster is not None and endpoint in cluster.endpoints}
    return found.pop() if len(found) == 1 else None
