"""Handshakes with errors that nobody expected: each ends its own connection, is counted, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from rauta_control import snapshotfd, state, tlshandshake
from rauta_control.clienthello import ClientHello
from rauta_control.downstream import Downstream
from rauta_control.inherit import Inherited
from rauta_control.parts import split
from rauta_control.pki_test import pair
from rauta_control.port import Port
from rauta_control.proxyharness_test import PATIENCE
from rauta_control.reasons import HandshakeFailure
from rauta_control.settings import Settings
from rauta_control.sharedmem import SharedWords, Vital
from rauta_control.tlscontext import Contexts
from rauta_control.tlsharness_test import Site, context, resources
from rauta_control.worker import Worker


class Served:
    """A worker on the running loop with a TLS listener, which is handed its connections."""

    def __init__(self, words: SharedWords) -> None:
        self.channel, self.supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made = {each.key: state.encode(each) for each in resources(9, Site("*", (pair("a.example"),)))}
        snapshot = snapshotfd.create("test", b"".join(split(state.diff(state.EMPTY, state.EMPTY.change(1, made)))))
        inherited = Inherited(
            role="worker",
            index=0,
            settings=Settings(access_log="off"),
            words=words,
            channel=self.channel,
            listeners={},
            bound=(),
            admin=(),
            probe=(),
            snapshot=snapshot,
            since=(),
            workers=(),
            link=None,
            started=0.0,
        )
        self.worker = Worker(inherited, asyncio.get_running_loop())
        self.worker._ports["l"] = self.port = Port("l", None)
        self.worker.follower.load((snapshot,))
        os.close(snapshot)
        self.listening = socket.create_server(("127.0.0.1", 0))

    def accept(self) -> tuple[socket.socket, socket.socket]:
        """Return the client's end of a new connection, and the worker's."""
        client = socket.create_connection(self.listening.getsockname(), PATIENCE)
        sock, address = self.listening.accept()
        self.worker.acceptor.accepted(self.port, sock, *address)
        return client, sock

    def failures(self, failure: HandshakeFailure) -> int:
        return self.worker.vitals[Vital.TLS_FAILURES + failure.number]

    async def idle(self) -> None:
        """Wait until nothing is left of any connection."""
        async with asyncio.timeout(PATIENCE):
            while self.worker.connections or self.port.open or len(self.worker.sweep):
                await asyncio.sleep(0)

    async def close(self) -> None:
        await self.worker._stop()
        for sock in (self.channel, self.supervisor, self.listening):
            sock.close()


def run(main: Callable[[Served], Any]) -> None:
    words = SharedWords.create()

    async def served() -> None:
        server = Served(words)
        try:
            await main(server)
        finally:
            await server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(served())
    words.close()


def shake(client: socket.socket) -> bool:
    """Whether a handshake succeeds, and nothing ends the connection after it."""
    try:
        with context().wrap_socket(client, server_hostname="a.example") as tls:
            tls.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return tls.recv(1) == b"H"
    except OSError:
        return False
    finally:
        client.close()


def failing(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception) -> None:
    """Have the first call of `owner.name` raise `error`."""
    errors = [error]
    right = getattr(owner, name)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return right(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrong)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("nobody expected it")])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (ClientHello, "feed"),
        (ClientHello, "speaks"),
        (Port, "site"),
        (Worker, "start"),
        (Worker, "downstream"),
        (Contexts, "get"),
        (tlshandshake, "serve"),
        (tlshandshake, "SecureTransport"),
        (ssl.SSLObject, "do_handshake"),
        (Downstream, "connection_made"),
        (Worker, "connected"),
    ],
)
def test_an_error_ends_its_connection_only(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception
) -> None:
    async def main(server: Served) -> None:
        loop = asyncio.get_running_loop()
        failing(monkeypatch, owner, name, error)
        client, sock = server.accept()
        assert not await loop.run_in_executor(None, shake, client)
        await server.idle()
        assert sock.fileno() == -1
        assert server.failures(HandshakeFailure.INTERNAL) == 1
        client, sock = server.accept()
        assert await loop.run_in_executor(None, shake, client)
        await server.idle()
        assert server.worker.vitals[Vital.TLS_HANDSHAKES] == 1
        assert server.failures(HandshakeFailure.INTERNAL) == 1

    run(main)
