"""What the kernel says about a TCP connection, on loopback."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator
from typing import NamedTuple, cast

import pytest

from rauta_control import rawsocket


class Transport:
    """As much of a transport as rawsocket asks for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffered = 0
        self.closing = False

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.sock

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True
        self.sock.close()


class Pair(NamedTuple):
    transport: asyncio.Transport
    ours: socket.socket
    peer: socket.socket

    def fill(self) -> int:
        """Send until the kernel takes no more."""
        sent = 0
        try:
            while True:
                sent += self.ours.send(bytes(65_536))
        except BlockingIOError:
            return sent

    def take_all(self) -> None:
        """Read as the peer until the end."""
        while self.peer.recv(1 << 20):
            pass

    def keep_sending(self) -> None:
        """Send until the peer has had enough."""
        while True:
            select.select([], [self.ours], [], 30)
            self.ours.send(b"x")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    peer.settimeout(30)
    with peer, ours:
        yield Pair(cast("asyncio.Transport", Transport(ours)), ours, peer)


def test_unsent_is_what_the_peer_has_not_acknowledged_and_moves_when_it_reads(pair: Pair) -> None:
    assert rawsocket.unsent(pair.transport) == 0
    pair.fill()
    before = rawsocket.unsent(pair.transport)
    assert before > 0
    cast("Transport", pair.transport).buffered = 100
    assert rawsocket.unsent(pair.transport) == before + 100
    cast("Transport", pair.transport).buffered = 0
    while rawsocket.unsent(pair.transport) == before:  # the window opens in steps
        assert pair.peer.recv(65_536)


def test_unread_is_what_has_arrived(pair: Pair) -> None:
    assert rawsocket.unread(pair.transport) == 0
    pair.peer.sendall(b"hello")
    select.select([pair.ours], [], [], 30)
    assert rawsocket.unread(pair.transport) == 5
    assert pair.ours.recv(10) == b"hello"
    assert rawsocket.unread(pair.transport) == 0


def test_what_arrived_before_a_reset_can_be_read_after_a_failed_write(pair: Pair) -> None:
    pair.ours.send(b"unread")
    pair.peer.sendall(b"last words")
    select.select([pair.peer], [], [], 30)
    pair.peer.close()  # with something unread: a reset
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        pair.keep_sending()
    assert rawsocket.read(pair.transport) == b"last words"
    assert rawsocket.read(pair.transport) == b""


def test_nothing_to_read_is_nothing(pair: Pair) -> None:
    assert rawsocket.read(pair.transport) == b""


def test_what_is_discarded_ends_with_a_reset(pair: Pair) -> None:
    pair.fill()
    rawsocket.discard(pair.transport)
    assert pair.peer.recv(1) == b"\0", "not yet"
    pair.ours.close()
    with pytest.raises(ConnectionResetError):
        pair.take_all()


def test_a_reset_arrives_as_one(pair: Pair) -> None:
    rawsocket.reset(pair.transport)
    with pytest.raises(ConnectionResetError):
        pair.peer.recv(1)
    assert pair.transport.is_closing()
    rawsocket.reset(pair.transport)  # once more is nothing
