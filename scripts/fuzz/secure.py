"""Clients with TLS for `events.py`: the same as others to whoever plays them, with OpenSSL's client in between."""

import asyncio
import contextlib
import ssl

from rauta_control.faketransport_test import End
from rauta_control.fakewire_test import Wire
from rauta_control.port import Port
from rauta_control.table import SectionRoutes
from rauta_control.tlstransport import SecureTransport, serve
from rauta_control.tlstransport_test import contexts

CUTS = (0, 1, 3, 5, 21, 100)  # bytes of what is said that come by themselves; all at once with the first
NUMBER = 60_000  # the port of such a client


def port(wire: Wire) -> Port:
    """What serves them, in step with the wire's own port."""
    sections = wire.port._sections  # noqa: SLF001
    way = "", False
    if way not in sections:
        sections[way] = made = Port("l", None, secure=True, owner=wire.port)
        made.routes = SectionRoutes(wire.port.routes, "")
        wire.port._kept.append(made)  # noqa: SLF001
    return sections[way]


class SecureEnd:
    """A client's end of a connection, the handshake over."""

    def __init__(self, wire: Wire, address: str, version: ssl.TLSVersion, cut: int) -> None:
        server, client = contexts(version)
        self._cut = cut
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = client.wrap_bio(self._into, self._out, server_hostname="a.example")
        session = serve(server)
        for shake in (self._client.do_handshake, session.tls.do_handshake) * 2:
            with contextlib.suppress(ssl.SSLWantReadError):
                shake()
            session.incoming.write(self._out.read())
            self._into.write(session.outgoing.read())
        downstream = wire.worker.downstream(port(wire), address, NUMBER + len(wire.ends))
        self._end = End(wire.loop, asyncio.Protocol())
        wire.ends.append(self._end)
        secure = SecureTransport(self._end, session, downstream)
        self._end.set_protocol(secure)
        downstream.connection_made(secure)
        self._said_all = False

    def say(self, data: bytes) -> None:
        """See End."""
        self._client.write(data)
        sent = self._out.read()
        pieces = sent[: self._cut], sent[self._cut :]
        self._end.say(*filter(None, pieces))

    def half_close(self) -> None:
        """A close_notify."""
        self._said_all = True
        self._understand()

    def break_off(self) -> None:
        """See End."""
        self._end.break_off()

    def take(self, count: int) -> None:
        """See End; of the bytes on the wire."""
        self._end.take(count)

    def take_all(self) -> None:
        """See End."""
        self._end.take_all()

    def heard(self) -> bytes:
        """See End. Raises SSLError for what is no TLS."""
        self._into.write(self._end.heard())
        parts = []
        try:
            while part := self._client.read(1 << 20):
                parts.append(part)
            self._understand()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._understand()
        return b"".join(parts)

    @property
    def open(self) -> bool:
        """See End."""
        return self._end.open and not self._said_all

    @property
    def lost(self) -> bool:
        """See End."""
        return self._end.lost

    def _understand(self) -> None:
        """Say that no more comes."""
        with contextlib.suppress(ssl.SSLError):  # the other side has not said so yet
            self._client.unwrap()
        if self._end.open and (said := self._out.read()):
            self._end.say(said)
