"""A SecureTransport between a fake socket and a protocol, with OpenSSL's own client at the other end."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.faketransport_test import HIGH_WATER, End, FakeLoop
from rauta_control.ir import Secret
from rauta_control.pki_test import authority_pem, pair
from rauta_control.tlscontext import build
from rauta_control.tlstransport import RECORD, SLICE, SecureTransport, serve

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HEAD, CHANGE, TAG = 5, 1, 16  # bytes of a record of TLS 1.3 beside the plaintext: head, inner type, authentication


@cache
def contexts(version: ssl.TLSVersion = V13) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    made = pair("a.example")
    client = ssl.create_default_context(cadata=authority_pem().decode())
    client.maximum_version = client.minimum_version = version
    return build([Secret("s", made.certificate, made.key, made.names, "EC")], (), "none"), client


class Recorder(asyncio.Protocol):
    """Keeps what it is told; `answer` is written when the peer has said all, `stays` whether more may follow."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.events: list[str] = []
        self.lost: Exception | None = None
        self.answer = b""
        self.stays = True
        self.transport: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        assert self.transport is not None
        self.transport.write(self.answer)
        return self.stays

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost = exc


class Connection:
    """Both ends, the handshake over. The client's bytes are kept until `say`: how they are cut is the test's choice."""

    def __init__(self, loop: FakeLoop, version: ssl.TLSVersion = V13) -> None:
        server, client = contexts(version)
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self.into, self.out, server_hostname="a.example")
        session = serve(server)
        waiting = [self.client.do_handshake, session.tls.do_handshake] * 3
        for step in waiting:
            _unless_waiting(step)
            session.incoming.write(self.out.read())
            self.into.write(session.outgoing.read())
        self.tls = weakref.ref(session.tls)
        self.app = Recorder()
        self.end = End(loop, asyncio.Protocol())
        self.transport = self.app.transport = SecureTransport(self.end, session, self.app)
        self.end.set_protocol(self.transport)
        self.heard()  # the client has its tickets

    def say(self, data: bytes) -> None:
        """As one read."""
        self.client.write(data)
        self.end.say(self.out.read())

    def heard(self) -> bytes:
        """What the client can read; a `$` at its end for a close_notify."""
        self.into.write(self.end.heard())
        parts: list[bytes] = []
        while not parts or parts[-1] not in (b"", b"$"):
            try:
                parts.append(_unless_waiting(lambda: self.client.read(1 << 20) or b"$") or b"")
            except ssl.SSLZeroReturnError:  # the same to who has said so, too
                parts.append(b"$")
        return b"".join(parts)


def _unless_waiting(step: Callable[[], bytes | None]) -> bytes | None:
    try:
        return step()
    except ssl.SSLWantReadError:
        return None


# -- bytes both ways


@pytest.mark.parametrize("version", [V12, V13])
def test_what_one_side_says_the_other_hears(loop: FakeLoop, version: ssl.TLSVersion) -> None:
    connection = Connection(loop, version)
    for number in range(3):
        connection.say(b"request %d" % number)
        assert connection.app.pieces.pop() == b"request %d" % number
        connection.transport.write(b"answer %d" % number)
        assert connection.heard() == b"answer %d" % number
    assert not connection.app.events


def test_it_says_that_the_bytes_of_its_socket_are_not_its_own(loop: FakeLoop) -> None:
    transport = Connection(loop).transport
    assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
    assert transport.get_extra_info("sslcontext") is transport.get_extra_info("ssl_object").context
    assert transport.get_extra_info("nothing", 7) == 7


def test_what_the_socket_had_comes_in_one_piece(loop: FakeLoop) -> None:
    connection = Connection(loop)
    for number in range(4):
        connection.client.write(b"%d" % number)
    connection.say(bytes(3 * RECORD))
    assert connection.app.pieces == [b"0123" + bytes(3 * RECORD)]


@given(
    messages=st.lists(st.integers(1, 3 * RECORD), max_size=6),
    cuts=st.lists(st.floats(0, 1), max_size=8),
    ends=st.booleans(),
    version=st.sampled_from([V12, V13]),
)
def test_however_the_bytes_are_cut(
    loop: FakeLoop, messages: list[int], cuts: list[float], *, ends: bool, version: ssl.TLSVersion
) -> None:
    connection = Connection(loop, version)
    connection.app.stays = False
    said = [bytes([number]) * size for number, size in enumerate(messages)]
    for message in said:
        start = 0
        while start < len(message):
            start += connection.client.write(message[start:])
    if ends:
        _unless_waiting(connection.client.unwrap)
    wire = connection.out.read()
    places = sorted({int(cut * len(wire)) for cut in cuts} | {0, len(wire)})
    for start, stop in pairwise(places):
        connection.end.say(wire[start:stop])
    assert b"".join(connection.app.pieces) == b"".join(said)
    assert connection.app.events == (["eof", "lost"] if ends else [])
    assert connection.heard() == (b"$" if ends else b"")


@given(sizes=st.lists(st.integers(0, 3 * SLICE), max_size=5), version=st.sampled_from([V12, V13]))
def test_writes_of_any_size(loop: FakeLoop, sizes: list[int], version: ssl.TLSVersion) -> None:
    connection = Connection(loop, version)
    said = [bytes([number]) * size for number, size in enumerate(sizes)]
    for message in said[1:]:
        connection.transport.write(message)
    connection.transport.writelines(said[:1])
    assert connection.heard() == b"".join(said[1:] + said[:1])


def test_a_small_write_is_one_record(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.transport.write(bytes(RECORD))
    assert len(connection.end.heard()) == HEAD + RECORD + CHANGE + TAG


def test_another_protocol_takes_over(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.say(b"one")
    other = Recorder()
    connection.transport.set_protocol(other)
    connection.say(b"two")
    assert (connection.app.pieces, other.pieces) == ([b"one"], [b"two"])


# -- flow control


def test_a_slow_peer_stops_the_writing(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.end.patient = False
    connection.transport.set_write_buffer_limits(2 * HIGH_WATER)
    connection.transport.write(bytes(2 * HIGH_WATER - RECORD))
    assert not connection.app.events
    connection.transport.write(bytes(RECORD))
    assert connection.app.events == ["pause"]
    assert connection.transport.get_write_buffer_size() > 2 * HIGH_WATER
    connection.end.take_all()
    assert connection.app.events == ["pause", "resume"]
    assert connection.heard() == bytes(2 * HIGH_WATER)


def test_who_pauses_is_told_nothing(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.transport.pause_reading()
    connection.say(b"later")
    assert not connection.app.pieces
    connection.transport.resume_reading()
    loop.settle()
    assert connection.app.pieces == [b"later"]


# -- the end


def test_closing_waits_until_the_peer_has_understood(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.transport.write(b"last")
    connection.transport.pause_reading()
    connection.transport.close()
    connection.transport.close()
    connection.transport.write(b"too late")
    assert connection.transport.is_closing()
    assert connection.heard() == b"last$"
    connection.say(bytes(5 * SLICE))
    assert connection.end.open
    connection.client.unwrap()
    connection.end.say(connection.out.read())
    assert connection.end.ended
    assert (connection.app.pieces, connection.app.events, connection.app.lost) == ([], ["lost"], None)


def test_a_peer_that_does_not_answer_a_close_may_leave(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.transport.close()
    connection.end.half_close()
    assert connection.end.ended
    assert connection.app.events == ["lost"]


def test_closing_does_not_outlive_the_patience_of_the_protocol(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.end.patient = False
    connection.transport.write(bytes(2 * HIGH_WATER))
    connection.transport.close()
    loop.settle()
    assert not connection.end.lost
    connection.transport.abort()
    loop.settle()
    assert connection.app.events == ["pause", "lost"]


@pytest.mark.parametrize("version", [V12, V13])
def test_a_close_notify_of_a_peer_ends_the_connection_if_nobody_has_more_to_say(
    loop: FakeLoop, version: ssl.TLSVersion
) -> None:
    connection = Connection(loop, version)
    connection.app.answer = b"good bye"
    connection.app.stays = False
    connection.client.write(b"last")
    _unless_waiting(connection.client.unwrap)
    connection.end.say(connection.out.read() + b"\x17\x03\x03\x00\x01rubbish")
    assert connection.app.pieces == [b"last"]
    assert connection.app.events == ["eof", "lost"]
    assert connection.heard() == b"good bye$"
    assert connection.end.ended


def test_a_peer_may_say_that_it_is_done_and_listen(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.client.write(b"last")
    _unless_waiting(connection.client.unwrap)
    connection.end.say(connection.out.read() + b"\x17\x03\x03\x00\x01rubbish")
    connection.transport.write(b"one")
    connection.end.say(b"more rubbish")
    connection.transport.write(bytes(2 * RECORD))
    connection.transport.close()
    loop.settle()
    assert (connection.app.pieces, connection.app.events) == ([b"last"], ["eof", "lost"])
    assert connection.heard() == b"one%b$" % bytes(2 * RECORD)
    assert connection.end.ended


def test_a_peer_that_is_done_and_leaves_is_lost(loop: FakeLoop) -> None:
    connection = Connection(loop)
    _unless_waiting(connection.client.unwrap)
    connection.end.say(connection.out.read())
    assert connection.app.events == ["eof"]
    connection.end.half_close()
    assert (connection.app.events, connection.app.lost) == (["eof", "lost"], None)
    assert connection.end.ended


def test_before_tls_1_3_a_close_notify_ends_both_directions(loop: FakeLoop) -> None:
    connection = Connection(loop, V12)
    connection.end.patient = False
    connection.transport.write(b"too late")
    _unless_waiting(connection.client.unwrap)
    connection.end.say(connection.out.read())
    assert connection.app.events == ["eof", "lost"]
    assert connection.transport.is_closing()


def test_an_end_without_a_close_notify_is_none_of_what_was_said(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.client.write(b"whole")
    connection.end.say(connection.out.read()[:-1])
    connection.end.half_close()
    assert (connection.app.pieces, connection.app.events, connection.app.lost) == ([], ["lost"], None)


def test_a_forged_record_is_answered_with_an_alert(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.client.write(b"one")
    forged = bytearray(connection.out.read())
    forged[-1] ^= 1
    connection.end.say(bytes(forged))
    assert not connection.app.pieces
    assert connection.app.events == ["lost"]
    assert isinstance(connection.app.lost, ssl.SSLError)
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        connection.heard()
    connection.transport.write(b"too late")


def test_a_lost_connection(loop: FakeLoop) -> None:
    connection = Connection(loop)
    connection.end.break_off()
    assert connection.app.events == ["lost"]
    assert isinstance(connection.app.lost, ConnectionResetError)
    connection.transport.write(b"too late")
    connection.transport.close()
    connection.transport.abort()


@pytest.mark.parametrize("forged", [False, True])
def test_nothing_is_left_for_the_collector(loop: FakeLoop, *, forged: bool) -> None:
    connection = Connection(loop)
    connection.say(b"request")
    if forged:
        connection.end.say(b"\x17\x03\x03\x00\x20" + bytes(32))
    connection.end.half_close()
    app, tls = weakref.ref(connection.app), connection.tls
    gc.disable()
    try:
        del connection
        assert app() is None
        assert tls() is None
    finally:
        gc.enable()
