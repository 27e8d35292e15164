"""Shapes of heads: whatever one matches is what reading it in full says, and making them is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.fakewire_test import GET, OK, MakeWire
from rauta_control.head import RequestHead
from rauta_control.headjudge_test import LIMITS
from rauta_control.headparts_test import BLANK, mutated
from rauta_control.limits import Limits
from rauta_control.reasons import Reason, Refused
from rauta_control.response import ResponseHead
from rauta_control.shape import INTERVAL, MAX_PATTERN, NONE, Shape, Shapes, of_request, of_response

REQUEST = b"GET /a?b=c HTTP/1.1\r\nHost: shop.example:80\r\nuser-agent: x y\r\nConnection: keep-alive\r\nX:\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nhost: h\r\nContent-Type: a/b\r\ncontent-length: 15\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 15\r\nconnection: Keep-Alive\r\nETag: \xfc\r\n\r\n"
MORE = b"X: y\r\n\r\n"  # whatever follows a head

Said = tuple[object, ...]


def asked(data: bytes, shape: Shape) -> Said:
    """What the gate says of a request head, but for what holds only where fields were copied."""
    gate = RequestHead(LIMITS)
    match = shape.match(data + MORE)
    try:
        if match is None or not gate.take(match, shape.lines):
            gate.read(data + MORE, data.find(BLANK))
        else:
            assert match.end() == data.find(BLANK) + len(BLANK)
    except Refused as refused:
        return refused.reason, refused.args
    return tuple(getattr(gate, name) for name in RequestHead.__slots__ if name != "wish" or gate.fields is not None)


def answered(data: bytes, shape: Shape, *, no_body: bool = False) -> Said:
    gate = ResponseHead()
    match = None if no_body else shape.match(data + MORE)
    try:
        if match is None or not gate.take(match):
            gate.read(data + MORE, data.find(BLANK), no_body=no_body)
        else:
            assert match.end() == data.find(BLANK) + len(BLANK)
    except Refused as refused:
        return refused.reason, refused.args
    return gate.status, gate.length, gate.keep_alive, gate.fields


def variants(base: bytes) -> Iterator[bytes]:
    """Every byte put in every place and instead of what is there, each line doubled, dropped and put first."""
    for at in range(len(base)):
        for byte in range(256):
            for tail in (base[at:], base[at + 1 :]):
                yield base[:at] + bytes((byte,)) + tail
    first, *lines = base.removesuffix(BLANK).split(b"\r\n")
    for number, line in enumerate(lines):
        for others in ([*lines[:number], line, *lines[number:]], lines[:number] + lines[number + 1 :], lines[::-1]):
            yield b"\r\n".join((first, *others)) + BLANK


@pytest.mark.parametrize(
    ("base", "make", "said"),
    [(REQUEST, of_request, asked), (UPLOAD, of_request, asked), (RESPONSE, of_response, answered)],
)
def test_a_head_is_what_it_is_without_its_shape(
    base: bytes, make: Callable[[bytes], Shape], said: Callable[[bytes, Shape], Said]
) -> None:
    shape = make(base)
    fitting = 0
    for data in variants(base):
        fitting += shape.match(data) is not None
        if BLANK in data:
            assert said(data, shape) == said(data, NONE), data
    assert fitting > 2_000


@settings(deadline=None, max_examples=300)
@given(mutated(st.sampled_from([REQUEST, UPLOAD])), mutated(st.just(RESPONSE)), st.booleans())
def test_what_was_spoiled_is_what_it_is_without_a_shape(request: bytes, response: bytes, no_body: bool) -> None:
    for shape in map(of_request, (REQUEST, UPLOAD)):
        assert asked(request, shape) == asked(request, NONE)
    shape = of_response(RESPONSE)
    assert answered(response, shape, no_body=no_body) == answered(response, NONE, no_body=no_body)


@pytest.mark.parametrize(
    ("line", "status"),
    [(f"HTTP/1.1 {status} X", status) for status in (100, 199, 200, 204, 205, 299, 304, 305, 404, 426, 500, 599)],
)
def test_a_status_without_a_body_has_none_whatever_the_shape(line: str, status: int) -> None:
    data = RESPONSE.replace(b"HTTP/1.1 200 OK", line.encode())
    assert (of_response(RESPONSE).match(data) is None) == (status in (100, 199, 204, 304))
    for no_body in (False, True):
        assert answered(data, of_response(RESPONSE), no_body=no_body) == answered(data, NONE, no_body=no_body)


@pytest.mark.parametrize(
    ("base", "data", "reason"),
    [
        (UPLOAD, UPLOAD.replace(b"POST", b"TRACE"), Reason.BAD_FRAMING),
        (REQUEST, REQUEST.replace(b"GET", b"FOO"), Reason.METHOD_UNKNOWN),
        (REQUEST, REQUEST.replace(b"GET", b"CONNECT"), Reason.CONNECT_REFUSED),
        (REQUEST, REQUEST.replace(b"/a", b"/%00"), Reason.BAD_PATH),
        (REQUEST, REQUEST.replace(b"/a", b"/" + b"a" * 9_000), Reason.TARGET_TOO_LONG),
        (REQUEST, REQUEST.replace(b"x y", b"x" * 70_000), Reason.HEAD_TOO_LARGE),
    ],
)
def test_what_is_of_a_shape_can_still_be_refused(base: bytes, data: bytes, reason: Reason) -> None:
    assert asked(data, of_request(base))[0] is asked(data, NONE)[0] is reason


@pytest.mark.parametrize("limits", [Limits(max_head_fields=2), Limits(max_head_bytes=len(REQUEST) - 1)])
def test_a_limit_that_was_lowered_holds_for_a_known_shape(limits: Limits) -> None:
    shape = of_request(REQUEST)
    match = shape.match(REQUEST)
    assert match is not None
    assert not RequestHead(limits).take(match, shape.lines)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: h\r\n\r\n",  # others expect the groups in another order
        b"GET / HTTP/1.1\r\nHost: h\r\n%b: 1\r\n\r\n" % (b"x" * MAX_PATTERN),
        b"GET / HTTP/1.1\r\nHost: H\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:h\r\n\r\n",
    ],
)
def test_an_unusual_head_leaves_the_shape_of_others(head: bytes) -> None:
    shapes = Shapes(of_request)
    usual = shapes.another(REQUEST, REQUEST.find(BLANK), 1)
    assert shapes.another(head, head.find(BLANK), 2) is usual
    assert usual.match(REQUEST)
    assert not usual.match(head)


def test_however_many_heads_there_are_only_some_become_shapes() -> None:
    made = []
    shapes = Shapes(lambda head: made.append(head) or of_request(head))  # type: ignore[func-returns-value]
    for number in range(1_000):
        head = REQUEST.replace(b"X:", b"X%d:" % number)
        shapes.another(head, head.find(BLANK), 5 + number * INTERVAL / 100)
    assert len(made) == 10


def test_connections_take_up_the_shape_of_their_last_heads(make_wire: MakeWire) -> None:
    wire = make_wire()
    client = wire.client()
    for number in range(4):
        wire.worker.advance(INTERVAL)
        client.say(GET if number < 2 else REQUEST.replace(b"shop.example:80", b"h").replace(b"/a", b"/%d" % number))
        backend = wire.backend
        backend.say(OK)
        assert client.heard() == OK
    assert wire.downstream(client).shape.match(REQUEST)
    assert not wire.downstream(client).shape.match(GET)
    (endpoint,) = wire.worker.follower.clusters.endpoints.values()
    assert endpoint.shape.match(OK)


def test_a_response_head_in_pieces_leaves_the_shape_of_those_that_came_whole(make_wire: MakeWire) -> None:
    wire = make_wire()
    client = wire.client()
    for number, pieces in enumerate(([OK], [OK[:20], OK[20:]])):
        client.say(GET.replace(b"/", b"/%d" % number, 1))
        wire.backend.say(*pieces)
        assert client.heard() == OK
        wire.worker.response_shapes.another(RESPONSE, RESPONSE.find(BLANK), wire.worker.now + INTERVAL)
    (endpoint,) = wire.worker.follower.clusters.endpoints.values()
    assert endpoint.shape.match(OK)
