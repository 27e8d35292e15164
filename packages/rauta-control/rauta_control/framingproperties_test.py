"""The chunked coding, whatever the body and however it is cut into reads: as h11, llhttp and we ourselves read it."""

from collections.abc import Iterator

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.framing import LAST_CHUNK, BadChunkError, chunk
from rauta_control.framing_test import HEAD, decode, follow, relay

PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
READS = st.lists(st.integers(1, 12), min_size=1)
EXTENSIONS = st.sampled_from([b"", b"", b";", b";a", b";a=b", b';a="b c"', b";a;b=c"])


def cycle(sizes: list[int]) -> Iterator[int]:
    while True:
        yield from sizes


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(wire, payload), in all the ways a sender may choose."""
    pieces = draw(PAYLOADS)
    wire = b""
    for piece in pieces:
        size = draw(st.sampled_from([b"%x", b"%X", b"%03x"])) % len(piece)
        wire += size + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
    wire += draw(st.sampled_from([b"0", b"000"])) + draw(EXTENSIONS) + b"\r\n"
    wire += draw(st.sampled_from([b"", b"X: y\r\n", b"Host: z\r\nX:\r\n"])) + b"\r\n"
    return wire, b"".join(pieces)


def canonical(wire: bytes) -> bytes:
    """The payload of chunks in the one form that nobody reads differently; fails for any other."""
    payload = b""
    while wire != LAST_CHUNK:
        line, wire = wire.split(b"\r\n", 1)
        size = int(line, 16)
        assert line.lower() == b"%x" % size
        assert wire[size : size + 2] == b"\r\n"
        payload, wire = payload + wire[:size], wire[size + 2 :]
    return payload


@settings(deadline=None)
@given(bodies(), READS, st.binary(max_size=10))
def test_any_body_in_any_reads(body: tuple[bytes, bytes], sizes: list[int], rest: bytes) -> None:
    wire, payload = body
    assert decode(wire + rest, cycle(sizes)) == (payload, rest, True)
    assert decode(wire + rest) == (payload, rest, True)
    for relayed in (relay(wire + rest), relay(wire + rest, cycle(sizes)), follow(wire + rest, cycle(sizes))):
        sent, left, done = relayed
        assert (left, done) == (rest, True)
        assert canonical(sent) == payload


@settings(deadline=None)
@given(st.lists(st.sampled_from([1, 5, 16, 17, 300]), min_size=1, max_size=20), READS, st.sampled_from([1, 7, 100]))
def test_plain_chunks_are_followed_as_they_are(lengths: list[int], sizes: list[int], times: int) -> None:
    wire = b"".join(chunk(bytes(length)) for length in lengths) + LAST_CHUNK
    reads = cycle([size * times for size in sizes])
    assert follow(wire, reads) == (wire, b"", True)


@settings(deadline=None)
@given(PAYLOADS, READS)
def test_what_we_write_everyone_reads(pieces: list[bytes], sizes: list[int]) -> None:
    payload = b"".join(pieces)
    wire = b"".join(map(chunk, pieces)) + LAST_CHUNK
    assert decode(wire, cycle(sizes)) == (payload, b"", True)
    assert h11_payload(wire) == payload
    assert llhttp_payload(wire) == payload


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(bodies())[0])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                data[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case 1:
                data[at:at] = draw(
                    st.sampled_from([b"\r", b"\n", b"\r\n", b"0", b"1", b" ", b";", b"\0", b"0\r\n\r\n"])
                )
            case _:
                del data[at : at + draw(st.integers(1, 3))]
    return bytes(data)


@settings(deadline=None, max_examples=500)
@given(mutated_bodies(), READS)
def test_mutations_are_refused_or_understood_alike(wire: bytes, sizes: list[int]) -> None:
    """Whatever the cuts, one verdict; what we and another parser take to be whole bodies, have the same payload."""
    try:
        verdict = decode(wire)
    except BadChunkError:
        with pytest.raises(BadChunkError):
            decode(wire, cycle(sizes))
        with pytest.raises(BadChunkError):
            relay(wire, cycle(sizes))
        with pytest.raises(BadChunkError):
            follow(wire, cycle(sizes))
        return
    assert decode(wire, cycle(sizes)) == verdict
    payload, rest, done = verdict
    for sent, left, relayed in (relay(wire, cycle(sizes)), follow(wire, cycle(sizes))):
        assert (left, relayed) == (rest, done)
        assert not done or canonical(sent) == payload
    if done:
        whole = wire[: len(wire) - len(rest)]
        for theirs in (h11_payload(whole), llhttp_payload(whole)):
            assert theirs is None or theirs == payload


def h11_payload(wire: bytes) -> bytes | None:
    """The payload of a whole body as h11 reads it; None if it does not."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(HEAD + wire)
    server.next_event()
    payload = b""
    try:
        while isinstance(event := server.next_event(), h11.Data):
            payload += event.data
    except h11.RemoteProtocolError:
        return None
    return payload if isinstance(event, h11.EndOfMessage) and not server.trailing_data[0] else None


def llhttp_payload(wire: bytes) -> bytes | None:
    """The payload of a whole body as httptools reads it; None if it does not."""
    reader = Llhttp()
    try:
        reader.parser.feed_data(HEAD + wire)
    except httptools.HttpParserError:
        return None
    return reader.payload if reader.complete == 1 else None


class Llhttp:
    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.payload = b""
        self.complete = 0

    def on_body(self, payload: bytes) -> None:
        self.payload += payload

    def on_message_complete(self) -> None:
        self.complete += 1
