"""A client's connection to a TLS listener, until its handshake is over.

First the ClientHello is looked at in the socket (MSG_PEEK, clienthello.py), then OpenSSL gets the connection with the
context for that name. SO_RCVLOWAT spares turns of the loop while a long hello is not complete. One deadline holds for
all of it; a failure is counted by its kind and closes the connection without an alert, which is what clients of the
Gateway API's conformance suite expect of a name that nobody serves.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from rauta_control.clienthello import MAX_HELLO, NotTLSError, UnfinishedError, server_name
from rauta_control.leaving import FRESH_TIME
from rauta_control.reasons import HandshakeFailure, Reason, answer

if TYPE_CHECKING:
    from rauta_control.port import Port, Site
    from rauta_control.worker import Worker

_NO_CERTIFICATE = frozenset({"CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"})


class Handshake:
    """One connection. It is in the worker's sweep and among its open connections until it ends or a Downstream is."""

    __slots__ = ("_address", "_number", "_seen", "_sock", "_task", "_worker", "deadline", "port")

    def __init__(self, worker: Worker, port: Port, sock: socket.socket, address: str, number: int) -> None:
        self._worker = worker
        self.port = port
        self._sock = sock
        self._address = address
        self._number = number
        self._seen = -1  # bytes of the hello
        self._task: asyncio.Task[None] | None = None  # while OpenSSL is at work
        self.deadline = worker.now + worker.limits.head_timeout
        sock.setblocking(False)
        worker.sweep.add(self)
        worker.loop.add_reader(sock, self._readable)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(MAX_HELLO, socket.MSG_PEEK)
            if len(data) == self._seen or not data:  # woken although there is nothing new: it is the end
                raise ConnectionResetError
            self._seen = len(data)
            name = server_name(data)
        except BlockingIOError:
            return
        except UnfinishedError as unfinished:
            with suppress(OSError):  # where it is not to be had, the loop is woken more often than it need be
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, unfinished.size)
            return
        except NotTLSError as error:
            self._refuse() if error.plain else self._fail(HandshakeFailure.NOT_TLS)
            return
        except OSError:
            self._fail(HandshakeFailure.CLIENT_CLOSED)
            return
        site = self.port.site(name)
        if site is None:
            self._fail(HandshakeFailure.UNKNOWN_NAME)
            return
        self._worker.loop.remove_reader(self._sock)
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._task = self._worker.start(self._shake(site, name))

    async def _shake(self, site: Site, name: str) -> None:
        """Let OpenSSL do it. All that can go wrong with a client is an OSError, or that this takes too long."""
        worker = self._worker
        downstream = worker.downstream(site.port, self._address, self._number)
        failure: HandshakeFailure | None = None
        try:
            context = await site.context(worker.contexts, name, worker.now)
        except (OSError, ValueError) as error:
            worker.complain(f"the certificates of listener {site.port.name} for {site.name.hostname}", error)
            failure = HandshakeFailure.CERTIFICATE
        except asyncio.CancelledError:
            failure = HandshakeFailure.TIMEOUT
        else:
            try:
                await worker.loop.connect_accepted_socket(
                    lambda: downstream,
                    self._sock,
                    ssl=context,
                    ssl_handshake_timeout=2 * worker.limits.head_timeout,  # for form's sake: ours is shorter
                    ssl_shutdown_timeout=2 * worker.limits.write_timeout,
                )
            except OSError as error:
                failure = _kind(error)
            except asyncio.CancelledError:
                failure = HandshakeFailure.TIMEOUT
        if failure is not None:
            self._fail(failure)
        else:
            worker.shaken(self)

    # -- the end

    def _fail(self, failure: HandshakeFailure) -> None:
        if self._task is None:
            self._worker.loop.remove_reader(self._sock)
        self._sock.close()
        self._worker.unshaken(self, failure)

    def _refuse(self) -> None:
        """Say to who speaks HTTP without TLS that this is the wrong port, as nginx does."""
        with suppress(OSError):
            self._sock.send(answer(Reason.PLAIN_HTTP, close=True))
            self._sock.recv(65_536)  # closing with bytes unread would send a reset that overtakes the answer
        self._worker.count_reason(Reason.PLAIN_HTTP)
        self._fail(HandshakeFailure.NOT_TLS)

    # -- what the worker does

    def expire(self) -> None:
        """The deadline has passed."""
        if self._task is None:
            self._fail(HandshakeFailure.TIMEOUT)
        else:
            self._task.cancel()

    def drain(self) -> None:
        """A moment more: the client would not try again."""
        self.deadline = min(self.deadline, self._worker.now + FRESH_TIME)

    def stop(self) -> None:
        """The worker ends."""
        self.expire()


def _kind(error: OSError) -> HandshakeFailure:
    if not isinstance(error, ssl.SSLError):
        return HandshakeFailure.CLIENT_CLOSED
    reason = error.reason or ""
    if reason in _NO_CERTIFICATE:
        return HandshakeFailure.CLIENT_CERTIFICATE
    return HandshakeFailure.CLIENT_REFUSED if "ALERT" in reason else HandshakeFailure.PROTOCOL
