"""A client connection whose requests may have come through other proxies: a trusted peer's, or any where Via is on.

Downstream is for everybody else and pays nothing for this. Here each head is looked through before it goes the usual
way, for some 2 us: what forwarded.py makes of it is set for one request and then put back.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from rauta_common.hashing import flow_hash
from rauta_control import forwarded
from rauta_control.clientstate import IDLE
from rauta_control.downstream import Downstream
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.port import Port
    from rauta_control.worker import Worker


class Proxied(Downstream):
    """One client connection; `own` is what is true of its peer: client, flow, X-Forwarded-* lines."""

    __slots__ = ("own",)

    def __init__(self, worker: Worker, port: Port, address: str, number: int) -> None:
        self.own: tuple[bytes, int, bytes] | None = None
        super().__init__(worker, port, address, number)

    def reset(self) -> None:
        """Put back what is true of the peer, too."""
        super().reset()
        if self.own is not None:
            self.client, self.flow, self.forwarded = self.own
            self.forwarded_host = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.phase == IDLE:
            end = data.find(b"\r\n\r\n")
            if end >= 0 and not self._hear(data[: end + 2]):
                self.started = monotonic()
                self.refuse(Reason.LOOP, data)
                return
        super().data_received(data)

    def _hear(self, head: bytes) -> bool:
        """Take what other proxies said of the request; False if it has been here before."""
        if self.own is None:
            self.own = self.client, self.flow, self.forwarded
        said = forwarded.fields_of(head)
        lines = self.own[2]
        if self.worker.trust.covers(self.own[0].decode()):  # each time: the list can change
            lines = self._believe(said)
        via = self.worker.via
        if via:
            if forwarded.looped(said.get(b"via"), via):
                return False
            minor = 0 if head.partition(b"\r\n")[0].endswith(b"1.0") else 1
            lines += b"Via: 1.%d %b\r\n" % (minor, via.encode())
        self.forwarded = lines
        return True

    def _believe(self, said: dict[bytes, list[bytes]]) -> bytes:
        """Return the lines for the backend where the peer's word counts, and set who the client is."""
        assert self.own is not None  # noqa: S101 - for the type checker: it was set
        peer, _, lines = self.own
        hops = [hop for value in said.get(b"x-forwarded-for", ()) for hop in value.split(b",") if hop.strip(b" \t")]
        if hops:
            self.client = self.worker.trust.client(hops, peer.decode()).encode()
            self.flow = flow_hash(self.client)
            lines = lines.replace(b": ", b": %b, " % b", ".join(hop.strip(b" \t") for hop in hops), 1)
        if scheme := forwarded.proto(said.get(b"x-forwarded-proto")):
            lines = b"%b\r\nX-Forwarded-Proto: %b\r\n" % (lines.partition(b"\r\n")[0], scheme)
        if name := forwarded.host(said.get(b"x-forwarded-host")):
            self.forwarded_host = name
        return lines + b"".join(b"Forwarded: %b\r\n" % value for value in said.get(b"forwarded", ()))
