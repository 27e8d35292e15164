"""Request heads for tests, and judges of what is forwarded: h11, httptools, a slow reference. No tests in here."""

import re
from itertools import pairwise

import h11
import httptools

from rauta_control.head import CHUNKED, RequestHead, split_host
from rauta_control.headparts_test import BLANK, but_keep_alive, parsed
from rauta_control.limits import Limits
from rauta_control.reasons import Reason, Refused
from rauta_control.requestline import check_unfinished

LIMITS = Limits()
HOST = b"Host: a\r\n"


def head(fields: bytes = HOST, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def post(fields: bytes) -> bytes:
    return head(HOST + fields, b"POST / HTTP/1.1")


def get(target: bytes, fields: bytes = HOST) -> bytes:
    return head(fields, b"GET " + target + b" HTTP/1.1")


def large(size: int) -> bytes:
    """A head of so many bytes, in fields that are none of them too large."""
    fields = HOST + (b"X: " + b"a" * 20_000 + b"\r\n") * 3
    return head(fields + b"X: " + b"a" * (size - len(head(fields + b"X: \r\n"))) + b"\r\n")


def read(data: bytes) -> RequestHead:
    """As downstream.py does it: the gate, then the lookup of the host, which checks it."""
    gate = RequestHead(LIMITS)
    gate.read(data, data.index(BLANK))
    if gate.host:
        split_host(gate.host)
    return gate


def verdict(data: bytes) -> Reason | None:
    try:
        read(data)
    except Refused as refused:
        return refused.reason
    return None


def upstream_head(gate: RequestHead, data: bytes) -> bytes:
    """What Downstream.data_received sends to the backend."""
    suffix = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Request-Id: 1\r\n\r\n"
    if gate.fields is None:
        return data[: data.index(BLANK) + 2] + suffix
    return b"%b %b HTTP/1.1\r\n%b%b" % (gate.method, gate.target, gate.fields, suffix)


# -- what the backend will understand: two parsers that are not ours, and our own reading of the client's head

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"
OUR_SUFFIX = [
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-proto", b"http"),
    (b"x-request-id", b"1"),
]
NEVER_FORWARDED = re.compile(
    rb"forwarded|http2-settings|keep-alive|proxy(-authorization|-connection)?|te|trailer|upgrade"
    rb"|x-(forwarded(-.*)?|rauta-.*|real-ip|request-id)"
)


def body_for(length: int) -> tuple[bytes, bytes]:
    """Bytes on the wire and the payload they mean."""
    if length == CHUNKED:
        return b"4\r\nGET \r\n0\r\n\r\n", b"GET "
    return b"x" * length, b"x" * length


def expected_fields(gate: RequestHead, data: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that the backend should get, by the rules in words: independent of how head.py does it."""
    fields = parsed(data)
    options = {o.strip(b" \t").lower() for name, value in fields if name == b"connection" for o in value.split(b",")}
    expected = [] if gate.host else [(b"host", b"")]
    every = {name: b",".join(value for each, value in fields if each == name) for name, _ in fields}
    takes = b"trailers" in [token.strip(b" \t").lower() for token in every.get(b"te", b"").split(b",")]
    grpc = gate.length == CHUNKED and any(
        each == b"content-type" and v.startswith(b"application/grpc") for each, v in fields
    )
    trailers = (takes or grpc) and b"upgrade" not in every and not gate.http10
    for name, value in fields:
        if trailers and takes and name == b"te" and b"te" in options and (name, b"trailers") not in expected:
            expected += [(name, b"trailers"), (b"connection", b"TE")]
            continue
        if trailers and name == b"trailer" and name not in dict(expected):
            expected.append((name, re.sub(rb"[ \t]*,[ \t]*", b", ", every[name].lower())))
            continue
        if name in options or name == b"connection" or NEVER_FORWARDED.fullmatch(name):
            continue
        if name == b"content-length":
            expected.append((name, b"%d" % gate.length))
        elif name == b"transfer-encoding":
            expected.append((name, b"chunked"))
        elif name == b"expect":
            if gate.length and not gate.http10 and (name, b"100-continue") not in expected:
                expected.append((name, b"100-continue"))
        elif name == b"max-forwards":
            if gate.method in {b"OPTIONS", b"TRACE"}:
                expected.append((name, b"%d" % (int(value) - 1)))
        else:
            expected.append((name, value))
    return expected + OUR_SUFFIX


def h11_view(wire: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes, bytes]:
    """(method, target, fields, payload, what follows) of one request, as h11 reads it."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    server.receive_data(wire)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert request.http_version == b"1.1"
    payload = b""
    while isinstance(event := server.next_event(), h11.Data):
        payload += event.data
    assert isinstance(event, h11.EndOfMessage)
    return request.method, request.target, list(request.headers), payload, server.trailing_data[0]


class Llhttp:
    """`seen`: (method, target, fields, payload) of each request, as httptools reads it."""

    def __init__(self, wire: bytes) -> None:
        self.seen: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(wire)

    def on_message_begin(self) -> None:
        self.url, self.payload = b"", b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_body(self, payload: bytes) -> None:
        self.payload += payload

    def on_message_complete(self) -> None:
        self.seen.append((self.parser.get_method(), self.url, self.fields, self.payload))


def assert_backend_agrees(gate: RequestHead, data: bytes) -> None:
    """h11 and llhttp see the one request that we meant: method, target, fields, body; and then the next one."""
    if gate.length > 100_000:
        return
    wire_body, payload = body_for(gate.length)
    wire = upstream_head(gate, data) + wire_body + NEXT
    method, target, fields, body, rest = h11_view(wire)
    assert (method, target, body, rest) == (gate.method, gate.target, payload, NEXT)
    assert but_keep_alive(fields) == expected_fields(gate, data)
    assert [value.lower() for name, value in fields if name == b"host"] == [gate.host]
    assert Llhttp(wire).seen == [(method, target, fields, payload), (b"GET", b"/next", [(b"host", b"next")], b"")]


def early(data: bytes) -> Reason | None:
    """The verdict of check_unfinished on `data` in one read, which must be that in reads of one byte."""
    seen = []
    for cuts in ([0, len(data)], range(len(data) + 1)):
        reason = None
        for start, end in pairwise(cuts):
            try:
                check_unfinished(data[:end], start)
            except Refused as refused:
                reason = refused.reason
                break
        seen.append(reason)
    assert seen[0] == seen[1]
    return seen[0]
