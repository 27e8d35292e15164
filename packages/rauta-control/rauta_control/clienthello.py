"""The first bytes of a TLS connection: which server name the client wants. Pure.

Read before the handshake, without taking the bytes: the certificate, the authorities for clients and the part of the
configuration a connection belongs to are known before OpenSSL sees it, a name that nobody serves is closed without an
alert, and who speaks HTTP to an HTTPS port can be told so. Only what leads to the name is looked at: the rest is for
the handshake to judge. RFC 8446 4.1.2, RFC 6066 3.
"""

from __future__ import annotations

MAX_HELLO = 16_384  # bytes in all; browsers with post-quantum key shares send 2,000, and nobody needs a second record

_HANDSHAKE = b"\x16"  # the type of a record
_CLIENT_HELLO = 1
_SERVER_NAME = 0  # the extension, and within it the type of a host name
_RECORD = 5  # bytes of a record's head


class NotTLSError(ValueError):
    """This is no TLS connection; `plain` if it looks like HTTP."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__("HTTP without TLS" if plain else "not a ClientHello")
        self.plain = plain


class UnfinishedError(ValueError):
    """More is needed: so many bytes in all."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are needed")
        self.size = size


def server_name(data: bytes) -> str:
    """Return the name in a ClientHello, lower case and without a dot at its end; empty if the client gave none.

    Raises UnfinishedError or NotTLSError.
    """
    hello = _hello(data)
    try:
        return _find(hello)
    except IndexError:
        raise NotTLSError(plain=False) from None


def _hello(data: bytes) -> bytes:
    """The ClientHello after its head, put together from its records."""
    parts = b""
    start = 0
    while True:
        head = data[start : start + _RECORD]
        if head[:1] not in (b"", _HANDSHAKE):
            raise NotTLSError(plain=not start and head[:1].isalpha())
        if len(head) < _RECORD:
            raise UnfinishedError(start + _RECORD)
        if head[1] != 3:  # the major version of every one
            raise NotTLSError(plain=False)
        size = _number(head, 3, 2)
        end = start + _RECORD + size
        if not size or end > MAX_HELLO:
            raise NotTLSError(plain=False)
        if len(data) < end:
            raise UnfinishedError(end)
        parts += data[start + _RECORD : end]
        start = end
        if parts[0] != _CLIENT_HELLO:
            raise NotTLSError(plain=False)
        if len(parts) >= 4 and len(parts) >= 4 + _number(parts, 1, 3):
            return parts[4 : 4 + _number(parts, 1, 3)]


def _find(hello: bytes) -> str:
    at = 34  # version and random
    at += 1 + _number(hello, at, 1)  # session id
    at += 2 + _number(hello, at, 2)  # cipher suites
    at += 1 + _number(hello, at, 1)  # compression methods
    if at == len(hello):
        return ""  # no extensions at all
    end = at + 2 + _number(hello, at, 2)
    at += 2
    while at < end:
        kind, size = _number(hello, at, 2), _number(hello, at + 2, 2)
        if kind == _SERVER_NAME:
            return _host_name(hello[at + 4 : at + 4 + size])
        at += 4 + size
    return ""


def _host_name(names: bytes) -> str:
    """The one host name of a list that has never held anything else."""
    if _number(names, 2, 1) != _SERVER_NAME:
        return ""
    name = names[5 : 5 + _number(names, 3, 2)]
    return name.decode("latin-1").lower().removesuffix(".")


def _number(data: bytes, at: int, size: int) -> int:
    """An unsigned number in network order; raises IndexError if the data ends before."""
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size])
