"""The chunked coding: what we write others read, what others write we read or refuse, however it is cut into reads."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from rauta_control.action import HeaderEdit
from rauta_control.edit import Edit
from rauta_control.framing import (
    FREE_LINE,
    LAST_CHUNK,
    MAX_LINE,
    MAX_OVERHEAD,
    BadChunkError,
    ChunkedDecoder,
    ChunkOverheadError,
    chunk,
)

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def decode(wire: bytes, sizes: Iterator[int] | None = None) -> tuple[bytes, bytes, bool]:
    """(payload, rest, done) of `wire`, fed in reads of `sizes`, at once without. Stops at the end of the body."""
    decoder = ChunkedDecoder()
    payload = b""
    at = 0
    while at < len(wire) and not decoder.done:
        size = next(sizes) if sizes else len(wire)
        payload += decoder.feed(wire[at : at + size])
        at += size
    return payload, decoder.rest + wire[at:], decoder.done


def byte_by_byte(wire: bytes) -> tuple[bytes, bytes, bool]:
    return decode(wire, iter(lambda: 1, 0))


def refused(wire: bytes) -> bool:
    try:
        decode(wire)
    except BadChunkError:
        return True
    return False


def relay(wire: bytes, sizes: Iterator[int] | None = None) -> tuple[bytes, bytes, bool]:
    """(what is sent on, rest, done) of `wire`, fed as `decode` feeds it."""
    decoder = ChunkedDecoder()
    out = b""
    at = 0
    while at < len(wire) and not decoder.done:
        size = next(sizes) if sizes else len(wire)
        out += decoder.relay(wire[at : at + size])
        at += size
    return out, decoder.rest + wire[at:], decoder.done


def part(data: bytes, at: int, size: int) -> bytes:
    """What is there of so many bytes."""
    assert 0 <= at <= at + size <= len(data)
    return data[at : at + size]


def follow(wire: bytes, sizes: Iterator[int]) -> tuple[bytes, bytes, bool]:
    """As `relay`; but what comes within a chunk is only followed as far as it is plain."""
    decoder = ChunkedDecoder()
    out = b""
    at = 0
    while at < len(wire) and not decoder.done:
        piece = wire[at : at + next(sizes)]
        at += len(piece)
        while decoder.alike and (plain := decoder.follow_alike(partial(part, piece), len(piece))):
            out += piece[:plain]
            piece = piece[plain:]
        if decoder.ahead:
            plain = decoder.follow(bytearray(piece + b"not seen"), len(piece))
            out += piece[:plain]
            piece = piece[plain:]
        out += decoder.relay(piece) if piece else b""
    return out, decoder.rest + wire[at:], decoder.done


# -- tables

MALFORMED = [
    # -- known attacks
    ("extension with bare LF", b"3;\nabc\r\n0\r\n\r\n"),
    ("extension of 64 KiB", b"3;" + b"a" * 65_536 + b"\r\nabc\r\n0\r\n\r\n"),
    ("size line ends with LF", b"3\nabc\r\n0\r\n\r\n"),
    ("data without CRLF", b"3\r\nabc0\r\n\r\n"),
    ("last chunk 0 LF", b"3\r\nabc\r\n0\n\r\n"),
    ("size 0x3", b"0x3\r\nabc\r\n0\r\n\r\n"),
    ("size +3", b"+3\r\nabc\r\n0\r\n\r\n"),
    ("size 3 and a space", b"3 \r\nabc\r\n0\r\n\r\n"),
    ("size of 17 digits", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("trailer Content-Length", b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"),
    # -- sizes
    ("size and a tab", b"3\t\r\nabc\r\n0\r\n\r\n"),
    ("space and a size", b" 3\r\nabc\r\n0\r\n\r\n"),
    ("size -3", b"-3\r\nabc\r\n0\r\n\r\n"),
    ("size 3_0", b"3_0\r\nabc\r\n0\r\n\r\n"),
    ("size 3,3", b"3,3\r\nabc\r\n0\r\n\r\n"),
    ("size 3.0", b"3.0\r\nabc\r\n0\r\n\r\n"),
    ("size g", b"g\r\nabc\r\n0\r\n\r\n"),
    ("size superscript", b"\xb3\r\nabc\r\n0\r\n\r\n"),
    ("size Arabic", "٣\r\nabc\r\n0\r\n\r\n".encode()),
    ("size NUL", b"3\0\r\nabc\r\n0\r\n\r\n"),
    ("size missing", b"\r\nabc\r\n0\r\n\r\n"),
    ("size missing before an extension", b";a\r\n\r\n"),
    ("size of 16 digits", b"8000000000000000\r\n"),
    ("size that wraps 32 bits", b"100000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("5,000 leading zeros", b"0" * 5_000 + b"3\r\nabc\r\n0\r\n\r\n"),
    ("15 leading zeros", b"0" * 15 + b"3\r\nabc\r\n0\r\n\r\n"),
    ("size line without end", b"3" * MAX_LINE),
    ("quoted size", b'"3"\r\nabc\r\n0\r\n\r\n'),
    # -- line ends
    ("size line ends with CR", b"3\rabc\r\n0\r\n\r\n"),
    ("size line ends with CR CR LF", b"3\r\r\nabc\r\n0\r\n\r\n"),
    ("size line ends with LF CR", b"3\n\rabc\r\n0\r\n\r\n"),
    ("data ends with LF", b"3\r\nabc\n0\r\n\r\n"),
    ("data ends with CR", b"3\r\nabc\r0\r\n\r\n"),
    ("data ends with CR CR", b"3\r\nabc\r\r0\r\n\r\n"),
    ("data ends with two CRLF", b"3\r\nabc\r\n\r\n0\r\n\r\n"),
    ("data too long", b"3\r\nabcd\r\n0\r\n\r\n"),
    ("data too short", b"4\r\nabc\r\n0\r\n\r\n"),
    ("body ends with LF", b"0\r\n\n"),
    ("body ends with CR CR LF", b"0\r\n\r\r\n"),
    ("last chunk CR", b"0\r\r\n\r\n"),
    # -- extensions
    ("extension with bare CR", b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ("extension with NUL", b"3;a\0\r\nabc\r\n0\r\n\r\n"),
    ("extension with DEL", b"3;\x7f\r\nabc\r\n0\r\n\r\n"),
    ("extension after a space", b"3 ;a=b\r\nabc\r\n0\r\n\r\n"),
    ("extension with a quoted CRLF", b'3;a="\r\nabc"\r\nabc\r\n0\r\n\r\n'),
    ("extension of the last chunk with LF", b"0;\n\r\n"),
    ("comma for an extension", b"3,a\r\nabc\r\n0\r\n\r\n"),
    # -- trailers
    ("trailer Transfer-Encoding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("trailer content-length, lower case", b"0\r\nX: y\r\ncontent-length: 0\r\n\r\n"),
    ("trailer with space before colon", b"0\r\nContent-Length : 5\r\n\r\n"),
    ("any trailer with space before colon", b"0\r\nX : y\r\n\r\n"),
    ("trailer folded", b"0\r\nX: y\r\n z\r\n\r\n"),
    ("trailer without colon", b"0\r\nX\r\n\r\n"),
    ("trailer without name", b"0\r\n: y\r\n\r\n"),
    ("trailer with bare LF", b"0\r\nX: y\nZ: z\r\n\r\n"),
    ("trailer with bare CR", b"0\r\nX: y\rZ: z\r\n\r\n"),
    ("trailer with NUL", b"0\r\nX: \0\r\n\r\n"),
    ("a request for a trailer", b"0\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a chunk after the last", b"0\r\n3\r\nabc\r\n\r\n"),
    ("endless trailer line", b"0\r\nX: " + b"a" * MAX_LINE),
    ("a request", b"GET / HTTP/1.1\r\n\r\n"),
]


@pytest.mark.parametrize("wire", [pytest.param(case[1], id=case[0]) for case in MALFORMED])
def test_malformed(wire: bytes) -> None:
    with pytest.raises(BadChunkError):
        decode(wire)
    with pytest.raises(BadChunkError):
        byte_by_byte(wire)
    with pytest.raises(BadChunkError):
        relay(wire)
    with pytest.raises(BadChunkError):
        relay(wire, iter(lambda: 1, 0))


@pytest.mark.parametrize("end", [b"X", b"0", b"\r\r", b"\rX"])
def test_what_cannot_end_a_chunk_is_refused_before_its_line_ends(end: bytes) -> None:
    """Else the sender would wait for its answer until a timeout."""
    assert refused(b"3\r\nabc" + end)
    with pytest.raises(BadChunkError):
        relay(b"3\r\nabc" + end)


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3;a=b\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"3;\r\nabc\r\n0;\r\n\r\n", b"abc"),
        (b'3;a="b;\xe9";c\r\nabc\r\n0;last\r\n\r\n', b"abc"),
        (b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", b"abc"),
        (b"3\r\nabc\r\n0\r\nHost: evil\r\nX:\r\n\r\n", b"abc"),
        (b"0\r\n\r\n", b""),
        (b"000\r\n\r\n", b""),
        (b"000000000000003\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n"),
    ],
)
def test_well_formed(wire: bytes, payload: bytes) -> None:
    assert decode(wire + b"GET /") == (payload, b"GET /", True)
    assert byte_by_byte(wire + b"GET /") == (payload, b"GET /", True)
    for end in range(len(wire)):
        assert decode(wire[:end])[2] is False


# -- limits


def test_line_at_the_limit() -> None:
    line = b"3;" + b"a" * (MAX_LINE - 4) + b"\r\n"
    wire = line + b"abc\r\n0\r\n\r\n"
    assert decode(wire) == byte_by_byte(wire) == (b"abc", b"", True)
    assert refused(b"3;a" + wire[2:])


def test_trailers_at_the_limit() -> None:
    trailers = (b"X: " + b"a" * (1024 - 5) + b"\r\n") * (MAX_OVERHEAD // 1024)
    assert decode(b"0\r\n" + trailers + b"\r\n") == (b"", b"", True)
    assert refused(b"0\r\n" + trailers + b"X:\r\n\r\n")


def test_extensions_at_the_limit() -> None:
    line = b"1;" + b"a" * (1024 + FREE_LINE + 2 - 4) + b"\r\n"  # 1024 bytes of overhead with its one byte of payload
    chunks = (line + b"x\r\n") * (MAX_OVERHEAD // 1024)
    assert decode(chunks + LAST_CHUNK) == (b"x" * 16, b"", True)
    assert refused(chunks + b"1;" + b"a" * FREE_LINE + b"\r\nx\r\n")


def test_payload_pays_for_extensions() -> None:
    """A sender that signs each chunk may do so for ever."""
    signed = b"1000;signature=" + b"5" * 64 + b"\r\n" + b"x" * 4096 + b"\r\n"
    assert decode(signed * 2000 + LAST_CHUNK)[2]


def test_payload_that_is_passed_over_pays_too() -> None:
    decoder = ChunkedDecoder(1024)
    for _ in range(20):
        decoder.relay(b"3e8\r\n")
        assert decoder.ahead == 1_000
        decoder.pass_over(600)
        decoder.pass_over(400)
        assert not decoder.ahead
        decoder.relay(b"\r\n" + b"1\r\nx\r\n" * 200)
    decoder.relay(LAST_CHUNK)
    assert decoder.done


def test_overhead_is_counted_over_all_reads() -> None:
    line = b"1;" + b"a" * 100 + b"\r\nx\r\n"
    with pytest.raises(BadChunkError):
        decode(line * 1000, iter(lambda: len(line), 0))


def test_overhead_that_is_asked_for_bounds_lines_and_trailers() -> None:
    trailers = (b"X: " + b"a" * (1024 - 5) + b"\r\n") * 2
    ChunkedDecoder(2048).feed(b"0\r\n" + trailers + b"\r\n")
    with pytest.raises(ChunkOverheadError):
        ChunkedDecoder(2047).feed(b"0\r\n" + trailers + b"\r\n")


@pytest.mark.parametrize("take", [ChunkedDecoder.feed, ChunkedDecoder.relay])
def test_small_chunks_at_the_limit(take: Callable[[ChunkedDecoder, bytes], bytes]) -> None:
    """One of one byte costs four more than it pays."""
    small = b"1\r\nx\r\n"
    take(ChunkedDecoder(1024), small * 256 + LAST_CHUNK)
    with pytest.raises(ChunkOverheadError):
        take(ChunkedDecoder(1024), small * 257 + LAST_CHUNK)
    take(ChunkedDecoder(), small * 100_000 + LAST_CHUNK)  # a backend's may be as small as it likes


def test_small_chunks_at_the_limit_that_are_alike() -> None:
    """The same, of which only the lines are looked at: the first two cost 11 more than they have paid so far."""
    for more, enough in ((253, False), (254, True)):
        decoder = ChunkedDecoder(1024)
        decoder.relay(b"1\r\nx\r\n1\r\n")
        assert decoder.alike == 1
        data = b"x\r\n1\r\n" * more
        if enough:
            with pytest.raises(ChunkOverheadError):
                decoder.follow_alike(partial(part, data), len(data))
        else:
            assert decoder.follow_alike(partial(part, data), len(data)) == len(data)


@pytest.mark.parametrize("take", [ChunkedDecoder.feed, ChunkedDecoder.relay])
@pytest.mark.parametrize("first", [b"1\r\nx\r\n", b"1;x\r\nx\r\n"])  # plain, and in our own words from then on
def test_payload_pays_for_small_chunks_however_it_is_cut(
    take: Callable[[ChunkedDecoder, bytes], bytes], first: bytes
) -> None:
    decoder = ChunkedDecoder(1024)
    take(decoder, first)
    large = chunk(b"x" * 1_000)
    for _ in range(20):
        for at in range(0, len(large), 100):
            take(decoder, large[at : at + 100])
        take(decoder, b"1\r\nx\r\n" * 200)
    take(decoder, LAST_CHUNK)
    assert decoder.done


# -- trailers

NEVER = [
    *(b"host", b"te", b"trailer", b"upgrade", b"connection", b"keep-alive", b"expect", b"max-forwards", b"range"),
    *(b"proxy", b"proxy-authorization", b"proxy-connection", b"via", b"forwarded", b"if-match", b"if-none-match"),
    *(b"content-encoding", b"content-type", b"content-range", b"content-location", b"content_length"),
    *(b"transfer_encoding", b"cache-control", b"vary", b"age", b"date", b"expires", b"location", b"retry-after"),
    *(b"warning", b"authorization", b"www-authenticate", b"authentication-info", b"cookie", b"cookie2"),
    *(b"set-cookie", b"set-cookie2", b"origin", b"access-control-allow-origin", b"x-forwarded-for"),
    *(
        b"x-forwarded",
        b"http2-settings",
        b"x-forwarded-host",
        b"x-rauta-reason",
        b"x-real-ip",
        b"x-request-id",
        b"strict-transport-security",
    ),
]
KEPT = b"grpc-status", b"x-checksum", b"x-forwards", b"content-md5", b"hosts", b"etag", b"xte", b"dates", b"cookies"


def kept(name: bytes) -> bool:
    decoder = ChunkedDecoder()
    decoder.keep_trailers()
    end = decoder.relay(b"0\r\n%b: y\r\n\r\n" % name)
    assert end in (LAST_CHUNK, b"0\r\n%b: y\r\n\r\n" % name)
    return end != LAST_CHUNK


@pytest.mark.parametrize("name", NEVER)
def test_what_says_too_late_who_is_asked_or_what_follows_is_no_trailer(name: bytes) -> None:
    """RFC 9110 6.5.1; nor by a name that is the same to CGI."""
    for each in (name, name.title(), name.replace(b"-", b"_"), name.replace(b"-", b"."), name.replace(b"-", b"*")):
        assert not kept(each)


def test_trailers_are_taken_out_by_one_edit_after_the_other() -> None:
    decoder = ChunkedDecoder()
    decoder.keep_trailers()
    end = decoder.relay(b"1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n")
    for name, left in (("A", b"B: 2\r\nC: 3\r\n"), ("C", b"B: 2\r\n"), ("X", b"B: 2\r\n"), ("B", b""), ("B", b"")):
        end = decoder.strip_trailers(end, (Edit(HeaderEdit(drop=(name,))),))
        assert end == b"1\r\nx\r\n0\r\n%b\r\n" % left


@pytest.mark.parametrize("name", KEPT)
def test_other_trailers_go_on(name: bytes) -> None:
    assert kept(name)
    assert kept(name.upper())


# -- the object itself, and time


def test_read_inside_a_chunk_is_passed_on_as_the_same_object() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"40000000\r\n") == b""  # 1 GiB
    piece = b"x" * 65_536
    for _ in range(16_383):
        assert decoder.feed(piece) is piece
    assert decoder.feed(piece) is piece  # the last one ends the chunk
    assert decoder.feed(b"\r\n0\r\n\r\nrest") == b""
    assert decoder.done
    assert decoder.rest == b"rest"


def test_plain_chunks_are_relayed_as_the_same_object() -> None:
    decoder = ChunkedDecoder()
    inside, across = b"x" * 65_536, b"x" * 10 + b"\r\n1234\r\n" + b"y" * 0x1234 + b"\r\nff\r\nz"
    head = b"1000a\r\n"
    assert decoder.relay(head) is head
    assert decoder.relay(inside) is inside
    assert decoder.relay(across) is across
    assert decoder.relay(b"z" * 254 + b"\r\n1") == b"z" * 254 + b"\r\n"  # a line that is not finished waits
    assert decoder.relay(b"\r\nx\r\n0\r\n\r\nrest") == b"1\r\nx\r\n0\r\n\r\n"
    assert (decoder.done, decoder.rest) == (True, b"rest")


@pytest.mark.parametrize(
    ("before", "data", "whole"),
    [
        (b"", b"3\r\nabc\r\n", True),
        (b"5\r\nabcde\r\n", b"3\r\nabc\r\n", True),
        (b"", chunk(b"a" * 15), True),
        (b"", chunk(b"a" * 16), True),
        (b"", b"7ff\r\n" + b"a" * 0x7FF + b"\r\n", True),
        (b"", b"9\r\n0\r\n\r\nabcd\r\n", True),  # its payload looks like an end
        (b"", b"7FF\r\n" + b"a" * 0x7FF + b"\r\n", False),  # plain, but not as we would write it: the general way
        (b"", chunk(b"a" * 4_000), False),
        (b"", LAST_CHUNK, False),
        (b"", b"", False),
        (b"", b"03\r\nabc\r\n", False),
        (b"", b"3;\r\nabc\r\n", False),
        (b"", b"3\r\nabcde", False),
        (b"", b"2\r\nabc\r\n", False),
        (b"", b"3\r\nabc\r\n3\r\nabc\r\n", False),
        (b"3\r\n", b"3\r\nabc\r\n", False),  # payload that looks like a chunk
        (b"8\r\n", b"3\r\nabc\r\n", False),
        (b"8\r\n3\r\nabc\r\n", b"3\r\nabc\r\n", False),  # the end of the first one is still to come
        (b"1", b"3\r\nabc\r\n", False),  # the size is 13
        (b"1;a\r\nb\r\n", b"3\r\nabc\r\n", False),  # from an extension on everything is encoded anew
        (b"1;a\r\nb\r\n0\r\n", b"3\r\nabc\r\n", False),
    ],
)
def test_a_small_chunk_that_comes_alone_is_known_as_one(before: bytes, data: bytes, whole: bool) -> None:
    decoder = ChunkedDecoder()
    decoder.relay(before)
    assert decoder.is_chunk(data) is whole
    if whole:
        assert decoder.relay(data) is data
        assert decoder.is_chunk(data)


def test_what_is_not_plain_is_relayed_in_our_own_words() -> None:
    wire = b"3\r\nabc\r\n3;a=b\r\ndef\r\n03\r\nghi\r\n1\r\nj\r\n0\r\nHost: evil\r\n\r\n"
    assert relay(wire) == (b"3\r\nabc\r\n7\r\ndefghij\r\n0\r\n\r\n", b"", True)
    huge = ChunkedDecoder()
    assert huge.relay(b"fffffffffffffff\r\nabc") == b"3\r\nabc\r\n"


def test_many_tiny_chunks_take_linear_time() -> None:
    """A quadratic decoder would take hours for these: no clock is needed."""
    count = 50_000
    wire = b"1\r\nx\r\n" * count + LAST_CHUNK
    assert decode(wire) == (b"x" * count, b"", True)
    assert decode(wire, iter(lambda: 5, 0))[0] == b"x" * count
    assert relay(wire)[0] == wire
    assert decode(b"1;a\r\nx\r\n" * count + LAST_CHUNK)[0] == b"x" * count


def test_after_the_end_everything_is_rest() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"0\r\n\r\n") == b""
    assert (decoder.done, decoder.rest) == (True, b"")
    assert decoder.feed(b"3\r\nabc\r\n") == b""
    assert decoder.rest == b"3\r\nabc\r\n"
