"""Responses on their way to the client, over fake transports: framing, 1xx, and what breaks off."""

from __future__ import annotations

import re

import pytest

from rauta_control import relay
from rauta_control.fakewire_test import BAD_GATEWAY, CHUNKED, GET, GET10, HEAD, OK, Wire, word
from rauta_control.sharedmem import EndpointWord

# -- framing


@pytest.mark.parametrize(
    "response",
    [
        OK,
        OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
        b"HTTP/1.1 404 Not Found\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 \r\nDate: x\r\nContent-Length: 3\r\nX-Y: \xff\r\n\r\nbad",
        b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 5000\r\nETag: x\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_response_is_relayed_in_whatever_pieces_it_comes(wire: Wire, response: bytes, size: int) -> None:
    client = wire.client()
    for _ in range(2):
        client.say(GET)
        wire.backend.say(*(response[at : at + size] for at in range(0, len(response), size)))
        assert unchunked(client.heard()) == unchunked(response)
    assert len(wire.pool) == 1
    assert client.open
    assert [line["status"] for line in wire.log()] == [int(response[9:12])] * 2


def unchunked(response: bytes) -> bytes:
    """Join the chunks of a response, and leave others alone."""
    head, _, body = response.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" not in head:
        return response
    payload = b""
    while not body.startswith(b"0\r\n"):
        size, _, body = body.partition(b"\r\n")
        payload += body[: int(size, 16)]
        assert body[int(size, 16) :].startswith(b"\r\n")
        body = body[int(size, 16) + 2 :]
    assert body == b"0\r\n\r\n"
    return head + b"\r\n\r\n" + payload


def test_a_response_that_does_not_say_when_gets_the_date_of_each(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    client = wire.client()
    undated = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for date in (b"one", b"two", b"three", b"four"):  # the same head again and again: no old date comes back
        monkeypatch.setattr(type(wire.worker), "today", lambda _, date=date: date)
        client.say(GET)
        wire.backend.say(undated)
        assert client.heard() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: %b\r\n\r\nok" % date
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK
    assert len(wire.pool) == 1


def test_every_final_response_has_a_date_and_no_interim_one(wire: Wire) -> None:
    date = re.compile(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n")
    for head, response in (
        (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (GET, b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (GET10, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (HEAD, b"HTTP/1.1 500 \r\n\r\n"),
    ):
        client = wire.client()
        client.say(head)
        wire.backend.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert b"Date" not in client.heard()
        wire.backend.say(response)
        assert len(date.findall(client.heard())) == 1


@pytest.mark.parametrize(
    ("request_", "connection"),
    [
        (GET, b"keep-alive, Upgrade"),
        (GET10, b"close, Upgrade"),
        (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"close, Upgrade"),
    ],
)
def test_426_says_what_to_change_to(wire: Wire, request_: bytes, connection: bytes) -> None:
    client = wire.client()
    client.say(request_)
    required = b"HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nUpgrade: HTTP/3.0, TLS/1.3\r\nContent-Length: 0\r\n"
    wire.backend.say(required + b"Connection: upgrade\r\n\r\n")
    assert client.heard() == required + b"Connection: %b\r\n\r\n" % connection
    assert len(wire.pool) == 1


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 501 X"])
def test_any_other_response_says_nothing_of_an_upgrade(wire: Wire, line: bytes) -> None:
    client = wire.client()
    client.say(GET)
    fields = b"\r\nDate: x\r\nContent-Length: 0\r\n"
    wire.backend.say(line + fields + b"Upgrade: h2\r\nConnection: upgrade\r\n\r\n")
    assert client.heard() == line + fields + b"\r\n"


def test_a_426_that_does_not_say_to_what_goes_as_it_came(wire: Wire) -> None:
    client = wire.client()
    for response in (
        OK.replace(b"Date", b"Upgrade: h2\r\nDate"),
        b"HTTP/1.1 426 X\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
    ):
        client.say(GET)
        wire.backend.say(response)
        heard = client.heard()
    assert heard == response


def test_chunks_are_framed_anew_without_extensions_and_trailers(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(CHUNKED + b"2;x=y\r\nab\r\n1\r\nc\r\n", b"01\r\nd\r\n0\r\nTrailer: x\r\n", b"\r\n")
    assert client.heard() == CHUNKED + b"3\r\nabc\r\n" + b"1\r\nd\r\n" + b"0\r\n\r\n"
    assert len(wire.pool) == 1
    assert client.open


def test_a_body_until_the_close_is_chunked_for_1_1_and_closes_for_1_0(wire: Wire) -> None:
    new, old = wire.client(), wire.client()
    new.say(GET)
    old.say(GET10)
    for backend in wire.backends:
        backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nX: y\r\n\r\nab", b"c")
        backend.half_close()
    assert (
        new.heard()
        == b"HTTP/1.1 200 OK\r\nDate: x\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert new.open
    assert old.heard() == b"HTTP/1.1 200 OK\r\nDate: x\r\nX: y\r\nConnection: close\r\n\r\nabc"
    assert old.ended
    assert not wire.pool
    assert wire.statuses() == [(200, "")] * 2


def test_a_chunked_body_for_1_0_ends_with_the_connection(wire: Wire) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(CHUNKED, b"2\r\nab\r\n", b"0\r\n\r\n")
    assert client.heard() == b"HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nab"
    assert client.ended
    assert len(wire.pool) == 1


@pytest.mark.parametrize(
    ("response", "relayed"),
    [
        (
            b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 500\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 500\r\n\r\n",
        ),
        (CHUNKED, b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nDate: x\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nDate: x\r\nX: y\r\n\r\n"),
    ],
)
def test_an_answer_to_head_has_no_body(wire: Wire, response: bytes, relayed: bytes) -> None:
    client = wire.client()
    for _ in range(2):
        client.say(HEAD)
        wire.backend.say(response)
        assert client.heard() == relayed
    assert client.open
    assert len(wire.backends) == 1


def test_a_backend_that_says_close_is_not_asked_again(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    assert client.heard() == OK
    assert client.open
    assert wire.backend.lost
    assert not wire.pool


def test_a_backend_of_1_0_is_relayed_as_1_1(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.0 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok")
    assert client.heard() == OK
    assert wire.backend.lost


@pytest.mark.parametrize("length", [b"Content-Length: 2", b"content-length:2"])
@pytest.mark.parametrize("connection", [b"Connection: keep-alive", b"CONNECTION:Keep-Alive, X-Hop\r\nX-Hop: y"])
def test_there_is_one_connection_field_and_it_is_ours(wire: Wire, length: bytes, connection: bytes) -> None:
    client = wire.client()
    for request_head, ours in (
        (GET, None),
        (GET10.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), b"keep-alive"),
        (GET10, b"close"),
    ):
        client.say(request_head)
        wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\n%b\r\n%b\r\n\r\nok" % (connection, length))
        head = client.heard().partition(b"\r\n\r\n")[0].lower()
        assert b"x-hop" not in head
        fields = [line for line in head.split(b"\r\n") if line.startswith(b"connection")]
        assert fields in ([], [b"connection: keep-alive"]) if ours is None else fields == [b"connection: " + ours]


# -- 1xx


def test_interim_responses_are_relayed_before_the_final_one(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    wire.backend.say(hints + b"HTTP/1.1 102 Processing\r\n\r\n", hints + OK)
    assert client.heard() == hints + b"HTTP/1.1 102 Processing\r\n\r\n" + hints + OK
    assert wire.statuses() == [(200, "")]
    client.say(GET)
    wire.backend.say(hints * relay.MAX_INTERIM + OK)  # counted for each request anew
    assert client.heard().endswith(OK)


def test_a_client_of_1_0_gets_no_interim_response(wire: Wire) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert client.heard().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * (relay.MAX_INTERIM + 1) + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_too_many_interim_responses_and_an_upgrade_nobody_asked_for_are_502(wire: Wire, response: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(response)
    answer = client.heard()
    assert answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n" * relay.MAX_INTERIM).startswith(BAD_GATEWAY)
    assert b"200 OK" not in answer
    assert wire.backend.lost
    assert word(wire, EndpointWord.FAILURES) == 1


# -- failures within a response


@pytest.mark.parametrize("how", ["half_close", "break_off"])
@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 10\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"3\r\nab"],
)
def test_a_body_that_breaks_off_is_cut_so_that_the_client_can_tell(wire: Wire, how: str, said: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(said)
    getattr(wire.backend, how)()
    assert not client.heard().endswith(b"0\r\n\r\n")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]
    assert not wire.pool
    assert word(wire, EndpointWord.FAILURES) == 1


def test_a_body_until_the_close_that_is_reset_is_cut(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\nabc")
    wire.backend.break_off()
    assert client.heard().endswith(b"3\r\nabc\r\n")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n"])
def test_for_1_0_only_a_reset_tells_that_a_body_is_cut(wire: Wire, said: bytes) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(said)
    wire.backend.break_off()
    assert client.reset
    assert client.lost


@pytest.mark.parametrize("how", ["half_close", "break_off"])
def test_a_head_that_breaks_off_is_502(wire: Wire, how: str) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\n")
    getattr(wire.backend, how)()
    assert client.heard().startswith(BAD_GATEWAY)
    assert client.open


def test_an_answer_that_came_before_the_reset_counts(wire: Wire) -> None:
    client = wire.client()
    client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
    refusal = b"HTTP/1.1 413 Content Too Large\r\nDate: x\r\nContent-Length: 3\r\n"
    wire.backend.break_off(refusal + b"\r\n", b"big")
    assert client.heard() == refusal + b"Connection: close\r\n\r\nbig"
    assert wire.statuses() == [(413, "")]
    assert not wire.pool


def test_last_words_are_no_excuse_for_a_short_body(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.break_off(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 10\r\n\r\n", b"abc")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]


def test_a_whole_response_in_last_words_does_not_bring_the_connection_back(wire: Wire) -> None:
    client = wire.client()
    client.say(GET + GET)
    wire.backend.break_off(OK)
    assert client.heard() == OK
    wire.backend.say(OK)
    assert client.heard() == OK
    assert len(wire.backends) == 2
