"""TLS after the handshake: between the transport of a client's socket and the protocol that speaks HTTP over it.

OpenSSL works on two buffers in memory, and there is one straight function a direction: `data_received` decrypts what
the socket had and hands it on in one piece, `write` encrypts and writes at once. Nothing waits here, so the flow
control is that of the socket's transport: it holds what is not sent yet, and while it is paused nothing comes. uvloop's
own TLS, made for all uses, takes a tenth more instructions for a small request and answer, allocates 256 KiB for each
read and keeps buffers of that size.

The end is an exchange of close_notify (RFC 8446 6.1): `close` sends ours after all that was written and discards what
comes until the peer's, or its end of the connection. How long that may last is for the protocol to decide. With TLS 1.3
a peer that has sent its own may still hear us, if the protocol has something to say: until it ends the connection, too.
Before, a close_notify ends both directions (RFC 5246 7.2.1). The end of the connection without one is a lost one.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORD = 16_384  # bytes of plaintext in one record, at most (RFC 8446 5.1): what OpenSSL reads and writes at once
SLICE = 32_768  # bytes that OpenSSL is given at once: its buffers stay as large as they ever were. Half of it costs 5 %
MAX_UNSAID = 2_048  # bytes of alerts and key updates that wait for a peer: too few to make it a slow one (limits.py)

_HALF_CLOSES = "TLSv1.3"
_NOBODY = asyncio.Protocol()  # of a connection that is lost


class Session(NamedTuple):
    """OpenSSL's side of a connection, with what goes in and comes out of it."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


def serve(context: ssl.SSLContext) -> Session:
    """A session that awaits a client's hello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Session(context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing)


class SecureTransport(asyncio.Transport, asyncio.Protocol):
    """The transport of `protocol`, and the protocol of `socket`, the transport beneath, both for one connection."""

    __slots__ = (
        "_closing",
        "_ended",
        "_error",
        "_incoming",
        "_outgoing",
        "_protocol",
        "_socket",
        "_tls",
        "_unusual",
    )

    def __init__(self, socket: asyncio.Transport, session: Session, protocol: asyncio.Protocol) -> None:
        self._socket = socket
        self._protocol = protocol
        self._tls, self._incoming, self._outgoing = session
        self._closing = False
        self._ended = False  # the peer has said all it will, but still listens
        self._error: Exception | None = None  # of the peer's, why the connection ends
        self._unusual = True  # OpenSSL may hold a part of a record, or we are closing

    # -- from the peer

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer: nearly always exactly one record, whose plaintext is shorter."""
        if self._unusual or len(data) > SLICE:
            self._gather([], data)
            return
        self._incoming.write(data)
        try:
            plain = self._tls.read(len(data))  # OpenSSL allocates as much
        except ssl.SSLWantReadError:
            self._unusual = True
            self._answer()
            return
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._incoming.pending or not plain:
            self._gather([plain], b"")
        else:
            self._protocol.data_received(plain)

    def _gather(self, parts: list[bytes], data: bytes) -> None:
        """Take `data`, of any length, after the `parts` already read; an empty part is the peer's close_notify."""
        if self._ended:  # RFC 8446 6.1: what follows is ignored
            return
        view = memoryview(data)
        start = 0
        ended = b"" in parts
        partial = False
        while not ended:
            try:
                while self._incoming.pending and not ended:
                    partial = False
                    parts.append(self._tls.read(RECORD))
                    ended = not parts[-1]
            except ssl.SSLWantReadError:
                partial = True
            except ssl.SSLZeroReturnError:  # how OpenSSL says it where we have sent ours
                ended = True
            except ssl.SSLError as error:
                self._fail(error)
                return
            if start == len(view):
                break
            start += self._incoming.write(view[start : start + SLICE])
        self._unusual = partial or self._closing
        self._answer()
        if not self._closing and (plain := b"".join(parts)):
            self._protocol.data_received(plain)
        if ended:
            self._end()

    def _answer(self) -> None:
        """Send what OpenSSL has to say of itself: a new key, or that it will not renegotiate.

        To a peer that has more than that to take it goes with what is written next: the protocol would else be told to
        pause when it writes nothing.
        """
        unsaid = self._outgoing.pending
        if unsaid > MAX_UNSAID:
            self.abort()
        elif unsaid and self._socket.get_write_buffer_size() <= MAX_UNSAID:
            self._socket.write(self._outgoing.read())

    def _end(self) -> None:
        if self._closing:  # it has understood, or knew before
            self._socket.close()
        elif not self._protocol.eof_received():
            self.close()
        elif self._tls.version() == _HALF_CLOSES:
            self._ended = self._unusual = True
        else:  # what waits to be sent is dropped, as it wants
            self.close()
            self._socket.abort()

    def _fail(self, error: ssl.SSLError) -> None:
        """The peer breaks the rules: tell it, as far as the socket takes that at once, and end it."""
        self._error = error.with_traceback(None)  # its frames hold this transport: nobody would ever free it
        self._closing = True
        self._socket.write(self._outgoing.read())
        self._socket.abort()

    def eof_received(self) -> bool:
        """See asyncio.Protocol. Without a close_notify it may be somebody else's doing: no end of what was said."""
        self._closing = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._closing = True
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(self._error or exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if not self._closing:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._protocol.resume_writing()

    # -- from the protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio.Transport. Encrypted and, as far as the socket takes it, sent at once; ignored after the end."""
        if self._closing or not data:
            return
        if len(data) > RECORD:
            self._write_large(data)
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:  # the peer has begun a message of TLS itself and is to end it first
            self._fail(error)
            return
        self._socket.write(self._outgoing.read())

    def _write_large(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        encrypted = []
        try:
            for start in range(0, len(view), SLICE):
                for at in range(start, min(start + SLICE, len(view)), RECORD):
                    self._tls.write(view[at : at + RECORD])
                encrypted.append(self._outgoing.read())
        except ssl.SSLError as error:  # as above
            self._fail(error)
            return
        self._socket.writelines(encrypted)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """See asyncio.Transport."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Send what was written and a close_notify; discard what comes until the peer has understood."""
        if self._closing:
            return
        self._closing = self._unusual = True
        try:
            self._tls.unwrap()
            understood = True
        except ssl.SSLError:  # SSLWantReadError, as a rule
            understood = False
        self._socket.write(self._outgoing.read())
        if understood:
            self._socket.close()
        elif not self._socket.is_reading():
            self._socket.resume_reading()

    def abort(self) -> None:
        """See asyncio.Transport."""
        self._closing = True
        self._socket.abort()

    def is_closing(self) -> bool:
        """See asyncio.Transport."""
        return self._closing or self._socket.is_closing()

    def can_write_eof(self) -> bool:
        """Never: many peers take a close_notify for the end of both directions."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio.Transport."""
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - for the type checker
        self._protocol = protocol

    # -- what the socket's transport answers

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio.Transport; of TLS, or else of the socket, whose bytes are not ours."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._socket.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """See asyncio.Transport; bytes as they go over the wire."""
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio.Transport; bytes as they go over the wire."""
        self._socket.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """See asyncio.Transport."""
        if not self._closing:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """See asyncio.Transport."""
        if not self._closing:
            self._socket.resume_reading()
