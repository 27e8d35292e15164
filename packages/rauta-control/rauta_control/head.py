"""The gate for request heads: everything that must hold before a request may be routed.

Pure (httptools is a parser, not I/O). httptools validates syntax in one feed, without callbacks; it accepts much that a
proxy must not (RELIABILITY: no Host, two Hosts, `gzip, chunked`, chunked on HTTP/1.0, two spaces in the request line), so a
strict request-line pattern runs before it and one pattern picks out, in one scan of the lowered head, the few fields that
decide framing, routing or what must not be forwarded. Most heads have just one such field, Host, and cost about 2 us.

Nothing is decided inside a parser callback and nothing is forwarded unless `read` returned.
"""

from __future__ import annotations

import re

import httptools

from rauta_control.path import SUSPICIOUS, normalise
from rauta_control.reasons import Reason, Refused

MAX_HEAD = 65_536  # bytes; Envoy 60 KiB, nginx 4 x 8 KiB, Go 1 MiB
MAX_TARGET = 8_192  # bytes; RFC 9112 3 wants at least 8,000 for the line
MAX_FIELDS = 100  # Envoy's limit
MAX_LENGTH = 2**53  # of a body; more is an attack on somebody's integer

CHUNKED = -1  # as a body length

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])\r\n")
_ABSOLUTE = re.compile(rb"(?i:(https?)://)([^/?]*)(.*)")

# Hop-by-hop fields, and those that only we may set towards a backend. Order of alternatives: by first letter.
_SPECIAL = re.compile(
    rb"\n(host|con(?:nection|tent-length)|expect|forwarded|http2-settings|keep-alive|proxy-(?:authorization|connection)"
    rb"|t(?:e|railer|ransfer-encoding)|upgrade|x-(?:forwarded-[a-z]+|real-ip|request-id|rauta-[a-z-]+))[ \t]*:[ \t]*([^\r]*)"
)
_KEPT = frozenset((b"host", b"expect"))
# RFC 9110 7.6.1: naming these in Connection would strip what the next hop relies on.
_PROTECTED = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"content-type", b"cookie", b"authorization", b"trailer")
)
_REQUEST_ID = re.compile(rb"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_HOST = re.compile(rb"(?:([a-z0-9._~-]+)|(\[[0-9a-f:.]+\]))(?::([0-9]{0,5}))?")
_ANY_VERSION = re.compile(rb"[^\r\n]* HTTP/[0-9](?:\.[0-9])?\r\n")
_SLASH = 0x2F


class RequestHead:
    """What the gate learned of one head. One instance a worker is filled anew for each request: take what you need at once.

    method, target, path: bytes; `target` is the normalised origin-form with its query, `path` is it without.
    host: the Host field, lower case, port included; empty only on HTTP/1.0.
    length: body bytes, 0 for none, CHUNKED for a chunked body.
    keep_alive: whether the client can take another response after this one.
    fields: None if the head can be forwarded as it came; otherwise its field lines without the special fields.
    request_id: the client's own x-request-id if it sent a usable one, else empty.
    """

    __slots__ = (
        "_parser",
        "fields",
        "host",
        "http10",
        "keep_alive",
        "length",
        "method",
        "path",
        "request_id",
        "target",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.method = self.target = self.path = self.host = self.request_id = b""
        self.length = 0
        self.keep_alive = True
        self.http10 = False
        self.fields: bytes | None = None

    def read(self, data: bytes, end: int) -> None:
        """Fill from the head in `data`, whose blank line (CRLF CRLF) starts at `end`; raise Refused. Later bytes are not looked at."""
        line = _REQUEST_LINE.match(data)
        if line is None:
            raise _bad_line(data)
        self.method, target, minor = line.groups()
        head = data if end + 4 == len(data) else data[: end + 4]
        if head.count(b"\n") > MAX_FIELDS + 2 or end > MAX_HEAD:
            raise Refused(Reason.HEAD_TOO_LARGE)
        special = _SPECIAL.findall(head.lower())
        if minor == b"1" and len(special) == 1 and special[0][0] == b"host":
            self._validate(self._parser, head)
            self.host = special[0][1].rstrip(b" \t")
            self.length = 0
            self.keep_alive = True
            self.http10 = False
            self.fields = None
            self.request_id = b""
        else:
            self._validate(httptools.HttpRequestParser(self), head)
            self._read_special(head, line.end(), special, minor == b"0")
        if target[0] != _SLASH:
            target = self._origin_form(target)
            self._copy_fields(head, line.end())
        if len(target) > MAX_TARGET:
            raise Refused(Reason.TARGET_TOO_LONG)
        query = target.find(b"?")
        path = target if query < 0 else target[:query]
        if SUSPICIOUS.search(path):
            normal = normalise(path)
            if normal != path:
                self._copy_fields(head, line.end())
                target = normal if query < 0 else normal + target[query:]
                path = normal
        self.target = target
        self.path = path

    def _validate(self, parser: httptools.HttpRequestParser, head: bytes) -> None:
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            if self.method == b"CONNECT":
                raise Refused(Reason.CONNECT_REFUSED) from None
        except httptools.HttpParserInvalidMethodError as error:
            self._parser = httptools.HttpRequestParser(self)
            raise Refused(Reason.METHOD_UNKNOWN, str(error)) from None
        except httptools.HttpParserError as error:
            self._parser = httptools.HttpRequestParser(self)
            raise Refused(Reason.BAD_FIELD, str(error)) from None

    def _copy_fields(self, head: bytes, start: int) -> None:
        """Have the request line rebuilt: from now on `fields` is what follows it."""
        if self.fields is None:
            self.fields = head[start:-2]

    def _read_special(self, head: bytes, start: int, special: list[tuple[bytes, bytes]], http10: bool) -> None:
        """Check and take the special fields, and rebuild the others for the backend."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in special:
            values.setdefault(name, []).append(value.rstrip(b" \t"))
        self.http10 = http10
        self.host = _one_host(values.get(b"host", []), http10)
        self.length = _body_length(values, http10)
        options = _tokens(values.get(b"connection", []))
        forbidden = options & _PROTECTED
        if forbidden or any(option.startswith(b"x-forwarded-") for option in options):
            raise Refused(Reason.BAD_CONNECTION, repr(forbidden))
        self.keep_alive = b"keep-alive" in options if http10 else b"close" not in options
        if b"upgrade" in values and self.length:
            raise Refused(Reason.BAD_UPGRADE)
        expect = values.get(b"expect", [])
        if not http10 and any(value != b"100-continue" for value in expect):
            raise Refused(Reason.EXPECTATION_FAILED)
        drop = options | (values.keys() - _KEPT) | ({b"expect"} if http10 else set())
        self.request_id = b""
        lines: list[bytes] = []
        for line in head[start:-4].split(b"\r\n"):
            name, _, value = line.partition(b":")
            lowered = name.lower()
            if lowered not in drop:
                lines.append(line)
            elif lowered == b"x-request-id" and _REQUEST_ID.fullmatch(value.strip(b" \t")):
                self.request_id = value.strip(b" \t")
        if self.length == CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
        elif b"content-length" in values:
            lines.append(b"Content-Length: %d" % self.length)
        if not values.get(b"host"):
            lines.append(b"Host:")  # HTTP/1.0 may do without, what we send may not (RFC 9112 3.2)
        self.fields = b"".join([line + b"\r\n" for line in lines if line])

    def _origin_form(self, target: bytes) -> bytes:
        """Return the origin-form of an absolute-form target (RFC 9112 3.2.2); refuse all but `OPTIONS *` else."""
        if target == b"*" and self.method == b"OPTIONS":
            return target
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Refused(Reason.BAD_REQUEST_LINE, "target")
        scheme, authority, rest = absolute.groups()
        if scheme.lower() != b"http" or authority.lower() != self.host:
            raise Refused(Reason.BAD_HOST, "absolute target")
        origin: bytes = rest
        return origin if origin[:1] == b"/" else b"/" + origin


def split_host(host: bytes) -> bytes:
    """Return the name to match of a Host field value (lower case): no port, no trailing dot. Raise Refused(BAD_HOST)."""
    match = _HOST.fullmatch(host)
    if match is None or (match[3] and int(match[3]) > 65535):
        raise Refused(Reason.BAD_HOST, repr(host))
    name: bytes = match[1] or match[2]
    return name.removesuffix(b".")


def _bad_line(data: bytes) -> Refused:
    return Refused(Reason.VERSION_UNKNOWN if _ANY_VERSION.match(data) else Reason.BAD_REQUEST_LINE)


def _one_host(hosts: list[bytes], http10: bool) -> bytes:
    """RFC 9112 3.2: exactly one, but HTTP/1.0 clients may send none."""
    if len(hosts) == 1:
        return hosts[0]
    if http10 and not hosts:
        return b""
    raise Refused(Reason.BAD_HOST, f"{len(hosts)} Host fields")


def _body_length(values: dict[bytes, list[bytes]], http10: bool) -> int:
    """RFC 9112 6.3, read strictly: one of the two, once, in its plainest form."""
    codings = values.get(b"transfer-encoding")
    lengths = values.get(b"content-length")
    if codings is not None:
        if lengths is not None or http10 or len(codings) > 1:
            raise Refused(Reason.BAD_FRAMING, "Transfer-Encoding beside something else")
        if codings[0] == b"chunked":
            return CHUNKED
        known = codings[0].rpartition(b",")
        raise Refused(
            Reason.CODING_UNKNOWN if known[2].strip() == b"chunked" and known[0].strip() else Reason.BAD_FRAMING
        )
    if lengths is None:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 32:  # bytes.isdigit is ASCII only
        raise Refused(Reason.BAD_FRAMING, "Content-Length")
    length = int(lengths[0])
    if length > MAX_LENGTH:
        raise Refused(Reason.BAD_FRAMING, "Content-Length")
    return length


def _tokens(values: list[bytes]) -> set[bytes]:
    return {token.strip(b" \t") for value in values for token in value.split(b",")} - {b""}
