"""Why RAUTA answered by itself: one documented code for each cause, in the response, the access log and the metrics.

Pure. A response that RAUTA makes carries `x-rauta-reason: CODE` and, if it is an error, an RFC 9457 problem body; a
response relayed from a backend never does, so the two are told apart at a glance. Numbers are words in shared memory
(sharedmem.Vital.REASONS + number) and never change their meaning.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

import msgspec


class Reason(Enum):
    """(number, status, what happened and what to do about it)."""

    # The client's bytes: refused before anything was forwarded, connection closed.
    BAD_REQUEST_LINE = (1, 400, "the request line is not METHOD SP target SP HTTP/1.x")
    BAD_FIELD = (2, 400, "a header field is malformed")
    BAD_HOST = (3, 400, "exactly one valid Host field is required, equal to the authority of an absolute target")
    BAD_FRAMING = (4, 400, "Content-Length and Transfer-Encoding contradict each other or are malformed")
    BAD_PATH = (5, 400, "the path has a broken or forbidden escape, a backslash, or climbs above the root")
    BAD_CONNECTION = (6, 400, "the Connection field names a field that must not be hop-by-hop")
    BAD_UPGRADE = (7, 400, "a request that asks for an upgrade must not have a body")
    BAD_BODY = (8, 400, "the chunked body is malformed, or the body ended early")
    CONNECT_REFUSED = (9, 405, "CONNECT is not offered")
    HEAD_TIMEOUT = (10, 408, "the request head did not arrive in time")
    BODY_TIMEOUT = (11, 408, "the request body stopped arriving")
    TARGET_TOO_LONG = (12, 414, "the request target is too long")
    EXPECTATION_FAILED = (13, 417, "the only expectation understood is 100-continue")
    HEAD_TOO_LARGE = (14, 431, "the request head, or one of its fields, has too many bytes")
    METHOD_UNKNOWN = (15, 501, "the method is not a registered one")
    CODING_UNKNOWN = (16, 501, "the only transfer coding understood is chunked")
    VERSION_UNKNOWN = (17, 505, "the HTTP version is not 1.0 or 1.1")
    TOO_MANY_FIELDS = (19, 431, "the request head has too many fields")
    CHUNK_OVERHEAD = (
        50,
        400,
        "the request body has too many small chunks, or too many bytes of chunk extensions or trailers",
    )
    PIPELINED_TOO_DEEP = (51, 429, "too many requests were sent ahead on this connection")
    PLAIN_HTTP = (59, 400, "this port takes HTTPS, and the request came without TLS")
    # Not a fault: an OPTIONS or TRACE that was to come this far and no further (RFC 9110 7.6.2).
    MAX_FORWARDS = (18, 200, "Max-Forwards is 0, so this is the answer of the gateway, not of a backend")
    # Routing.
    NO_HOST = (20, 404, "no route is attached for this host name")
    NO_ROUTE = (21, 404, "no route matches the host, path, method, headers and query parameters of this request")
    NO_BACKENDS = (22, 500, "the route that matches has no backends")
    BACKEND_INVALID = (
        23,
        500,
        "a backend of the route that matches does not exist or may not be used, or a filter cannot be carried out",
    )
    # Not faults: what the rule that matches answers itself. A redirect has the status of its filter.
    REDIRECT = (24, 302, "the route redirects this request")
    CORS_PREFLIGHT = (25, 200, "the route tells browsers what other origins may do")
    CORS_ORIGIN = (26, 403, "the route does not allow this origin")
    MISDIRECTED = (27, 421, "this host name is served, but not for the TLS server name of this connection")
    # The backend.
    NO_ENDPOINTS = (30, 503, "the service behind the route has no endpoints")
    UPSTREAM_CONNECT = (31, 502, "the backend refused or failed the connection")
    UPSTREAM_CONNECT_TIMEOUT = (32, 504, "the backend did not accept the connection in time")
    UPSTREAM_RESET = (33, 502, "the backend closed the connection before it answered")
    UPSTREAM_INVALID = (34, 502, "the backend's response is not valid HTTP")
    UPSTREAM_TIMEOUT = (35, 504, "the backend did not answer in time")
    UPSTREAM_OVERFLOW = (36, 503, "too many connections to the backend are open")
    REQUEST_TIMEOUT = (37, 504, "the answer was not complete within the time that the route allows")
    BACKEND_TIMEOUT = (38, 504, "the backend did not answer within the time that the route allows it")
    UPSTREAM_STALLED = (52, 504, "the backend stopped in the middle of its response")
    # The gateway.
    LOOP = (53, 508, "the request has been here before: Via names this gateway")
    LISTENER_FULL = (54, 503, "the listener has as many connections as it may")
    OVERLOADED = (40, 503, "the gateway has as many connections as it can hold")
    # Gates: what has a say in whether a request may pass (gate.py).
    GATE_TIMEOUT = (42, 504, "what decides whether the request may pass did not do so in time")
    GATE_FAILED = (43, 500, "what decides whether the request may pass failed")
    GATE_ANSWERED = (44, 403, "the request may not pass")  # with whatever status it chose
    # The client left before its answer was complete; only in logs and metrics (the status is nginx's).
    CLIENT_CLOSED = (41, 499, "the client closed the connection")
    WRITE_TIMEOUT = (55, 499, "the client took nothing of its response for too long")
    TUNNEL_TIMEOUT = (56, 408, "neither side of the tunnel said anything for too long")
    STOPPED = (57, 503, "the gateway stopped before the end of the request or tunnel")
    KEEP_ALIVE_TIMEOUT = (58, 408, "no further request came on the connection")

    def __init__(self, number: int, status: int, detail: str) -> None:
        self.number = number
        self.status = status
        self.detail = detail
        self.code = self.name.lower()
        self.code_bytes = self.code.encode()


class HandshakeFailure(Enum):
    """(number, what happened): why a connection to a TLS listener came to nothing. Only in metrics."""

    TIMEOUT = (0, "the handshake took too long")
    CLIENT_CLOSED = (1, "the client closed the connection")
    NOT_TLS = (2, "the client did not speak TLS, or took more than 16 KiB to say hello")
    UNKNOWN_NAME = (3, "no listener serves the server name")
    CLIENT_REFUSED = (4, "the client sent an alert: it does not trust the certificate, for one")
    CLIENT_CERTIFICATE = (5, "the client showed no certificate, or one that no authority vouches for")
    PROTOCOL = (6, "the client offered no version, cipher, signature or application protocol that is good enough")
    CERTIFICATE = (7, "the listener's own certificate is not usable")
    INTERNAL = (8, "an error of RAUTA itself, or no memory: the log of the worker has it")

    def __init__(self, number: int, detail: str) -> None:
        self.number = number
        self.detail = detail
        self.code = self.name.lower()


CAPACITY = 64  # reasons that fit into a worker's words

_SAY_WHAT_IS_ALLOWED = frozenset((Reason.CONNECT_REFUSED, Reason.MAX_FORWARDS))


class Refused(Exception):  # noqa: N818 - a verdict, not a fault of ours
    """A request that is answered by RAUTA with `reason`; `note` is for operators only."""

    def __init__(self, reason: Reason, note: str = "") -> None:
        super().__init__(reason.code, note)
        self.reason = reason
        self.note = note


def table() -> str:
    """Reasons as a page of documentation (docs/reasons.md)."""
    head = """# Why RAUTA answered by itself

An answer with `x-rauta-reason` is RAUTA's own, one without it is the backend's. To find the fault:

1. The code stands in the table below; if it is one of a limit, [limits.md](limits.md) names the flag.
2. The `request_id` of the body leads to the line of the access log ([accesslog.md](accesslog.md)): which route, which
   endpoint, how many attempts. A head that was refused has none: its line is found by `time` and `reason`.
3. `rauta explain URL` says what such a request gets and why: which rule takes it, why each of the others does not, what
   its filters make of it ([explain.md](explain.md)).
4. `rauta routes list` shows every match of that route and what it asks for, `rauta routes get` its endpoints with their
   failures, and why a share of its requests is answered with 500.
5. `rauta findings` says what is wrong with manifests, by object and field; `rauta status` what else is: listeners that
   are not bound, names that do not resolve, a reload that was refused.

Where no request comes in at all, `rauta metrics handshake` and `rauta listeners` tell why.

| Reason | Status | What happened |
| --- | --- | --- |
"""
    rows = [f"| {reason.code} | {reason.status} | {reason.detail} |" for reason in Reason]
    middle = """

A redirect has the status of its filter, and what a gate answers has the gate's. Gates are there for extensions: no
configuration makes one yet. 499 is never sent: the client is gone. An upgraded connection that ended for a reason was
answered with 101 before.

TLS connections that came to nothing get no answer, or an alert; `rauta_tls_handshake_failures_total` counts them.

| Reason | What happened |
| --- | --- |
"""
    failures = [f"| {failure.code} | {failure.detail} |" for failure in HandshakeFailure]
    return head + "\n".join(rows) + middle + "\n".join(failures) + "\n"


def answer(reason: Reason, request_id: bytes = b"", *, close: bool, head_only: bool = False) -> bytes:
    """Return the whole HTTP/1.1 response for `reason`, not CLIENT_CLOSED; `head_only` leaves the body out (HEAD)."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(reason.status).phrase,
        "status": reason.status,
        "detail": reason.detail,
        "reason": reason.code,
        "request_id": request_id.decode("ascii"),
    }
    body = msgspec.json.encode({name: value for name, value in problem.items() if value != ""}) + b"\n"
    extra = "Connection: close\r\n" if close else ""
    if reason in _SAY_WHAT_IS_ALLOWED:
        extra += "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\r\n"
    # Some of these statuses may be kept by caches (RFC 9110 15.1): a refused head must not poison a good URL.
    head = (
        f"HTTP/1.1 {reason.status} {problem['title']}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nx-rauta-reason: {reason.code}\r\n{extra}\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)
