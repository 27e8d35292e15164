"""Which of several replicas leads: the election by a Lease of coordination.k8s.io, as client-go does it. Pure.

    ask -> GET, POST or PUT of the Lease -> answered -> ask again when `due`

Clocks of machines are never compared: a holder is gone when its record has not changed for the time it promised, by our
own monotonic clock. Who cannot renew stops leading well before anyone else may begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from rauta_control.apianswer import Answer

VERSION = "coordination.k8s.io/v1"
DURATION = 15  # seconds after its last renewal in which a holder is left alone
DEADLINE = 10.0  # seconds after its last renewal for which a holder takes itself for one
RETRY = 2.0  # seconds between two renewals, and two looks at somebody else's


class Request(NamedTuple):
    """What to do with the Lease."""

    method: Literal["GET", "POST", "PUT"]
    body: dict[str, Any] | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None


class _Lease(msgspec.Struct, frozen=True):
    metadata: dict[str, Any]
    spec: _Spec = _Spec()


class Election:
    """One candidate, `identity`, for the Lease `name`. Times are monotonic seconds; `wall` is for people to read."""

    def __init__(self, identity: str, namespace: str, name: str) -> None:
        self.identity = identity
        self.due = 0.0  # when to ask again
        self.error = ""
        self._meta: Mapping[str, Any] = {"name": name, "namespace": namespace}
        self._lease: _Lease | None = None  # as it was last; None: unknown
        self._missing = False  # there is none
        self._observed = 0.0  # when its record was seen to change
        self._asked = 0.0
        self._renewed: float | None = None  # when the last renewal that was answered began; None: not the holder

    @property
    def holder(self) -> str:
        """Who leads, as far as is known."""
        return (self._lease.spec.holder_identity or "") if self._lease else ""

    def leading(self, now: float) -> bool:
        """Whether this one leads."""
        return self._renewed is not None and now < self._renewed + DEADLINE

    def ask(self, now: float, wall: datetime) -> Request:
        """What to do next."""
        self._asked = now
        if not self.leading(now):
            self._renewed = None
        if self._missing:
            return Request("POST", self._record(_Lease(dict(self._meta)), wall))
        if self._lease is not None and self._free(now):
            return Request("PUT", self._record(self._lease, wall))
        return Request("GET")

    def answered(self, request: Request, answer: Answer, now: float) -> None:
        """Take the answer."""
        self.error = ""
        self._missing = request.method == "GET" and answer.status == 404
        if answer.status in {200, 201}:
            try:
                self._take(request, msgspec.json.decode(answer.body, type=_Lease), now)
            except msgspec.MsgspecError as error:
                self.failed(f"the Lease cannot be read: {error}", now)
        elif self._missing or (answer.status in {404, 409} and request.method != "GET"):
            self._lease = self._renewed = None  # somebody else was faster: look
            self.due = now
        else:
            self.failed(answer.message, now)

    def failed(self, error: str, now: float) -> None:
        """There was no answer, or one that helps nobody."""
        self.error = error
        self.due = now + RETRY

    def release(self, wall: datetime) -> Request | None:
        """Stop leading; what to tell the others, so that they need not wait."""
        self._renewed = None
        if self._lease is None or self.holder != self.identity:
            return None
        body = self._record(self._lease, wall)
        body["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        return Request("PUT", body)

    def _take(self, request: Request, lease: _Lease, now: float) -> None:
        if self._lease is None or lease != self._lease:  # by its version too: not even its own clock is trusted
            self._observed = now
        self._lease = lease
        if request.method == "GET":
            if self.holder != self.identity:
                self._renewed = None
            self.due = now if self._free(now) else min(now + RETRY, self._end())
        else:
            self._renewed = self._asked
            self.due = self._asked + RETRY

    def _free(self, now: float) -> bool:
        return self.holder in {"", self.identity} or now >= self._end()

    def _end(self) -> float:
        promised = self._lease.spec.lease_duration_seconds if self._lease else None
        return self._observed + (promised or DURATION)

    def _record(self, old: _Lease, wall: datetime) -> dict[str, Any]:
        now = wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = old.spec.holder_identity == self.identity
        transitions = old.spec.lease_transitions or 0
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": old.spec.acquire_time if kept and old.spec.acquire_time else now,
            "renewTime": now,
            "leaseTransitions": transitions if kept or not old.spec.renew_time else transitions + 1,
        }
        return {"apiVersion": VERSION, "kind": "Lease", "metadata": old.metadata, "spec": spec}
