"""Carries out a treatment: the way of a request whose rule wants more than that it is sent on.

The other requests never come here (downstream.py). Here, and only here, a request may cost an object: what its response
needs to know is kept in an Exchange until the request is over.
"""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.head import RequestHead
    from rauta_control.treatment import Treatment


class Exchange:
    """One treated request. While a request has one, its response head is not passed on as it came."""

    __slots__ = ("treatment",)

    def __init__(self, treatment: Treatment) -> None:
        self.treatment = treatment

    def response_fields(self, fields: bytes) -> bytes:
        """Return status line and field lines for the client; those that frame the response follow later."""
        edit = self.treatment.response
        return fields if edit is None else edit.apply(fields)


def treat(
    request: Downstream, treatment: Treatment, head: RequestHead, data: bytes, end: int, forwarded_host: bytes
) -> None:
    """Go on with a request whose rule is decided; its head is `data` up to the blank line at `end`."""
    rule = request.rule
    assert rule is not None  # noqa: S101 - for the type checker: the treatment is its own
    request.exchange = Exchange(treatment)
    request.plain = False
    cluster = rule.cluster or rule.draw(random())  # noqa: S311 - shares, not secrets
    if cluster is None:
        request.fail(rule.nobody)
        return
    endpoint = cluster.pick(cluster.flow(request.flow, request.client, data[: end + 2]))
    if endpoint is None:
        request.fail(Reason.NO_ENDPOINTS)
        return
    request.endpoint = endpoint
    own = head.fields
    if own is None:
        own = data[data.find(b"\n") + 1 : end + 2]
    fields = b"%b%b%bX-Request-Id: %b\r\n" % (own, request.forwarded, forwarded_host, request.request_id)
    if treatment.request is not None:
        fields = treatment.request.apply(fields)
    request.dispatch(endpoint, b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, fields))
