"""The server name of real ClientHellos, whole and in pieces, and of what is none."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control import clienthello
from rauta_control.clienthello import ClientHello, NotTLSError


def hello(name: str | None, *protocols: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL says first."""
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    context.maximum_version = version
    context.check_hostname = False
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def split(data: bytes, *sizes: int) -> bytes:
    """The one record of `data` as several, the last of what is left."""
    content, parts = data[5:], []
    for size in (*sizes, len(content)):
        piece, content = content[:size], content[size:]
        if piece:
            parts.append(data[:3] + len(piece).to_bytes(2) + piece)
    return b"".join(parts)


HELLO = hello("Shop.Example")


def server_name(*pieces: bytes) -> str | None:
    """What is known after the last of the pieces, and nothing before it."""
    reader = ClientHello()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    name = reader.feed(pieces[-1])
    assert reader.data == b"".join(pieces)
    return name


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_is_found(version: ssl.TLSVersion) -> None:
    assert server_name(hello("a.example", version=version)) == "a.example"
    assert server_name(hello(None, version=version)) == ""
    assert server_name(HELLO) == "shop.example"
    assert server_name(HELLO + b"\x14\x03\x03\x00\x01\x01") == "shop.example"


def test_a_dot_at_the_end_is_no_part_of_it() -> None:
    assert server_name(HELLO.replace(b"Shop.Example", b"Shop.Exampl.")) == "shop.exampl"


def test_without_extensions_there_is_no_name() -> None:
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
    record = b"\x01" + len(body).to_bytes(3) + body
    assert server_name(b"\x16\x03\x01" + len(record).to_bytes(2) + record) == ""


@pytest.mark.parametrize(
    ("protocols", "speaks"),
    [
        ((), True),
        (("http/1.1",), True),
        (("h2", "http/1.1"), True),
        (("h2",), False),
        (("http/1.10", "x" * 255), False),
    ],
)
def test_what_a_client_would_speak(protocols: tuple[str, ...], speaks: bool) -> None:
    reader = ClientHello()
    assert reader.feed(hello("a.example", *protocols)) == "a.example"
    assert reader.speaks(b"http/1.1") is speaks


def test_extensions_behind_the_name_are_for_the_handshake_to_judge() -> None:
    reader = ClientHello()
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
    body += b"\x00\x0f" + b"\x00\x00\x00\x06\x00\x04\x00\x00\x01a" + b"\x00\x05\x00\x00\x00"
    message = b"\x01" + len(body).to_bytes(3) + body
    assert reader.feed(b"\x16\x03\x01" + len(message).to_bytes(2) + message) == "a"
    assert reader.speaks(b"http/1.1")


@pytest.mark.parametrize("sizes", [(), (1,), (3, 2), (100, 1, 1), (1,) * len(HELLO)])
def test_a_hello_of_any_records_in_any_pieces(sizes: tuple[int, ...]) -> None:
    several = split(HELLO, *sizes)
    assert server_name(several) == "shop.example"
    assert server_name(*(several[at : at + 1] for at in range(len(several)))) == "shop.example"
    for at in range(1, len(several)):
        assert server_name(several[:at], several[at:]) == "shop.example"


def test_no_record_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    number = clienthello._number

    def counted(data: bytes, at: int, size: int) -> int:
        looked.append(at)
        return number(data, at, size)

    monkeypatch.setattr(clienthello, "_number", counted)
    several = split(HELLO, *(1 for _ in HELLO))
    reader = ClientHello()
    for at in range(len(several)):
        reader.feed(several[at : at + 1])
    assert len(looked) < 4 * len(several)


@pytest.mark.parametrize(("data", "plain"), [(b"GET / HTTP/1.1\r\n", True), (b"P", True), (b"\x80\x2e\x01", False)])
def test_what_is_not_tls(data: bytes, plain: bool) -> None:
    with pytest.raises(NotTLSError) as error:
        server_name(data)
    assert error.value.plain is plain


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x02\x00\x00\x01\x01",  # no such version
        b"\x16\x03\x01\x00\x00",  # a record of nothing
        b"\x16\x03\x01\xff\xff\x01",  # too long
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",  # an empty ClientHello
        HELLO[:9] + b"\x03\x03" + bytes(32) + b"\xff" * (len(HELLO) - 43),
    ],
)
def test_nonsense(data: bytes) -> None:
    with pytest.raises(NotTLSError):
        server_name(data)


@given(st.integers(0, len(HELLO) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(HELLO)))
def test_pieces_do_not_change_what_it_is(at: int, junk: bytes, cut: int) -> None:
    data = HELLO[:at] + junk + HELLO[at + len(junk) :]
    assert outcome(data) == outcome(data[:cut], data[cut:])


def outcome(*pieces: bytes) -> str | None:
    """The name, None if there is more to come, or `not TLS`."""
    reader = ClientHello()
    try:
        for piece in pieces:
            name = reader.feed(piece)
            if name is not None:
                break
    except NotTLSError:
        return "not TLS"
    return name
