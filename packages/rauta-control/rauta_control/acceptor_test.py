"""Accepting connections, over fake transports."""

from __future__ import annotations

import socket

from rauta_control.faketransport_test import FakeSocket
from rauta_control.fakewire_test import GET, OK, Wire, reason
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital


def test_too_many_connections_are_told_so(wire: Wire) -> None:
    wire.limit(max_connections=2)
    clients = [wire.client(), wire.client()]
    turned_away = FakeSocket()
    wire.accept(turned_away)
    assert reason(turned_away.sent) == "overloaded"
    assert turned_away.closed
    gone = FakeSocket(ConnectionResetError())
    wire.accept(gone)
    assert gone.closed
    assert wire.vital(Vital.REFUSED) == 2
    assert wire.vital(Vital.REASONS + Reason.OVERLOADED.number) == 2
    assert wire.vital(Vital.ACCEPTED) == 2
    clients[0].half_close()
    wire.client().say(GET)
    wire.backend.say(OK)


def test_a_client_that_is_gone_before_it_was_accepted_leaves_nothing(wire: Wire) -> None:
    sock = FakeSocket(OSError("gone"))
    wire.accept(sock)
    wire.loop.settle()
    assert sock.closed
    assert not wire.downstreams


def test_a_listener_that_is_no_more_is_forgotten_with_its_last_connection(wire: Wire) -> None:
    """Else each that ever was would be told of each change, for as long as the worker lives."""
    ports = wire.worker._ports
    with socket.socket() as sock:
        wire.worker.acceptor.listen("m", sock)
        wire.worker._committed(wire.worker.follower.table)
        ports["m"].open = 1
        wire.worker.acceptor.unlisten("m")
    wire.worker._committed(wire.worker.follower.table)
    assert set(ports) == {"l", "m"}
    ports["m"].open = 0
    wire.worker._committed(wire.worker.follower.table)
    assert set(ports) == {"l"}
