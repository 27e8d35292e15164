"""Response heads for tests, and judges of what is passed on: h11, httptools, a slow reference. No tests in here."""

import re

import h11
import httptools

from rauta_control.headparts_test import BLANK, but_keep_alive, parsed
from rauta_control.response import ResponseHead

OK = b"HTTP/1.1 200 OK"


def head(fields: bytes = b"", line: bytes = OK) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def read(data: bytes, *, no_body: bool = False) -> ResponseHead:
    gate = ResponseHead()
    gate.read(data, data.index(BLANK), no_body=no_body)
    return gate


def client_head(gate: ResponseHead, data: bytes) -> bytes:
    """What upstream.py or relay.py sends to a client of HTTP/1.1 that stays."""
    if gate.fields is None:
        return data[: data.index(BLANK) + 4]
    return gate.fields + (b"Transfer-Encoding: chunked\r\n" if gate.length < 0 else b"") + b"\r\n"


# -- what the client will understand

NEXT = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
NEVER_PASSED_ON = re.compile(rb"connection|keep-alive|proxy-connection|trailer|transfer-encoding|upgrade|x-rauta-.*")


def expected_fields(gate: ResponseHead, data: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that the client should get, by the rules in words."""
    fields = parsed(data)
    options = {o.strip(b" \t").lower() for name, value in fields if name == b"connection" for o in value.split(b",")}
    expected = []
    for name, value in fields:
        if name == b"content-length":
            if gate.status >= 200 and gate.status != 204:
                expected.append((name, b"%d" % int(value)))
        elif (name, gate.status) == (b"upgrade", 426) or (name not in options and not NEVER_PASSED_ON.fullmatch(name)):
            expected.append((name, value))
    return expected + ([(b"transfer-encoding", b"chunked")] if gate.length < 0 else [])


def assert_client_agrees(gate: ResponseHead, data: bytes, *, no_body: bool) -> None:
    """h11 sees the one response that we meant, and then the next one; llhttp too, where it can be told."""
    if gate.length > 100_000 or gate.status == 101:
        return
    body, payload = (b"x" * gate.length,) * 2 if gate.length >= 0 else (b"4\r\nHTTP\r\n0\r\n\r\n", b"HTTP")
    wire = client_head(gate, data) + body + NEXT
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
    client.send(h11.Request(method="HEAD" if no_body else "GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(wire)
    response = client.next_event()
    assert isinstance(response, h11.InformationalResponse if gate.status < 200 else h11.Response)
    assert (response.http_version, response.status_code) == (b"1.1", gate.status)
    assert but_keep_alive(list(response.headers)) == expected_fields(gate, data)
    if gate.status < 200:
        final = client.next_event()
        assert isinstance(final, h11.Response)
        assert final.status_code == 201
        return
    received = b""
    while isinstance(event := client.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert (received, client.trailing_data[0]) == (payload, NEXT)
    if not no_body:
        assert Llhttp(wire).seen == [(gate.status, payload), (201, b"")]


class Llhttp:
    """`seen`: (status, payload) of each response, as httptools reads it."""

    def __init__(self, wire: bytes) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(wire)

    def on_message_begin(self) -> None:
        self.payload = b""

    def on_body(self, payload: bytes) -> None:
        self.payload += payload

    def on_message_complete(self) -> None:
        self.seen.append((self.parser.get_status_code(), self.payload))
