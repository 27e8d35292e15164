"""Whatever is sent, in whatever pieces and order: what arrives is what was sent. h11 plays both the client and the
backend.

Hypothesis makes up the exchanges of one client connection, cuts both streams anywhere, and decides who moves next and
when the client takes what. Checked are both sides' messages, the bound on what is buffered, and that nothing is left
behind.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rauta_control import ir
from rauta_control.action import Filters, HeaderEdit, Mirror
from rauta_control.faketransport_test import READ, End, patch_sockets
from rauta_control.fakewire_test import CONFIGURATION, Wire, cluster

SIZES = st.sampled_from([0, 1, 2, 1000, 70_000, 300_000])
#: Of a rule whose heads are all made anew, and whose requests are copied.
TREATED = Filters(HeaderEdit((("X-Edited", "1"),)), HeaderEdit((("X-Edited", "1"),)), mirrors=(Mirror("m"),))


@dataclass
class Exchange:
    """One request and its response."""

    number: int
    method: str
    sent: int
    sent_chunked: bool
    status: int
    answered: int
    framing: str  # of the response: length, chunked, close

    @property
    def body(self) -> bytes:
        return bytes((self.number + at) % 251 for at in range(min(self.sent, 251))) * (self.sent // 251 + 1)

    @property
    def answer(self) -> bytes:
        return bytes((self.number * 7 + at) % 241 for at in range(min(self.answered, 241))) * (self.answered // 241 + 1)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Exchange]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        method = draw(st.sampled_from(["GET", "GET", "POST", "HEAD"]))
        made.append(
            Exchange(
                number,
                method,
                draw(SIZES) if method == "POST" else 0,
                method == "POST" and draw(st.booleans()),
                draw(st.sampled_from([200, 200, 404, 204, 304])),
                draw(SIZES),
                draw(st.sampled_from(["length", "chunked", "close"])),
            )
        )
    return made


def requests(todo: list[Exchange]) -> bytes:
    stream = b""
    client = h11.Connection(h11.CLIENT)
    for exchange in todo:
        fields = [("Host", "h"), ("X-Number", str(exchange.number))]
        if exchange.sent_chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif exchange.method == "POST":
            fields.append(("Content-Length", str(exchange.sent)))
        client = h11.Connection(h11.CLIENT)
        stream += client.send(h11.Request(method=exchange.method, target=f"/{exchange.number}", headers=fields)) or b""
        if exchange.sent:
            stream += client.send(h11.Data(data=exchange.body[: exchange.sent])) or b""
        stream += client.send(h11.EndOfMessage()) or b""
    return stream


def response(server: h11.Connection, exchange: Exchange) -> bytes:
    fields = [("X-Number", str(exchange.number))]
    bodiless = exchange.method == "HEAD" or exchange.status in (204, 304)
    if exchange.status not in (204, 304):
        if exchange.framing == "length":
            fields.append(("Content-Length", str(exchange.answered)))
        elif exchange.framing == "chunked":
            fields.append(("Transfer-Encoding", "chunked"))
        else:
            fields.append(("Connection", "close"))
    stream = server.send(h11.Response(status_code=exchange.status, headers=fields, reason=b"X")) or b""
    if exchange.answered and not bodiless:
        stream += server.send(h11.Data(data=exchange.answer[: exchange.answered])) or b""
    return stream + (server.send(h11.EndOfMessage()) or b"")


@dataclass
class Backend:
    """One backend connection: understands requests and answers each once it is complete."""

    end: End
    server: h11.Connection = field(default_factory=lambda: h11.Connection(h11.SERVER))
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    body: bytes = b""
    number: int = -1
    pieces: deque[bytes] = field(default_factory=deque)
    then_close: bool = False

    def listen(self, todo: list[Exchange], cut: int) -> None:
        data = self.end.heard()
        if data:
            self.server.receive_data(data)
        while not self.pieces and not self.end.closing:
            event = self.server.next_event()
            if isinstance(event, h11.Request):
                self.number = int(dict(event.headers)[b"x-number"])
                self.body = b""
            elif isinstance(event, h11.Data):
                self.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.seen.append((self.number, self.body))
                stream = response(self.server, todo[self.number])
                self.pieces.extend(stream[at : at + cut] for at in range(0, len(stream), cut))
                self.then_close = self.server.our_state is h11.MUST_CLOSE
                if not self.then_close:
                    self.server.start_next_cycle()
            else:
                return

    def speak(self) -> None:
        if self.pieces and not self.end.closing:
            self.end.say(self.pieces.popleft())
            if not self.pieces and self.then_close:
                self.end.half_close()


def play(
    wire: Wire, client: End, todo: list[Exchange], cuts: list[int], answer_cut: int, moves: list[int]
) -> list[Backend]:
    """Have the client send `todo` and the backends answer, in pieces and in the order of `moves` (0: the client sends,
    1: it reads, others: the backends do both), until nothing moves any more; return the backends.
    """
    stream = requests(todo)
    patient = client.patient
    answer_cut = max(answer_cut, sum(exchange.answered for exchange in todo) // 2_000)
    at = turn = idle = 0
    backends: list[Backend] = []
    after = (0, 0, 0, 0)
    while idle < 20:
        before = after
        move = moves[turn % len(moves)]
        turn += 1
        if move == 0 and at < len(stream):
            size = max(cuts[turn % len(cuts)], len(stream) // 2_000)
            client.say(stream[at : at + size])
            at += size
        elif move == 1:
            client.take(30_000)
            client.patient = patient
        else:
            backends += [Backend(end) for end in wire.backends[len(backends) :]]
            for backend in backends:
                backend.listen(todo, answer_cut)
                backend.speak()
        after = (at, len(client.received), sum(len(backend.pieces) for backend in backends), len(client.buffer))
        idle = idle + 1 if before == after else 0
        if set(moves) <= {2, 3} or (idle >= 10 and at < len(stream)) or client.buffer:  # everybody gets a turn
            moves = [0, 1, 2]
    return backends


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large], deadline=None)
@given(
    todo=exchanges(),
    cuts=st.lists(st.sampled_from([1, 3, 100, 5_000, 200_000]), min_size=1, max_size=3),
    answer_cut=st.sampled_from([9, 1_000, 50_000, 400_000]),
    patient=st.booleans(),
    moves=st.lists(st.integers(0, 3), min_size=4, max_size=12),
    treated=st.booleans(),
)
def test_what_arrives_is_what_was_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    todo: list[Exchange],
    cuts: list[int],
    answer_cut: int,
    patient: bool,
    moves: list[int],
    treated: bool,
) -> None:
    patch_sockets(monkeypatch)
    path = tmp_path / "access.log"
    path.unlink(missing_ok=True)
    share = ir.ClusterWeight("c")
    rule = ir.Rule("r", "app", "l|*", "/", "prefix", (share,), slot=0, epoch=1, filters=TREATED)
    wire = Wire(str(path), [*CONFIGURATION, cluster("m", 8002), rule] if treated else CONFIGURATION)
    client = wire.client()
    client.patient = patient
    backends = play(wire, client, todo, cuts, answer_cut, moves)
    for port in (8001, 8002) if treated else (8001,):
        seen = sorted(request for backend in backends if backend.end.port == port for request in backend.seen)
        assert seen == [(exchange.number, exchange.body[: exchange.sent]) for exchange in todo]
    understood(client.heard(), todo)
    assert client.peak <= 65_536 + READ + 1_000
    assert all(backend.end.peak <= 65_536 + READ + 10_000 for backend in backends)
    assert wire.statuses() == [(exchange.status, "") for exchange in todo]
    assert [upstream.endpoint.port for upstream in wire.pool].count(8001) <= 1
    wire.close()


def understood(stream: bytes, todo: list[Exchange]) -> None:
    """Let a client that knows what it asked for read `stream`."""
    client = h11.Connection(h11.CLIENT)
    client.receive_data(stream)
    for exchange in todo:
        client.send(h11.Request(method=exchange.method, target="/", headers=[("Host", "h")]))
        client.send(h11.EndOfMessage())
        head = client.next_event()
        assert isinstance(head, h11.Response)
        assert head.status_code == exchange.status
        assert dict(head.headers)[b"x-number"] == b"%d" % exchange.number
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        bodiless = exchange.method == "HEAD" or exchange.status in (204, 304)
        assert body == (b"" if bodiless else exchange.answer[: exchange.answered])
        client.start_next_cycle()
    assert client.trailing_data == (b"", False)
