"""Carries out a treatment: the way of a request whose rule wants more than that it is sent on.

The other requests never come here (downstream.py). Here, and only here, a request may cost an object: what its response
or the rest of its body needs to know is kept in an Exchange until the request is over. The steps and their order are
those of treatment.py.
"""

from __future__ import annotations

from http import HTTPStatus
from random import random
from typing import TYPE_CHECKING

from rauta_control.cors import is_preflight, share
from rauta_control.handshake import TRAILERS
from rauta_control.reasons import Reason, Refused

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.downstream import Downstream
    from rauta_control.edit import Edit
    from rauta_control.head import RequestHead
    from rauta_control.mirror import Mirror
    from rauta_control.treatment import Treatment

_LINES = {int(each): b"HTTP/1.1 %d %b\r\n" % (each, each.phrase.encode()) for each in HTTPStatus}


class Exchange:
    """One treated request. `granted` are CORS fields, empty where the rule has no such policy."""

    __slots__ = ("edits", "granted", "mirrors", "request_edits")

    def __init__(self, edits: tuple[Edit, ...]) -> None:
        self.edits = edits
        self.granted = b""
        self.mirrors: list[Mirror] = []  # that want the rest of the body
        self.request_edits: tuple[Edit, ...] = ()  # past which no trailer gets

    def response_fields(self, fields: bytes) -> bytes:
        """Return status line and field lines for the client; those that frame the response follow later."""
        if self.granted:
            fields = share(fields, self.granted)
        for edit in self.edits:
            fields = edit.apply(fields)
        return fields

    def interim_fields(self, fields: bytes) -> bytes:
        """Return status line and fields of a 1xx response, without what the final one may not have of its backend."""
        if self.granted:
            fields = share(fields, b"")
        for edit in self.edits:
            fields = edit.strip(fields)
        return fields

    def own_answer(self, response: bytes) -> bytes:
        """Return an answer of RAUTA's own with what a browser needs to show it to a script. Otherwise it stays ours."""
        head, blank, body = response.partition(b"\r\n\r\n")
        return b"%b\r\n%b%b%b" % (head, self.granted, blank[2:], body)

    def body_came(self, request: Downstream) -> None:
        """The last of `outgoing` has come after the head: the mirrors get it, too."""
        last = request.complete()
        if last and request.decoder is not None:
            request.outgoing[-1] = request.decoder.strip_trailers(request.outgoing[-1], self.request_edits)
        for mirror in self.mirrors:
            mirror.take(request.outgoing[-1], last=last)

    def stop(self) -> None:
        """The request is over. What was to be copied of it and has not come does not come."""
        for mirror in self.mirrors:
            if mirror.unfinished:
                mirror.stop()


def edit_trailers(request: Downstream, head: RequestHead, edits: tuple[Edit, ...]) -> None:
    """Have no trailer of `request` get past these edits of its fields; it may have come with the head."""
    if request.decoder is None or head.wish != TRAILERS or not edits:
        return
    if request.exchange is None:
        request.exchange = Exchange(())
    request.exchange.request_edits += edits
    if request.complete():
        request.outgoing[-1] = request.decoder.strip_trailers(request.outgoing[-1], edits)


def treat(
    request: Downstream, treatment: Treatment, head: RequestHead, data: bytes, end: int, forwarded_host: bytes
) -> None:
    """Go on with a request whose rule is decided; its head is `data` up to the blank line at `end`."""
    rule = request.rule
    assert rule is not None  # noqa: S101 - for the type checker: the treatment is its own
    if treatment.shares:
        cluster, treatment = treatment.draw(random())  # noqa: S311 - shares, not secrets
    else:
        cluster = rule.cluster or rule.draw(random())  # noqa: S311 - shares, not secrets
    own = head.fields
    if own is None:
        own = data[data.find(b"\n") + 1 : end + 2]
    edit_trailers(request, head, treatment.request)
    if treatment.response or treatment.cors is not None:
        request.exchange = request.exchange or Exchange(())
        request.exchange.edits = treatment.response
        request.plain = False
    if (treatment.cors is not None or treatment.redirect is not None) and _answer(request, treatment, own):
        return
    if cluster is None:
        request.fail(rule.nobody)
        return
    endpoint = cluster.pick(cluster.flow(request.flow, request.client, data[: end + 2]))
    if endpoint is None:
        request.fail(Reason.NO_ENDPOINTS)
        return
    request.endpoint = endpoint
    if request.attempts is not None:
        request.attempts.cluster = cluster
    fields = b"%b%b%bX-Request-Id: %b\r\n" % (own, request.forwarded, forwarded_host, request.request_id)
    message = copied = treatment.edited(request.method, request.target, fields)
    if head.fields is not None and head.wish:
        message = request.grant(head.wish, message)
    if treatment.mirrors:
        _dispatch_and_copy(request, treatment, endpoint, message, copied)
    else:
        request.dispatch(endpoint, message)


def _answer(request: Downstream, treatment: Treatment, fields: bytes) -> bool:
    """Answer a request with these field lines where the rule does that itself; say whether."""
    if (sharing := treatment.cors) is not None and (exchange := request.exchange) is not None:
        origin = sharing.origin(fields)
        exchange.granted = sharing.granted(origin)
        if is_preflight(request.method, fields):
            if origin:
                exchange.granted = sharing.preflight(fields, origin)
                _respond(request, Reason.CORS_PREFLIGHT, Reason.CORS_PREFLIGHT.status, b"")
            else:
                request.fail(Reason.CORS_ORIGIN)
            return True
    if (redirect := treatment.redirect) is None:
        return False
    try:
        location = redirect.location(request.host, request.target)
    except Refused as refused:
        request.fail(refused.reason)
    else:
        _respond(request, Reason.REDIRECT, redirect.status, b"Location: %b\r\n" % location)
    return True


def _respond(request: Downstream, reason: Reason, status: int, fields: bytes) -> None:
    fields = _LINES[status] + fields
    if request.exchange is not None:
        fields = request.exchange.response_fields(fields)
    head = b"%bContent-Length: 0\r\nx-rauta-reason: %b\r\n" % (fields, reason.code_bytes)
    request.respond(reason, status, head)


def _dispatch_and_copy(
    request: Downstream, treatment: Treatment, endpoint: Endpoint, message: bytes, copied: bytes
) -> None:
    """Send a request, and then, so that it does not wait, its copies; their head, `copied`, asks for no tunnel."""
    chosen = [cluster for cluster, portion in treatment.mirrors if random() < portion]  # noqa: S311 - shares
    copies = [(request.worker.mirror(request), cluster) for cluster in chosen]
    if unfinished := [mirror for mirror, _ in copies if mirror.unfinished]:
        if request.exchange is None:
            request.exchange = Exchange(())
        request.exchange.mirrors = unfinished
    request.dispatch(endpoint, message)
    for mirror, cluster in copies:
        mirror.start(cluster, copied)
