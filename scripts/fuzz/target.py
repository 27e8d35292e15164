"""What the fuzzer calls with its bytes; an AssertionError is a finding."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h11
import pytest

from rauta_control import ir
from rauta_control.faketransport_test import patch_sockets
from rauta_control.fakewire_test import CONFIGURATION, GET, OK, Wire

INPUTS = 100  # through one worker before the next; its log and counters grow
HEAD_OK = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\n"
_LARGE = 1 << 22


class Request(NamedTuple):
    """What decides whether two readers saw the same."""

    method: bytes
    body: bytes


class Rig:
    """A worker to be fuzzed, renewed now and then."""

    def __init__(self, resources: tuple[ir.Resource, ...] = CONFIGURATION) -> None:
        self._resources = resources
        self._patches = pytest.MonkeyPatch()
        patch_sockets(self._patches)
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._used = 0
        self._wire: Wire | None = None

    def wire(self) -> Wire:
        """The worker for the next input, nothing in its pools."""
        if self._used >= INPUTS:
            self._end()
        if self._wire is None:
            log = Path(self._folder.name, "access.log")
            log.unlink(missing_ok=True)
            self._wire, self._used = Wire(str(log), self._resources), 0
        self._used += 1
        for idle in list(self._wire.pool):
            idle.close()
        self._wire.loop.settle()
        return self._wire

    def close(self) -> None:
        """End the worker, and leave everything as it was."""
        self._end()
        self._patches.undo()
        self._folder.cleanup()

    def _end(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


class Backend:
    """Plays the backends of one input: `requests` are those they were sent, in order."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known = len(wire.backends)
        self._kept: dict[int, bytes] = {}
        self.requests: list[Request] = []

    def answer(self) -> bool:
        """Answer what is complete; False if that was nothing. AssertionError for what is no request."""
        before = len(self.requests)
        for number, end in enumerate(self._wire.backends[self._known :]):
            data = self._kept.get(number, b"") + end.heard()
            while found := _one(data, strict=True):
                request, data = found
                self.requests.append(request)
                if end.open:
                    end.say(HEAD_OK if request.method == b"HEAD" else OK)
            self._kept[number] = data
        return len(self.requests) > before


def requests(rig: Rig, data: bytes) -> None:
    """A client says `data` (the first byte decides in what pieces)."""
    wire = rig.wire()
    meant = list(read(data[1:]))
    client, backend = wire.client(), Backend(wire)
    for piece in _cut(data):
        if client.open:
            client.say(piece)
        while backend.answer():
            pass
    heard = _responses(client.heard(), [each.method for each in meant])
    assert _within(backend.requests, meant), f"forwarded {backend.requests}, of {meant}"
    assert heard <= len(meant) + 1, f"{heard} answers to {meant}"
    client.break_off()
    wire.check()


def responses(rig: Rig, data: bytes) -> None:
    """A backend says `data` (the first byte decides in what pieces, and the method), and then ends."""
    wire = rig.wire()
    method = b"HEAD" if data[:1] > b"\x7f" else b"GET"
    client = wire.client()
    client.say(GET.replace(b"GET", method))
    backend = wire.backend
    for piece in _cut(data):
        if backend.open:
            backend.say(piece)
    if backend.open:
        backend.half_close()
    _responses(client.heard(), [method])
    second, answers = wire.client(), Backend(wire)
    second.say(GET)
    while answers.answer():
        pass
    if answers.requests:  # else it went to the connection of before, which is in order if that has said nothing more
        heard = second.heard()
        assert heard.startswith(OK.partition(b"\n")[0]), "the next request was harmed"
        assert heard.endswith(b"\r\n\r\nok"), "the next request was harmed"
    for each in (client, second):
        each.break_off()
    wire.check()


def read(data: bytes) -> Iterator[Request]:
    """The whole requests in `data`, as h11 reads them, whatever they say about the connection."""
    while True:
        while data.startswith(b"\r\n"):  # RFC 9112 2.2
            data = data[2:]
        found = _one(data)
        if found is None:
            return
        request, data = found
        yield request


def _one(data: bytes, *, strict: bool = False) -> tuple[Request, bytes] | None:
    """The first request of `data` and what follows it; None if there is no whole one.

    `strict`: AssertionError if it cannot become one.
    """
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGE)
    if data:
        server.receive_data(data)
    try:
        head = server.next_event()
        if not isinstance(head, h11.Request):
            return None
        body = b""
        while isinstance(event := server.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError as error:
        if strict:
            raise AssertionError(f"{error}: {data!r}") from None
        return None
    return (Request(head.method, body), server.trailing_data[0]) if isinstance(event, h11.EndOfMessage) else None


def _responses(data: bytes, methods: list[bytes]) -> int:
    """The number of final responses in `data`, the last perhaps cut; AssertionError if anything in it is none."""
    count = 0
    while data:
        method = methods[count] if count < len(methods) else b"GET"
        client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGE)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        try:
            event = client.next_event()
            while isinstance(event, h11.InformationalResponse | h11.Response | h11.Data):
                count += isinstance(event, h11.Response)
                event = client.next_event()
        except h11.RemoteProtocolError as error:
            raise AssertionError(f"{error}: {data!r}") from None
        if not isinstance(event, h11.EndOfMessage):
            break
        data = client.trailing_data[0]
    return count


def _within(some: list[Request], of: list[Request]) -> bool:
    """Whether `some` are in `of`, in this order."""
    rest = iter(of)
    return all(each in rest for each in some)


def _cut(data: bytes) -> Iterator[bytes]:
    """`data` without its first byte, in pieces of a size that this says; most often in one."""
    size = data[0] % 64 if data else 0
    data = data[1:]
    size = size if 0 < size < 32 else max(1, len(data))
    for at in range(0, len(data), size):
        yield data[at : at + size]
