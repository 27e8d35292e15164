"""The first bytes of a TLS connection: which server name the client wants, and what it would speak. Pure.

Read before the handshake: the certificate, the authorities for clients and the part of the configuration a connection
belongs to are known before OpenSSL sees it, a name that nobody serves is closed without an alert, and who speaks HTTP
to an HTTPS port can be told so. Only what leads to the name and the protocols is looked at: the rest is for the
handshake to judge. RFC 8446 4.1.2, RFC 6066 3, RFC 7301 3.1.
"""

from __future__ import annotations

MAX_HELLO = 16_384  # bytes in all; browsers with post-quantum key shares send 2,000, and nobody needs a second record

_HANDSHAKE = b"\x16"  # the type of a record
_CLIENT_HELLO = 1
_SERVER_NAME = 0  # the extension, and within it the type of a host name
_PROTOCOLS = 16
_RECORD = 5  # bytes of a record's head


class NotTLSError(ValueError):
    """This is no TLS connection; `plain` if it looks like HTTP."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__("HTTP without TLS" if plain else "not a ClientHello")
        self.plain = plain


class ClientHello:
    """What a client says first: `feed` it as it comes. `data` is everything that came, for the handshake."""

    __slots__ = ("_message", "_start", "data")

    def __init__(self) -> None:
        self.data = b""
        self._message = b""  # what the records held that are complete
        self._start = 0  # of the first that is not

    def feed(self, data: bytes) -> str | None:
        """Take more of it; return the name, lower case and without a dot at its end, once all is here, else None.

        Empty if the client gave none. No record is looked at twice: a client may put each byte into one of its own.
        Raises NotTLSError.
        """
        self.data += data
        while len(self._message) < 4 or len(self._message) < 4 + _number(self._message, 1, 3):
            head = self.data[self._start : self._start + _RECORD]
            if head[:1] not in (b"", _HANDSHAKE):
                raise NotTLSError(plain=not self._start and head[:1].isalpha())
            if len(head) < _RECORD:
                return None
            begin = self._start + _RECORD
            end = begin + _number(head, 3, 2)
            if head[1] != 3 or end == begin or end > MAX_HELLO:  # 3 is the major version of every one
                raise NotTLSError(plain=False)
            if len(self.data) < end:
                return None
            self._message += self.data[begin:end]
            self._start = end
            if self._message[0] != _CLIENT_HELLO:
                raise NotTLSError(plain=False)
        try:
            return _host_name(_extension(self._hello(), _SERVER_NAME))
        except IndexError:
            raise NotTLSError(plain=False) from None

    def speaks(self, protocol: bytes) -> bool:
        """Whether the client would speak this over TLS, or does not say; once all is here."""
        try:
            names = _extension(self._hello(), _PROTOCOLS)
        except IndexError:  # for the handshake to judge
            return True
        return not names or b"%c%b" % (len(protocol), protocol) in names

    def _hello(self) -> bytes:
        return self._message[4 : 4 + _number(self._message, 1, 3)]


def _extension(hello: bytes, wanted: int) -> bytes:
    """The first extension of this kind, empty if there is none."""
    at = 34  # version and random
    at += 1 + _number(hello, at, 1)  # session id
    at += 2 + _number(hello, at, 2)  # cipher suites
    at += 1 + _number(hello, at, 1)  # compression methods
    if at == len(hello):
        return b""  # no extensions at all
    end = at + 2 + _number(hello, at, 2)
    at += 2
    while at < end:
        kind, size = _number(hello, at, 2), _number(hello, at + 2, 2)
        if kind == wanted:
            return hello[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def _host_name(names: bytes) -> str:
    """The one host name of a list that has never held anything else."""
    if not names or _number(names, 2, 1) != _SERVER_NAME:
        return ""
    name = names[5 : 5 + _number(names, 3, 2)]
    return name.decode("latin-1").lower().removesuffix(".")


def _number(data: bytes, at: int, size: int) -> int:
    """An unsigned number in network order; raises IndexError if the data ends before."""
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size])
