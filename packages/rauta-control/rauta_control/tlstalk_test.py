"""What TLS says of itself through a SecureTransport, which no client of Python's can be made to ask for."""

from __future__ import annotations

import ssl
from typing import cast

import pytest

from rauta_control.faketransport_test import HIGH_WATER, FakeLoop
from rauta_control.tlstransport import MAX_UNSAID, RECORD, SLICE, SecureTransport, Session, serve
from rauta_control.tlstransport_test import Connection, contexts


class Busy:
    """A TLS that answers whatever comes with `size` bytes of its own, and lets nothing be written."""

    def __init__(self, session: Session, size: int) -> None:
        self.incoming = session.incoming
        self.outgoing = session.outgoing
        self.size = size

    def read(self, _: int) -> bytes:
        self.incoming.read()
        self.outgoing.write(bytes(self.size))
        raise ssl.SSLWantReadError

    def write(self, _: bytes) -> int:
        raise ssl.SSLWantReadError


def busy(loop: FakeLoop, size: int) -> Connection:
    connection = Connection(loop)
    session = Session(*(serve(contexts()[0])))
    made = session._replace(tls=cast("ssl.SSLObject", Busy(session, size)))
    connection.transport = connection.app.transport = SecureTransport(connection.end, made, connection.app)
    connection.end.set_protocol(connection.transport)
    return connection


def test_what_tls_says_of_itself_is_sent(loop: FakeLoop) -> None:
    connection = busy(loop, 7)
    connection.end.say(b"x", bytes(2 * SLICE))
    assert connection.end.heard() == bytes(7 * 3)
    assert connection.end.open


def test_a_peer_cannot_make_it_talk_without_listening(loop: FakeLoop) -> None:
    connection = busy(loop, 100)
    connection.end.patient = False
    for _ in range(100):
        connection.end.say(b"x")
    assert connection.end.peak <= 2 * MAX_UNSAID
    assert connection.end.lost


def test_who_only_has_its_keys_renewed_is_not_taken_for_slow(loop: FakeLoop) -> None:
    connection = busy(loop, 30)
    connection.end.take(0)
    connection.end.write(bytes(HIGH_WATER))  # of an answer; not too much yet
    connection.end.say(*[b"x"] * 10)
    assert connection.app.events == []
    assert connection.end.open


def test_keys_may_be_renewed_while_an_answer_waits(loop: FakeLoop) -> None:
    connection = busy(loop, 30)
    connection.end.patient = False
    connection.end.write(bytes(4 * MAX_UNSAID))
    connection.end.say(*[b"x"] * 60)
    connection.end.take_all()
    connection.end.say(*[b"x"] * 60)
    assert connection.end.received.count(0) == 4 * MAX_UNSAID + 120 * 30
    assert connection.end.open


@pytest.mark.parametrize("size", [1, 2 * RECORD])
def test_a_write_that_must_wait_for_the_peer_is_the_end(loop: FakeLoop, size: int) -> None:
    connection = busy(loop, 0)
    connection.transport.write(bytes(size))
    loop.settle()
    assert connection.app.events == ["lost"]
    assert isinstance(connection.app.lost, ssl.SSLError)
