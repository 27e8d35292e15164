"""A client's connection to a TLS listener, until its handshake is over.

First the ClientHello is read (clienthello.py), then OpenSSL gets it with the context for that name. One deadline holds
for all of it; a failure is counted by its kind and closes the connection. Where OpenSSL found it that is after its
alert, as far as the socket takes that at once; otherwise without one, which is what clients of the Gateway API's
conformance suite expect of a name that nobody serves. Who speaks HTTP gets an answer, and time to read it. An error
that nobody expected ends its connection and no other.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from rauta_control.clienthello import MAX_HELLO, ClientHello, NotTLSError
from rauta_control.leaving import FRESH_TIME, LINGER_TIME
from rauta_control.reasons import HandshakeFailure, Reason, answer
from rauta_control.tlscontext import PROTOCOL
from rauta_control.tlstransport import SecureTransport, serve

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.port import Port, Site
    from rauta_control.worker import Worker

DISCARDS = 4  # reads of 64 KiB in one turn of who was refused: others are to have theirs

_NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"  # the alert no_application_protocol (RFC 7301 3.2), which is fatal
_NO_CERTIFICATE = frozenset({"CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"})

log = logging.getLogger(__name__)


class Handshake:
    """One connection. It is in the worker's sweep and among its open connections until it ends or a Downstream is."""

    __slots__ = ("_address", "_hello", "_number", "_refused", "_sock", "_task", "_worker", "deadline", "port")

    def __init__(self, worker: Worker, port: Port, sock: socket.socket, address: str, number: int) -> None:
        self._worker = worker
        self.port = port
        self._sock = sock
        self._address = address
        self._number = number
        self._hello = ClientHello()
        self._task: asyncio.Task[None] | None = None  # while OpenSSL is at work
        self._refused = False  # and told so: what it says is discarded
        self.deadline = worker.due.head
        sock.setblocking(False)
        worker.sweep.add(self)
        worker.loop.add_reader(sock, self._readable)

    def _readable(self) -> None:
        try:
            self._discard() if self._refused else self._read()
        except Exception:
            self._fail(HandshakeFailure.INTERNAL)
            log.exception("a TLS handshake failed")

    def _read(self) -> None:
        name = None
        try:
            while name is None:  # to the end: of a socket that was reset uvloop does not say twice that it is readable
                data = self._sock.recv(MAX_HELLO)
                if not data:
                    raise ConnectionResetError
                name = self._hello.feed(data)
        except BlockingIOError:
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
        if not self._hello.speaks(PROTOCOL):  # OpenSSL as Python offers it would go on without one
            self._say(_NO_PROTOCOL)
            self._fail(HandshakeFailure.PROTOCOL)
            return
        self._worker.loop.remove_reader(self._sock)
        self._task = self._worker.start(self._shake(site, name))

    async def _shake(self, site: Site, name: str) -> None:
        """Let OpenSSL do it."""
        worker = self._worker
        exchange: _Exchange | None = None
        failure: HandshakeFailure | None
        try:
            downstream = worker.downstream(site.port, self._address, self._number)
            context = await site.context(worker.contexts, name, worker.now)
            made = exchange = _Exchange(context, self._hello.data, downstream, worker.loop.create_future())
            await worker.loop.connect_accepted_socket(lambda: made, self._sock)
            failure = await made.done
        except asyncio.CancelledError:
            failure = HandshakeFailure.TIMEOUT
        except (OSError, ValueError) as error:
            failure = HandshakeFailure.CLIENT_CLOSED
            if exchange is None:
                worker.complain(f"the certificates of listener {site.port.name} for {site.name.hostname}", error)
                failure = HandshakeFailure.CERTIFICATE
        except Exception:
            failure = HandshakeFailure.INTERNAL
            log.exception("a TLS handshake failed")
        if failure is None:
            worker.shaken(self)
            return
        if exchange is not None:
            exchange.abort()
        self._fail(failure)

    # -- the end

    def _fail(self, failure: HandshakeFailure) -> None:
        if self._task is None:
            self._worker.loop.remove_reader(self._sock)
        self._sock.close()
        self._worker.unshaken(self, failure)

    def _say(self, data: bytes) -> None:
        with suppress(OSError):
            self._sock.send(data)
            self._sock.recv(65_536)  # closing with bytes unread would send a reset that overtakes what was said

    def _refuse(self) -> None:
        """Say to who speaks HTTP without TLS that this is the wrong port, as nginx does.

        It may have more to say, and closing then would send a reset that may overtake the answer (see leaving.py).
        """
        self._worker.count_reason(Reason.PLAIN_HTTP)
        try:
            self._sock.send(answer(Reason.PLAIN_HTTP, close=True))
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._fail(HandshakeFailure.NOT_TLS)
            return
        self._refused = True
        self.deadline = self._worker.now + LINGER_TIME
        self._discard()  # until it says no more for now: of a reset uvloop does not tell twice

    def _discard(self) -> None:
        """Take what a client says that was refused, until it closes or the deadline has passed."""
        try:
            for _ in range(DISCARDS):
                if not self._sock.recv(65_536):
                    break
            else:
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._fail(HandshakeFailure.NOT_TLS)

    # -- what the worker does

    def expire(self) -> None:
        """The deadline has passed."""
        if self._task is None:
            self._fail(HandshakeFailure.NOT_TLS if self._refused else HandshakeFailure.TIMEOUT)
        else:
            self._task.cancel()

    def drain(self) -> None:
        """A moment more: the client would not try again."""
        self.deadline = min(self.deadline, self._worker.now + FRESH_TIME)

    def stop(self) -> None:
        """The worker ends."""
        self.expire()


class _Exchange(asyncio.Protocol):
    """What OpenSSL and the client say to each other until both have finished; then `downstream` has the connection."""

    _transport: asyncio.Transport | None = None

    def __init__(
        self,
        context: ssl.SSLContext,
        hello: bytes,
        downstream: Downstream,
        done: asyncio.Future[HandshakeFailure | None],
    ) -> None:
        self._session = serve(context)
        self._hello = hello
        self._downstream = downstream
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self.data_received(self._hello)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            self._go_on(data)
        except Exception:
            self._end(HandshakeFailure.INTERNAL)
            if self._transport is not None:
                self._transport.abort()
            log.exception("a TLS handshake failed")

    def _go_on(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - for the type checker
        session = self._session
        session.incoming.write(data)
        try:
            session.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._transport.write(session.outgoing.read())
            return
        except ssl.SSLError as error:
            self._transport.write(session.outgoing.read())  # an alert; what the socket does not take goes with `abort`
            self._end(_kind(error))
            return
        secure = SecureTransport(self._transport, session, self._downstream)
        self._transport.set_protocol(secure)
        self._transport.write(session.outgoing.read())
        self._downstream.connection_made(secure)
        self._end(None)
        if session.incoming.pending:  # the first request came with the end of the handshake
            secure.data_received(b"")

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol."""
        self._end(HandshakeFailure.CLIENT_CLOSED)

    def _end(self, failure: HandshakeFailure | None) -> None:
        if not self.done.done():
            self.done.set_result(failure)

    def abort(self) -> None:
        """End it."""
        self.done.cancel()
        if self._transport is not None:
            self._transport.abort()


def _kind(error: ssl.SSLError) -> HandshakeFailure:
    reason = error.reason or ""
    if reason in _NO_CERTIFICATE:
        return HandshakeFailure.CLIENT_CERTIFICATE
    return HandshakeFailure.CLIENT_REFUSED if "ALERT" in reason else HandshakeFailure.PROTOCOL
