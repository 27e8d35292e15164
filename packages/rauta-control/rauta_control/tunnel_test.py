"""Upgraded connections, on fake transports: who may have one, what goes through it, and how it ends."""

from __future__ import annotations

import gc

import pytest

from rauta_control.faketransport_test import End
from rauta_control.fakewire_test import (
    CONFIGURATION,
    LIMITS,
    OK,
    Wire,
    cluster,
    failures,
    get,
    status,
)
from rauta_control.leaving import FRESH_TIME
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

ASK = get("/ws", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: k")
AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"
)


def tunnel(wire: Wire) -> tuple[End, End]:
    """A client and a backend with a tunnel between them."""
    client = wire.client()
    client.say(ASK)
    wire.backend.say(AGREE)
    wire.backend.heard()
    assert client.heard().startswith(b"HTTP/1.1 101 ")
    return client, wire.backend


def test_a_slow_side_stops_the_reading_of_the_other(wire: Wire) -> None:
    client, backend = tunnel(wire)
    for slow, fast in ((client, backend), (backend, client)):
        slow.take(0)
        fast.say(*[b"x" * 50_000] * 20)
        assert not fast.reading
        assert slow.peak < 200_000
        slow.take_all()
        assert slow.heard() == b"x" * 1_000_000
        assert fast.reading


def test_an_idle_tunnel_ends_but_not_while_anybody_speaks(wire: Wire) -> None:
    client, backend = tunnel(wire)
    for side in (client, backend, client):
        wire.wait(LIMITS.tunnel_timeout - 2, step=600)
        side.say(b"ping")
    assert client.open
    wire.wait(LIMITS.tunnel_timeout + 2, step=600)
    assert client.lost
    assert backend.lost
    assert wire.statuses() == [(101, "tunnel_timeout")]


@pytest.mark.parametrize(("who", "said"), [("client", "client_closed"), ("backend", "upstream_reset")])
def test_a_side_that_breaks_off_ends_the_other(wire: Wire, who: str, said: str) -> None:
    client, backend = tunnel(wire)
    {"client": client, "backend": backend}[who].break_off()
    assert client.lost
    assert backend.lost
    assert wire.statuses() == [(101, said)]
    assert failures(wire) == 0


def test_what_was_said_last_is_still_delivered_but_not_for_ever(wire: Wire) -> None:
    client, backend = tunnel(wire)
    client.take(0)
    backend.say(b"last words")
    backend.break_off()
    assert not client.lost
    client.take()
    assert client.heard() == b"last words"
    assert client.lost
    client, backend = tunnel(wire)
    client.take(0)
    backend.say(b"last words")
    backend.break_off()
    wire.wait(2 * LIMITS.write_timeout + 2)
    assert client.lost
    assert client.reset


def test_a_client_that_takes_the_last_words_slowly_gets_all_of_them(wire: Wire) -> None:
    client, backend = tunnel(wire)
    client.take(0)
    backend.say(bytes(100))
    backend.break_off()
    for _ in range(9):
        wire.wait(LIMITS.write_timeout)
        client.take(10)
    assert not client.lost
    client.take()
    assert client.lost
    assert client.heard() == bytes(100)


def test_a_tls_client_has_a_moment_to_answer_the_end(wire: Wire) -> None:
    client, backend = tunnel(wire)
    (held,) = wire.downstreams
    wire.port.secure = True
    client.take(0)
    backend.say(b"last words")
    backend.break_off()
    assert held.deadline == wire.worker.now + FRESH_TIME
    client.take()
    assert client.lost


def test_a_tunnel_that_is_over_holds_nothing_of_an_old_configuration(wire: Wire) -> None:
    client, backend = tunnel(wire)
    wire.publish(*(each for each in CONFIGURATION if each.key != "cluster/c"), cluster("c", 8009))
    gc.freeze()  # as the worker does after each change: from now on the collector sees none of this
    try:
        assert wire.worker.follower.drained() < wire.state.generation
        client.break_off()
        assert backend.lost
        assert wire.worker.follower.drained() == wire.state.generation
    finally:
        gc.unfreeze()


def test_draining_waits_for_a_tunnel_until_its_time_is_over(wire: Wire) -> None:
    client, backend = tunnel(wire)
    wire.worker.drain(30)
    client.say(b"x")
    assert backend.heard() == b"x"
    assert not wire.worker.done.done()
    wire.loop.run_until_complete(wire.worker._stop())
    wire.loop.settle()
    assert client.lost
    assert backend.lost
    assert wire.statuses() == [(101, "stopped")]


def test_a_draining_worker_begins_no_tunnel(wire: Wire) -> None:
    client = wire.client()
    wire.worker.drain(30)
    client.say(ASK)
    assert b"Upgrade" not in wire.backend.heard()
    wire.backend.say(OK)
    assert status(client.heard()) == 200


def test_a_tunnel_counts_as_a_connection_and_as_one_to_its_endpoint(wire: Wire) -> None:
    client, _ = tunnel(wire)
    (endpoint,) = wire.worker.follower.clusters.endpoints.values()
    for there in (1, 0):
        wire.worker._slow_tick()
        assert len(wire.downstreams) == endpoint.open == wire.port.open == there
        assert wire.vital(Vital.REQUESTS_ACTIVE) == wire.vital(Vital.UPSTREAMS) == there
        client.break_off()
    assert wire.vital(Vital.REASONS + Reason.CLIENT_CLOSED.number) == 1


def test_an_agreement_that_was_the_last_word_of_a_backend_is_502(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK)
    wire.backend.break_off(AGREE)
    assert status(client.heard()) == 502
