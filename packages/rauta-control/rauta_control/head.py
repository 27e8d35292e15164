"""The gate for request heads: everything that must hold before a request may be routed.

Pure (httptools is a parser, not I/O). httptools validates syntax in one feed, without callbacks, by a new parser for
each head that is read in full, so that nothing of one request can colour the verdict on another. It accepts much that a
proxy must not (no Host, two Hosts, `gzip, chunked`, chunked on HTTP/1.0, two spaces in the request line), so a strict
pattern checks the request line first (requestline.py), and one scan of the lowered head finds the few fields that
decide framing or routing or stay behind.

A head is plain if those are one Host and perhaps `Connection: keep-alive` (what we would say ourselves) and a
Content-Length in its shortest form. It is forwarded as it came and costs about 3 us, 1 if it is of a known shape
(shape.py), where one pattern takes the place of parser, line and scan; any other is rebuilt, for 6 to 10.

Nothing is decided inside a parser callback and nothing is forwarded unless `read` or `take` returned.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from rauta_control import handshake
from rauta_control.limits import Limits
from rauta_control.path import normalise
from rauta_control.reasons import Reason, Refused
from rauta_control.requestline import TOKEN, bad_line, match_line

MAX_LENGTH = 2**53  # of a body; more is an attack on somebody's integer
MAX_CODINGS = 8  # of a Transfer-Encoding that are looked at to say what is wrong with it
MAX_HOST = 255  # bytes of a Host field; RFC 1035 2.3.4 has 255 for a name

CHUNKED = -1  # as a body length

# What httptools says of methods of RTSP, and of PRI.
_OTHER_PROTOCOL = ("Invalid method for HTTP/x.x request", "Expected HTTP/2 Connection Preface")
_ABSOLUTE = re.compile(rb"(?i:(https?)://)([^/?]*)([^?]*)(.*)")

# Fields that decide framing or routing, are hop-by-hop, or that only we may set towards a backend; and `Proxy`, which
# CGI takes for HTTP_PROXY. `-` stands for every character that some server turns into the `_` of a CGI variable.
_SPECIAL = re.compile(
    rb"\n(h(?:ost|ttp2-settings)|con(?:nection|tent-length)|expect|forwarded|keep-alive|max-forwards"
    rb"|proxy(?:-(?:authorization|connection))?|t(?:e|railer|ransfer-encoding)|upgrade"
    rb"|x-(?:real-ip|request-id|forwarded(?:-[^:\r\n]*)?|rauta-[^:\r\n]*))[ \t]*+:[ \t]*+([^\r]*+)".replace(
        b"-", rb"[!#$%&'*+.^_`|~-]"
    )
)
_UNDISGUISED = b"abcdefghijklmnopqrstuvwxyz0123456789-"
_SHORTEST = re.compile(rb"0|[1-9][0-9]{0,14}")
_CODING = re.compile(rb"(?!(?:chunked|identity)\Z)" + TOKEN)
# RFC 9110 7.6.1: naming these in Connection would strip what the next hop relies on.
_PROTECTED = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"content-type", b"cookie", b"authorization", b"trailer")
)
# Connection options that name no field we would forward.
NAMELESS = frozenset((b"close", b"keep-alive", b"te", b"upgrade", b"http2-settings", b"connection"))
_GRPC = re.compile(rb"\ncontent-type[ \t]*+:[ \t]*+application/grpc")
_REQUEST_ID = re.compile(rb"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_HOST = re.compile(rb"(?:([a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*)\.?|(\[[0-9a-f:.]+\]))(?::([0-9]{0,5}))?")

# Bound here, which spares the hot path 0.1 us.
_find_special = _SPECIAL.findall


class RequestHead:
    """What the gate learned of one head. A worker fills its one instance anew for each request: take what you need.

    method, target, path: bytes; `target` is the normalised origin-form with its query, `path` is it without.
    host: the Host field, lower case, port included; whether it is valid split_host tells. Empty only on HTTP/1.0.
    length: body bytes, 0 for none, CHUNKED for a chunked body.
    keep_alive: whether the client can take another response after this one.
    fields: None if the head can be forwarded as it came; otherwise the field lines for the backend.
    wish: if `fields` is not None, the protocol that the client would change to (lower case), or TRAILERS, or empty.
    expects: if `fields` is not None, whether the client may wait with its body for a 100 (Continue).
    named: if `wish` is TRAILERS, the names (lower case) that Connection gives: no trailer of these goes on either.
    request_id: the client's own x-request-id if it sent one, and that is usable, else empty.

    After Refused nothing is about this head (claim.py).
    """

    __slots__ = (
        "expects",
        "fields",
        "host",
        "http10",
        "keep_alive",
        "length",
        "limits",
        "max_lines",
        "max_target",
        "method",
        "named",
        "path",
        "request_id",
        "scheme",
        "small",
        "target",
        "wish",
    )

    def __init__(self, limits: Limits, *, scheme: bytes = b"http") -> None:
        self.retune(limits)
        self.wish = b""
        self.expects = False
        self.named: set[bytes] = set()
        self.scheme = scheme  # that an absolute target must have: `https` where the connection is TLS
        self.method = self.target = self.path = self.host = self.request_id = b""
        self.length = 0
        self.keep_alive = True
        self.http10 = False
        self.fields: bytes | None = None

    def retune(self, limits: Limits) -> None:
        """Have these limits from now on."""
        self.limits = limits
        self.max_target = limits.max_target_bytes
        self.max_lines = limits.max_head_fields + 2  # of the request line and the blank one too
        self.small = min(limits.max_head_bytes, limits.max_field_bytes)  # a head of so many bytes is not too large

    def take(self, known: re.Match[bytes], lines: int) -> bool:
        """Fill from what a shape of so many lines has matched (shape.py); raise Refused.

        Return False, with nothing filled, if that may be too much: then `read` it.
        """
        if known.end() > self.small or lines > self.max_lines:
            return False
        self.keep_alive, self.http10, self.fields, self.request_id = True, False, None, b""
        self.method, target, path, self.host, length = known.groups()
        if len(target) > self.max_target:
            raise Refused(Reason.TARGET_TOO_LONG)
        self.length = int(length) if length else 0
        self.target = target
        self.path = path
        if 0x25 in path or 0x5C in path or path.find(b"/.") >= 0:  # % or \, path.SUSPICIOUS in half the time
            self._normalise(known.group())
        return True

    def read(self, data: bytes, end: int) -> bool:
        """Fill from the head in `data` whose blank line (CRLF CRLF) starts at `end`, ignore the rest; raise Refused.

        Return whether it is plain: then its shape may be that of the next head.
        """
        head = data if end + 4 == len(data) else data[: end + 4]
        self.keep_alive, self.http10, self.fields, self.request_id = True, False, None, b""
        target, path = self._read_lines(head)
        try:
            HttpRequestParser(None).feed_data(head)
        except HttpParserUpgrade:
            if self.method == b"CONNECT":
                raise Refused(Reason.CONNECT_REFUSED) from None
        except HttpParserError as error:
            raise _syntax(error) from None
        if path is None:
            path, query = self._origin_form(target)
            target = path + query
            self._copy_fields(head)
        self.target = target
        self.path = path
        self._normalise(head)
        return self.fields is None

    def _normalise(self, head: bytes) -> None:
        normal = normalise(self.path)
        if normal != self.path:
            self._copy_fields(head)
            self.target = normal + self.target[len(self.path) :]
            self.path = normal

    def _read_lines(self, head: bytes) -> tuple[bytes, bytes | None]:
        """Fill from the request line and the special fields what is not as usual; return target and path."""
        line = match_line(head)
        if line is None:
            raise bad_line(head)
        self.method, target, path, minor = line.groups()
        if len(target) > self.max_target:
            raise Refused(Reason.TARGET_TOO_LONG)
        if head.count(b"\n") > self.max_lines:
            raise Refused(Reason.TOO_MANY_FIELDS)
        if len(head) > self.small and _is_too_large(head, self.limits):
            raise Refused(Reason.HEAD_TOO_LARGE)
        lowered = head.lower()
        special = _find_special(lowered)
        host = None
        length = -1
        for name, value in special:  # one turn for most heads
            if name == b"host" and host is None:
                host = value
            elif name == b"content-length" and length < 0 and _SHORTEST.fullmatch(value):
                length = int(value)
            elif name != b"connection" or value != b"keep-alive":
                host = None
                break
        if host and host[-1] > 0x20 and minor == b"1":
            self.host = host
            self.length = max(length, 0)
            if length > 0 and self.method == b"TRACE":
                raise _traced_content()
        else:
            self._read_special(head, lowered, line.end(), special, minor == b"0")
        return target, path

    def _copy_fields(self, head: bytes) -> None:
        """Have the request line rebuilt: from now on `fields` is what follows it."""
        if self.fields is None:
            self.fields = head[head.find(b"\n") + 1 : -2]
            self.wish = b""
            self.expects = False

    def _read_special(
        self, head: bytes, lowered: bytes, start: int, special: list[tuple[bytes, bytes]], http10: bool
    ) -> None:
        """Check and take the special fields, then rebuild the field lines for the backend."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in special:
            values.setdefault(name, []).append(value.rstrip(b" \t"))
        if b"".join(values).translate(None, _UNDISGUISED):
            raise Refused(Reason.BAD_FIELD, "a name that CGI would take for a special one")
        self.http10 = http10
        self.host = _one_host(values, http10)
        self.length = length = _body_length(values, http10)
        if length and self.method == b"TRACE":
            raise _traced_content()
        options = connection_options(values.get(b"connection", []))
        self.named = named = options - NAMELESS
        if named and any(name in _PROTECTED or name.startswith(b"x-forwarded-") for name in named):
            raise Refused(Reason.BAD_CONNECTION)
        self.keep_alive = b"close" not in options and (not http10 or b"keep-alive" in options)
        if length and b"upgrade" in values:
            raise Refused(Reason.BAD_UPGRADE)
        kept: dict[bytes, bytes] = {}
        self.wish = b""
        if not http10 and (b"upgrade" in values or b"te" in values or length == CHUNKED):
            self.wish = self._wish(lowered, values, options, kept)
        if length == CHUNKED:
            kept[b"transfer-encoding"] = b"Transfer-Encoding: chunked\r\n"
        elif b"content-length" in values:
            kept[b"content-length"] = b"Content-Length: %d\r\n" % length
        expected = () if http10 else values.get(b"expect", ())  # RFC 9110 10.1.1: ignored on HTTP/1.0
        if any(value != b"100-continue" for value in expected):
            raise Refused(Reason.EXPECTATION_FAILED)
        # Without a body servers differ in what they do then; and what Connection names, none gets to see.
        self.expects = bool(expected and length) and b"expect" not in named
        if self.expects:
            kept[b"expect"] = b"Expect: 100-continue\r\n"
        if b"max-forwards" in values:
            kept[b"max-forwards"] = _count_hop(self.method, values[b"max-forwards"])
        fields = self._rebuild(head, lowered, start, kept)
        if not self.host:  # HTTP/1.0 may do without, what we send may not (RFC 9112 3.2)
            fields = b"Host:\r\n" + fields
        self.fields = without(fields, named) if named else fields

    def _wish(
        self, lowered: bytes, values: dict[bytes, list[bytes]], options: set[bytes], kept: dict[bytes, bytes]
    ) -> bytes:
        """Return what the client asks of this hop; fields that the backend is to see of it go into `kept`."""
        if b"upgrade" in values:
            return handshake.asked(values[b"upgrade"], options)
        if b"trailers" in connection_options(values.get(b"te", [])):
            if b"te" in options:  # RFC 9110 10.1.4: else it was not meant to be taken off and put on by each hop
                kept[b"te"] = b"TE: trailers\r\nConnection: TE\r\n"
        elif self.length != CHUNKED or not _GRPC.search(lowered):
            return b""
        if b"trailer" in values:
            kept[b"trailer"] = b"Trailer: %b\r\n" % b", ".join(values[b"trailer"])
        return handshake.TRAILERS

    def _rebuild(self, head: bytes, lowered: bytes, start: int, kept: dict[bytes, bytes]) -> bytes:
        """Return the field lines from `start` on, with Host and those `kept` in the places of the special ones."""
        lines = []
        identified = False
        for match in _SPECIAL.finditer(lowered):
            name = match[1]
            before, after = match.span()
            lines.append(head[start : before + 1])
            start = after + 2
            if name in kept:
                lines.append(kept.pop(name))  # once: a second Expect goes
            elif name == b"host":
                lines.append(b"Host: %b\r\n" % head[match.start(2) : after].rstrip(b" \t"))
            elif name == b"x-request-id":
                value = head[match.start(2) : after].rstrip(b" \t")
                usable = not identified and _REQUEST_ID.fullmatch(value)
                self.request_id = value if usable else b""  # of two lines none: together they are no id
                identified = True
        lines.append(head[start:-2])
        return b"".join(lines)

    def _origin_form(self, target: bytes) -> tuple[bytes, bytes]:
        """Return path and query of `*` or an absolute-form target (RFC 9112 3.2.2, 3.2.4); refuse any other."""
        if target == b"*" and self.method == b"OPTIONS":
            return target, b""
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Refused(Reason.BAD_REQUEST_LINE, "target")
        scheme, authority, path, query = absolute.groups()
        if scheme.lower() != self.scheme or not authority or authority.lower() != self.host:
            raise Refused(Reason.BAD_HOST, "absolute target")
        if not path and not query and self.method == b"OPTIONS":  # how a client of a proxy asks that (3.2.4)
            return b"*", b""
        return path or b"/", query


def split_host(host: bytes) -> bytes:
    """Return the name to match of a Host field value (lower case): no port, no trailing dot. Raise Refused(BAD_HOST).

    A name is labels of letters, digits and `-_~`; what else RFC 3986 allows, such as percent escapes, no DNS name has.
    An IPv6 address keeps its brackets.
    """
    match = _HOST.fullmatch(host) if len(host) <= MAX_HOST else None
    if match is None or (match[3] and int(match[3]) > 65535):
        raise Refused(Reason.BAD_HOST, repr(host))
    if match[2]:
        try:
            IPv6Address(match[2][1:-1].decode())
        except AddressValueError:
            raise Refused(Reason.BAD_HOST, repr(host)) from None
    name: bytes = match[1] or match[2]
    return name


def connection_options(values: list[bytes]) -> set[bytes]:
    """Return the members of Connection field values (lower case)."""
    return {token.strip(b" \t") for value in values for token in value.split(b",")} - {b""}


def without(fields: bytes, names: set[bytes]) -> bytes:
    """Return field lines but those of `names` (lower case): what Connection names goes no further (RFC 9110 7.6.1)."""
    lines = fields.split(b"\r\n")
    return b"\r\n".join([line for line in lines if line.partition(b":")[0].lower() not in names])


def parse_length(values: list[bytes], reason: Reason) -> int:
    """Return the number of the one field value, digits only (bytes.isdigit is ASCII only); raise Refused(reason)."""
    value = values[0]
    if len(values) > 1 or not value.isdigit() or len(value) > 32 or int(value) > MAX_LENGTH:
        raise Refused(reason, "not one number")
    return int(value)


def _is_too_large(head: bytes, limits: Limits) -> bool:
    """Whether the head, or a line of it, has too many bytes; the request line has its own limit."""
    if len(head) > limits.max_head_bytes:
        return True
    return any(len(line) > limits.max_field_bytes for line in head.split(b"\r\n")[1:])


def _syntax(error: HttpParserError) -> Refused:
    """Say what httptools did not like."""
    text = str(error)
    if isinstance(error, HttpParserInvalidURLError):
        return Refused(Reason.BAD_REQUEST_LINE, text)
    method = isinstance(error, HttpParserInvalidMethodError) or text in _OTHER_PROTOCOL
    return Refused(Reason.METHOD_UNKNOWN if method else Reason.BAD_FIELD, text)


def _traced_content() -> Refused:
    """RFC 9110 9.3.8: a TRACE has none. Servers that take this for granted would read it as the next request."""
    return Refused(Reason.BAD_FRAMING, "TRACE with content")


def _one_host(values: dict[bytes, list[bytes]], http10: bool) -> bytes:
    """RFC 9112 3.2: exactly one, but HTTP/1.0 clients may send none. No http URI has an empty one (RFC 9110 4.2.1)."""
    hosts = values.get(b"host")
    if hosts is None and http10:
        return b""
    if hosts is None or len(hosts) > 1 or not hosts[0]:
        raise Refused(Reason.BAD_HOST, f"{len(hosts or ())} Host fields")
    return hosts[0]


def _body_length(values: dict[bytes, list[bytes]], http10: bool) -> int:
    """RFC 9112 6.3, read strictly: one of the two, once, in its plainest form."""
    codings = values.get(b"transfer-encoding")
    lengths = values.get(b"content-length")
    if codings is None:
        return parse_length(lengths, Reason.BAD_FRAMING) if lengths else 0
    if lengths or http10 or len(codings) > 1:
        raise Refused(Reason.BAD_FRAMING, "Transfer-Encoding beside something else")
    if codings[0] == b"chunked":
        return CHUNKED
    *others, last = [coding.strip(b" \t") for coding in codings[0].split(b",", MAX_CODINGS)]
    legal = last == b"chunked" and all(_CODING.fullmatch(coding) for coding in others)
    raise Refused(Reason.CODING_UNKNOWN if legal else Reason.BAD_FRAMING, "Transfer-Encoding")


def _count_hop(method: bytes, values: list[bytes]) -> bytes:
    """Return the Max-Forwards line for the next hop (RFC 9110 7.6.2); it means something for two methods only."""
    if method not in {b"OPTIONS", b"TRACE"}:
        return b""
    hops = parse_length(values, Reason.BAD_FIELD)
    if not hops:
        raise Refused(Reason.MAX_FORWARDS)
    return b"Max-Forwards: %d\r\n" % (hops - 1)
