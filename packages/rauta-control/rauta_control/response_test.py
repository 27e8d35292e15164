"""The response gate: a table of bad backends, then properties against h11, httptools and our own slow reference."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.head import CHUNKED, MAX_LENGTH
from rauta_control.headparts_test import BLANK, TEXT, TOKENS, but_keep_alive, mutated, parsed
from rauta_control.reasons import Reason, Refused
from rauta_control.response import MAX_HEAD, UNTIL_CLOSE, ResponseHead
from rauta_control.responsejudge_test import OK, assert_client_agrees, client_head, head, read

REFUSED = [
    # -- framing
    ("CL and TE", head(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
    ("TE and CL", head(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n")),
    ("CL twice, same", head(b"Content-Length: 3\r\nContent-Length: 3\r\n")),
    ("CL twice, differing", head(b"Content-Length: 3\r\ncontent-length: 4\r\n")),
    ("CL 0 and 3", head(b"Content-Length: 0\r\nContent-Length: 3\r\n")),
    ("CL twice of 304", head(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"HTTP/1.1 304 Not Modified")),
    ("CL 3, 3", head(b"Content-Length: 3, 3\r\n")),
    ("CL +3", head(b"Content-Length: +3\r\n")),
    ("CL -1", head(b"Content-Length: -1\r\n")),
    ("CL 3_0", head(b"Content-Length: 3_0\r\n")),
    ("CL 0x3", head(b"Content-Length: 0x3\r\n")),
    ("CL 3 4", head(b"Content-Length: 3 4\r\n")),
    ("CL empty", head(b"Content-Length:\r\n")),
    ("CL superscript", head(b"Content-Length: \xb2\r\n")),
    ("CL 2^64", head(b"Content-Length: 18446744073709551616\r\n")),
    ("CL over the limit", head(b"Content-Length: %d\r\n" % (MAX_LENGTH + 1))),
    ("CL of 33 zeros", head(b"Content-Length: " + b"0" * 33 + b"\r\n")),
    ("TE gzip", head(b"Transfer-Encoding: gzip\r\n")),
    ("TE chunked, gzip", head(b"Transfer-Encoding: chunked, gzip\r\n")),
    ("TE gzip, chunked", head(b"Transfer-Encoding: gzip, chunked\r\n")),
    ("TE chunked, chunked", head(b"Transfer-Encoding: chunked, chunked\r\n")),
    ("TE twice", head(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
    ("TE identity", head(b"Transfer-Encoding: identity\r\n")),
    ("TE xchunked", head(b"Transfer-Encoding: xchunked\r\n")),
    ("TE empty", head(b"Transfer-Encoding:\r\n")),
    ("TE empty and chunked", head(b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n")),
    ("TE chunked VT", head(b"Transfer-Encoding: chunked\x0b\r\n")),
    ("TE on 1.0", head(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.0 200 OK")),
    # -- fields
    ("obs-fold", head(b"X: a\r\n b\r\n")),
    ("obs-fold, tab", head(b"X: a\r\n\tb\r\n")),
    ("leading space", head(b" X: a\r\n")),
    ("bare LF", head(b"X: a\nY: b\r\n")),
    ("bare LF everywhere", b"HTTP/1.1 200 OK\nX: a\n\r\n\r\n"),
    ("bare CR", head(b"X: a\rY: b\r\n")),
    ("CR CR LF", head(b"X: a\r\r\n")),
    ("NUL in value", head(b"X: a\0b\r\n")),
    ("\\x01 in value", head(b"X: \x01\r\n")),
    ("DEL in value", head(b"X: \x7f\r\n")),
    ("NUL in name", head(b"X\0: a\r\n")),
    ("8-bit in name", head(b"X\xe9: a\r\n")),
    ("space before colon", head(b"X : a\r\n")),
    ("space before colon of CL", head(b"Content-Length : 3\r\n")),
    ("tab before colon of TE", head(b"Transfer-Encoding\t: chunked\r\n")),
    ("empty name", head(b": a\r\n")),
    ("no colon", head(b"X\r\n")),
    # -- status line
    ("status 99", head(line=b"HTTP/1.1 99 X")),
    ("status 0200", head(line=b"HTTP/1.1 0200 OK")),
    ("status 000", head(line=b"HTTP/1.1 000 X")),
    ("status 099", head(line=b"HTTP/1.1 099 X")),
    ("status 600", head(line=b"HTTP/1.1 600 X")),
    ("status 999", head(line=b"HTTP/1.1 999 X")),
    ("status 2x0", head(line=b"HTTP/1.1 2x0 X")),
    ("status -200", head(line=b"HTTP/1.1 -200 X")),
    ("no status", head(line=b"HTTP/1.1")),
    ("status without a space", head(line=b"HTTP/1.1 200OK")),
    ("two spaces", head(line=b"HTTP/1.1  200 OK")),
    ("tab", head(line=b"HTTP/1.1\t200 OK")),
    ("NUL in phrase", head(line=b"HTTP/1.1 200 O\0K")),
    ("CR in phrase", head(line=b"HTTP/1.1 200 O\rK")),
    ("ESC in phrase", head(line=b"HTTP/1.1 200 \x1b")),
    ("HTTP/2.0", head(line=b"HTTP/2.0 200 OK")),
    ("HTTP/1.2", head(line=b"HTTP/1.2 200 OK")),
    ("HTTP/0.9", head(line=b"HTTP/0.9 200 OK")),
    ("http/1.1", head(line=b"http/1.1 200 OK")),
    ("HTTP/1.10", head(line=b"HTTP/1.10 200 OK")),
    ("ICY", head(line=b"ICY 200 OK")),
    ("a request", head(b"Host: a\r\n", b"GET / HTTP/1.1")),
    ("garbage", b"\x16\x03\x01\r\n\r\n"),
    ("leading CRLF", b"\r\n" + head()),
    ("leading space of the line", b" " + head()),
    ("blank line only", b"\r\n\r\n"),
    ("over the limit", head(b"X: " + b"a" * (MAX_HEAD + 1 - len(head(b"X: \r\n"))) + b"\r\n")),
]


@pytest.mark.parametrize("data", [pytest.param(case[1], id=case[0]) for case in REFUSED])
@pytest.mark.parametrize("no_body", [False, True])
def test_refused(data: bytes, no_body: bool) -> None:
    with pytest.raises(Refused) as refused:
        read(data, no_body=no_body)
    assert refused.value.reason == Reason.UPSTREAM_INVALID


@dataclass(frozen=True)
class Accepted:
    """What the gate must make of `data`. `fields`: status line and fields for the client; None: as it came.

    Both with a Date behind the status line; without one, nothing but a 1xx is passed on as it came.
    """

    name: str
    data: bytes
    fields: bytes | None
    length: int
    keep_alive: bool = True
    no_body: bool = False


LINE = OK + b"\r\n"
FIVE = b"Content-Length: 5\r\n"
DATE = b"Date: x\r\n"
ACCEPTED = [
    Accepted("CL", head(FIVE), None, 5),
    Accepted("CL 0", head(b"Content-Length: 0\r\n"), None, 0),
    Accepted("CL, keep-alive", head(FIVE + b"Connection: keep-alive\r\n"), None, 5),
    Accepted("keep-alive, CL", head(b"connection: Keep-Alive\r\n" + FIVE), None, 5),
    Accepted("CL, other fields", head(b"X: \xff\r\n" + FIVE + b"Set-Cookie: a\r\nSet-Cookie: b\r\n"), None, 5),
    Accepted("CL 005", head(b"Content-Length: 005\r\n"), LINE + FIVE, 5),
    Accepted(
        "CL with OWS", head(b"X: y\r\nContent-Length:5 \t\r\nZ: z\r\n"), LINE + b"X: y\r\n" + FIVE + b"Z: z\r\n", 5
    ),
    Accepted(
        "CL at the limit",
        head(b"Content-Length: 9007199254740992\r\n"),
        LINE + b"Content-Length: 9007199254740992\r\n",
        2**53,
    ),
    Accepted("chunked", head(b"Transfer-Encoding: chunked\r\nX: y\r\n"), LINE + b"X: y\r\n", CHUNKED),
    Accepted("Chunked with OWS", head(b"transfer-encoding:\tChunked \r\n"), LINE, CHUNKED),
    Accepted("until close", head(b"X: y\r\n"), LINE + b"X: y\r\n", UNTIL_CLOSE, keep_alive=False),
    Accepted("nothing at all", head(), LINE, UNTIL_CLOSE, keep_alive=False),
    Accepted("until close, keep-alive", head(b"Connection: keep-alive\r\n"), LINE, UNTIL_CLOSE, keep_alive=False),
    # -- no body
    Accepted("HEAD, CL", head(FIVE), None, 0, no_body=True),
    Accepted("HEAD, nothing", head(), None, 0, no_body=True),
    Accepted("HEAD, chunked", head(b"Transfer-Encoding: chunked\r\n"), LINE, 0, no_body=True),
    Accepted("HEAD, CL 05", head(b"Content-Length: 05\r\n"), LINE + FIVE, 0, no_body=True),
    Accepted("HEAD, CL huge", head(b"Content-Length: 999999999999\r\n"), None, 0, no_body=True),
    Accepted("304", head(line=b"HTTP/1.1 304 Not Modified"), None, 0),
    Accepted("304, CL", head(FIVE, b"HTTP/1.1 304 Not Modified"), None, 0),
    Accepted("304, chunked", head(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 304 X"), b"HTTP/1.1 304 X\r\n", 0),
    Accepted("204", head(line=b"HTTP/1.1 204 No Content"), None, 0),
    Accepted("204, CL 0", head(b"Content-Length: 0\r\n", b"HTTP/1.1 204 X"), b"HTTP/1.1 204 X\r\n", 0),
    Accepted("204, CL", head(FIVE, b"HTTP/1.1 204 X"), b"HTTP/1.1 204 X\r\n", 0, keep_alive=False),
    Accepted(
        "204, chunked",
        head(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 204 X"),
        b"HTTP/1.1 204 X\r\n",
        0,
        keep_alive=False,
    ),
    Accepted("204, HEAD", head(b"Content-Length: 0\r\n", b"HTTP/1.1 204 X"), b"HTTP/1.1 204 X\r\n", 0, no_body=True),
    Accepted("100", head(line=b"HTTP/1.1 100 Continue"), None, 0),
    Accepted("100, CL", head(FIVE, b"HTTP/1.1 100 Continue"), b"HTTP/1.1 100 Continue\r\n", 0),
    Accepted("103", head(b"Link: </a>\r\n", b"HTTP/1.1 103 Early Hints"), None, 0),
    Accepted("205", head(b"Content-Length: 0\r\n", b"HTTP/1.1 205 Reset Content"), None, 0),
    # -- connection
    Accepted("close", head(FIVE + b"Connection: close\r\n"), LINE + FIVE, 5, keep_alive=False),
    Accepted("Close, both", head(FIVE + b"Connection: keep-alive, Close\r\n"), LINE + FIVE, 5, keep_alive=False),
    Accepted(
        "close in a second line",
        head(b"Connection: keep-alive\r\n" + FIVE + b"Connection: close\r\n"),
        LINE + FIVE,
        5,
        keep_alive=False,
    ),
    Accepted("Keep-Alive field", head(b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n" + FIVE), LINE + FIVE, 5),
    Accepted("hop-by-hop", head(FIVE + b"Proxy-Connection: x\r\nTrailer: X\r\nUpgrade: h2c\r\n"), LINE + FIVE, 5),
    Accepted(
        "426",
        head(FIVE + b"UPGRADE:a\r\nX: y\r\n", b"HTTP/1.1 426 X"),
        b"HTTP/1.1 426 X\r\n" + FIVE + b"UPGRADE:a\r\nX: y\r\n",
        5,
    ),
    Accepted(
        "Connection names",
        head(b"X-Foo: 1\r\nConnection: x-foo\r\n" + FIVE + b"X: y\r\n"),
        LINE + FIVE + b"X: y\r\n",
        5,
    ),
    Accepted("Connection names CL", head(FIVE + b"Connection: content-length\r\n"), LINE + FIVE, 5),
    Accepted("Connection names TE", head(b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n"), LINE, -1),
    Accepted("keep-alive with OWS", head(FIVE + b"Connection: keep-alive \r\n"), LINE + FIVE, 5),
    # -- HTTP/1.0
    Accepted("1.0", head(FIVE, b"HTTP/1.0 200 OK"), LINE + FIVE, 5, keep_alive=False),
    Accepted("1.0, keep-alive", head(b"Connection: keep-alive\r\n" + FIVE, b"HTTP/1.0 200 OK"), LINE + FIVE, 5),
    Accepted(
        "1.0, both",
        head(b"Connection: keep-alive, close\r\n" + FIVE, b"HTTP/1.0 200 OK"),
        LINE + FIVE,
        5,
        keep_alive=False,
    ),
    Accepted("1.0, until close", head(b"", b"HTTP/1.0 200 OK"), LINE, UNTIL_CLOSE, keep_alive=False),
    # -- what only RAUTA says
    Accepted("x-rauta-reason", head(b"X-Rauta-Reason: no_route\r\n" + FIVE), LINE + FIVE, 5),
    Accepted(
        "x-rauta-anything",
        head(FIVE + b"x-rauta-1_a!: b\r\nX-Rauta-: c\r\nX-Rautas: d\r\n"),
        LINE + FIVE + b"X-Rautas: d\r\n",
        5,
    ),
    # -- odd but valid
    Accepted("empty phrase", head(FIVE, b"HTTP/1.1 200 "), None, 5),
    Accepted("no phrase", head(FIVE, b"HTTP/1.1 200"), b"HTTP/1.1 200 \r\n" + FIVE, 5),
    Accepted("8-bit phrase", head(FIVE, b"HTTP/1.1 200 \xc3\xa4\t!"), None, 5),
    Accepted("status 599", head(FIVE, b"HTTP/1.1 599 X"), None, 5),
    Accepted("CLs", head(b"Content-Lengths: 4\r\nX-Content-Length: 6\r\n" + FIVE), None, 5),
    Accepted(
        "at the limit", head(FIVE + b"X: " + b"a" * (MAX_HEAD - len(DATE + head(FIVE + b"X: \r\n"))) + b"\r\n"), None, 5
    ),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
@pytest.mark.parametrize("rest", [b"", b"HTTP/1.1 500 X\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"])
def test_accepted(case: Accepted, rest: bytes) -> None:
    data = dated(case.data)
    gate = read(data + rest, no_body=case.no_body)
    assert gate.fields == (None if case.fields is None else dated(case.fields))
    assert gate.dated or gate.fields is None
    assert (gate.status, gate.length, gate.keep_alive) == (int(case.data[9:12]), case.length, case.keep_alive)
    assert_client_agrees(gate, data, no_body=case.no_body)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_a_head_without_a_date_says_so_and_nothing_else_changes(case: Accepted) -> None:
    gate = read(case.data, no_body=case.no_body)
    assert gate.dated == (gate.fields is None)
    assert gate.fields == case.fields if case.fields or gate.status < 200 else gate.fields is not None
    assert (gate.status, gate.length, gate.keep_alive) == (int(case.data[9:12]), case.length, case.keep_alive)
    assert_client_agrees(gate, case.data, no_body=case.no_body)


@pytest.mark.parametrize("date", [b"date:", b"DATE: x", b"X: y\r\nDate: Mon, 06 Jul 2026 05:04:03 GMT"])
def test_a_head_with_a_date_goes_as_it_came(date: bytes) -> None:
    gate = ResponseHead()
    for data in (head(FIVE + date + b"\r\n"), head(DATE + FIVE), head(b"X: Date:\r\n" + FIVE + date + b"\r\n")):
        gate.read(data, data.index(BLANK), no_body=False)
        assert gate.fields is None


@pytest.mark.parametrize(
    "fields", [b"X-Date: x\r\n", b"Dates: x\r\n", b"X: date:\r\n", b"Date: x\r\nConnection: date\r\n"]
)
def test_what_is_no_date(fields: bytes) -> None:
    gate = read(head(DATE + FIVE))
    data = head(fields + FIVE)
    gate.read(data, data.index(BLANK), no_body=False)
    assert gate.fields is not None
    assert not gate.dated


def dated(data: bytes) -> bytes:
    """Put a Date behind the status line."""
    return data.replace(b"\r\n", b"\r\n" + DATE, 1)


# -- properties

USUAL = {
    b"Server": [b"x"],
    b"Set-Cookie": [b"a=b"],
    b"Content-Length": [b"0", b"5", b"05", b"5 ", b"x"],
    b"Transfer-Encoding": [b"chunked", b"CHUNKED", b"gzip"],
    b"Connection": [b"keep-alive", b"close", b"Server", b"upgrade, x-foo"],
    b"Keep-Alive": [b"timeout=5"],
    b"X-Foo": [b"1"],
    b"Upgrade": [b"h2c"],
    b"X-Rauta-Reason": [b"no_host"],
}
STATUS_LINES = [
    OK,
    OK + b"\r\nDate: x",
    OK + b"\r\ndate:",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 ",
    b"HTTP/1.1 304 X",
    b"HTTP/1.1 100 X",
    b"HTTP/1.1 426 X",
]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    lines = [draw(st.sampled_from(STATUS_LINES))]
    for _ in range(draw(st.integers(0, 5))):
        name, value = draw(TOKENS), draw(TEXT)
        if draw(st.integers(0, 3)):
            name = draw(st.sampled_from(sorted(USUAL)))
            value = draw(st.sampled_from(USUAL[name]))
        cased = draw(st.sampled_from([name, name.lower(), name.upper()]))
        lines.append(cased + b":" + draw(st.sampled_from([b" ", b"", b"\t"])) + value)
    return b"\r\n".join(lines) + BLANK


def accepted(data: bytes, *, no_body: bool) -> ResponseHead | None:
    try:
        return read(data, no_body=no_body)
    except Refused:
        return None


@settings(deadline=None, max_examples=300)
@given(st.one_of(heads(), mutated(heads())), st.booleans())
def test_client_sees_what_was_meant(data: bytes, no_body: bool) -> None:
    gate = accepted(data, no_body=no_body)  # whatever is raised but Refused fails the test
    if gate is not None:
        assert_client_agrees(gate, data[: data.index(BLANK) + 4], no_body=no_body)


@settings(deadline=None, max_examples=200)
@given(heads(), st.booleans(), st.integers(0, 6))
def test_heads_passed_on_and_rebuilt_agree(data: bytes, no_body: bool, place: int) -> None:
    plain = accepted(data, no_body=no_body)
    if plain is None or plain.fields is not None:
        return
    lines = data.split(b"\r\n")
    lines.insert(min(1 + place, len(lines) - 2), b"X-Rauta-Test: 1")  # makes it special, and goes no further
    rebuilt = read(b"\r\n".join(lines), no_body=no_body)
    assert (rebuilt.status, rebuilt.length, rebuilt.keep_alive) == (plain.status, plain.length, plain.keep_alive)
    passed_on, built = client_head(plain, data), client_head(rebuilt, data)
    assert passed_on.partition(b"\r\n")[0] == built.partition(b"\r\n")[0]
    assert but_keep_alive(parsed(passed_on)) == parsed(built)


def everything(gate: ResponseHead) -> list[object]:
    meaningless = {"upgrade", "trailer", "named", "dated"} if gate.fields is None else set()
    names = set(ResponseHead.__slots__) - {"_date"} - meaningless
    return [getattr(gate, name) for name in sorted(names)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(heads(), mutated(heads())), st.booleans()), min_size=2, max_size=6))
def test_nothing_leaks_from_one_read_to_the_next(stream: list[tuple[bytes, bool]]) -> None:
    shared = ResponseHead()
    for data, no_body in stream:
        fresh = accepted(data, no_body=no_body)
        if fresh is not None:
            shared.read(data, data.index(BLANK), no_body=no_body)
            assert everything(shared) == everything(fresh)
        else:
            with pytest.raises(Refused):
                shared.read(data, data.index(BLANK), no_body=no_body)


@pytest.mark.parametrize("before", ACCEPTED, ids=lambda case: case.name)
@pytest.mark.parametrize(
    "data", [head(DATE + FIVE), head(FIVE), head(), head(b"TE: x\r\n" + FIVE), head(line=b"HTTP/1.1 304 X")]
)
def test_no_head_changes_what_the_next_one_means(before: Accepted, data: bytes) -> None:
    shared = read(before.data, no_body=before.no_body)
    shared.read(data, data.index(BLANK), no_body=False)
    assert everything(shared) == everything(read(data))


@pytest.mark.parametrize("base", [b"HTTP/1.1 200 OK\r\nDate: z\r\nContent-Length: 5\r\n\r\n"])
def test_every_byte_in_every_place(base: bytes) -> None:
    """Each of 256 bytes put in each place of a head, and put instead of what is there: refused, or understood alike."""
    for at in range(len(base)):
        for tail in (base[at:], base[at + 1 :]):
            for byte in range(256):
                data = base[:at] + bytes((byte,)) + tail
                gate = accepted(data, no_body=False) if BLANK in data else None
                if gate is not None and gate.length < 100:
                    assert_client_agrees(gate, data[: data.index(BLANK) + 4], no_body=False)


@pytest.mark.parametrize(
    "data",
    [
        head(b"X" + b" " * 60_000 + b"\r\n"),
        head(b"a" * 60_000 + b"\r\n"),
        head(b"a:\r\n" * 15_000),
        head(b"a:\r\n" * 15_000 + b"b\r\n"),
        head(b"Connection: close\r\n" * 3_000),
        head(b"Connection: " + b"a," * 30_000 + b"\r\n" + FIVE),
        head(FIVE + b"Connection: " + b" " * 60_000 + b"\r\n"),
        head(b"Content-Length: " + b"1" * 60_000 + b"\r\n"),
        head(b"X-Rauta-" + b"a" * 60_000 + b"\r\n"),
        head(b"X-Rauta-a:\r\n" * 5_000),
        head(line=b"HTTP/1.1 200 " + b" " * 60_000),
        head(line=b"HTTP/1.1 200 " + b"a\0" * 30_000),
        head(b"\r" * 60_000 + b"\r\n"),
    ],
)
def test_no_head_takes_more_than_linear_time(data: bytes) -> None:
    """With anything quadratic, 60,000 bytes take minutes: the suite would hang, no clock is needed."""
    accepted(data, no_body=False)
