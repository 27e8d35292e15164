"""CORS: which origins may use a rule from a browser, what its preflights are answered, what its responses say. Pure.

The terms are those of the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol). The policy of the gateway
takes the place of the backend's. An allowed origin is always named, never `*`: that is right with credentials and
without. So every answer says that it varies.
"""

from __future__ import annotations

import re

from rauta_control.action import Cors

# Possessive: a client may send 48 KiB of blanks, and each of them must be looked at once.
_ORIGIN = re.compile(rb"(?mi)^origin:[ \t]*+([^\r\n]*+)")
_ASKED_METHOD = re.compile(rb"(?mi)^access-control-request-method:[ \t]*+([!#$%&'*+.^_`|~0-9a-z-]++)[ \t]*+\r?$")
_ASKED_FIELDS = re.compile(rb"(?mi)^access-control-request-headers:[ \t]*+([!#$%&'*+.^_`|~0-9a-z, \t-]*+)\r?$")
_GIVEN = re.compile(
    rb"(?mi)^access-control-(?:allow-(?:origin|credentials|methods|headers)|expose-headers|max-age):[^\n]*\n"
)
_VARIES = re.compile(rb"(?mi)^vary:(?:[^\n]*[, \t])?(?:origin|\*)[ \t]*(?:,|\r?$)")
_VARY = b"Vary: Origin\r\n"

_LABELS = r"[^\[\]:/@?#\s]+"
_HOST = rf"(?:\[[0-9a-f:.]+\]|{_LABELS})"
_PARTS = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?")
_PORTS = {"http": 80, "https": 443}
_SERIALISED = re.compile(rb"[\x21-\x7e]{1,280}")  # an origin that may be said again, `null` for one; names have 253


class Sharing:
    """One compiled Cors."""

    __slots__ = ("_any", "_credentials", "_exact", "_expose", "_fields", "_max_age", "_methods", "_patterns")

    def __init__(self, cors: Cors) -> None:
        self._any = "*" in cors.origins
        origins = [_normal(origin) for origin in cors.origins if origin != "*"]
        self._exact = frozenset(origin for origin in origins if "*" not in origin)
        self._patterns = re.compile("|".join(_pattern(origin) for origin in origins if "*" in origin) or "(?!)")
        self._credentials = b"Access-Control-Allow-Credentials: true\r\n" if cors.credentials else b""
        # Fetch: with credentials `*` is a name like any other, so it would expose nothing.
        expose = () if cors.credentials and "*" in cors.expose else cors.expose
        self._expose = _line(b"Access-Control-Expose-Headers", ", ".join(expose).encode())
        self._methods = ", ".join(cors.methods).encode()
        self._fields = ", ".join(cors.headers).encode()
        self._max_age = b"Access-Control-Max-Age: %d\r\n" % cors.max_age

    def origin(self, fields: bytes) -> bytes:
        """Return the origin of a request with these field lines, empty if there is none or it is not allowed."""
        found = _ORIGIN.findall(fields)
        origin: bytes = found[0].rstrip(b" \t") if len(found) == 1 else b""
        if not _SERIALISED.fullmatch(origin):
            return b""
        if self._any:
            return origin
        normal = _normal(origin.decode())
        return origin if normal in self._exact or self._patterns.fullmatch(normal) else b""

    def granted(self, origin: bytes) -> bytes:
        """Return the field lines that let `origin` read a response; for nothing only that this would depend on it."""
        if not origin:
            return _VARY
        return b"Access-Control-Allow-Origin: %b\r\n%b%b%b" % (origin, self._credentials, self._expose, _VARY)

    def preflight(self, fields: bytes, origin: bytes) -> bytes:
        """Return the field lines for a preflight of `origin`, which is allowed, with these field lines.

        `*` is answered with what was asked for: with credentials it would mean nothing, and never `Authorization`. Who
        asks for no fields is told of none (HTTPCORSFilter.allowHeaders).
        """
        asked = _ASKED_METHOD.search(fields)
        methods = (asked[1] if asked else b"") if self._methods == b"*" else self._methods
        wanted = _ASKED_FIELDS.search(fields)
        names = b"" if wanted is None else wanted[1].rstrip(b" \t") if self._fields == b"*" else self._fields
        return b"%b%b%b%b" % (
            self.granted(origin),
            _line(b"Access-Control-Allow-Methods", methods),
            _line(b"Access-Control-Allow-Headers", names),
            self._max_age,
        )


def is_preflight(method: bytes, fields: bytes) -> bool:
    """Whether a request asks what a browser may do, instead of doing it."""
    return method == b"OPTIONS" and _ASKED_METHOD.search(fields) is not None and _ORIGIN.search(fields) is not None


def share(fields: bytes, granted: bytes) -> bytes:
    """Return a response's field lines with what is `granted` in place of what its backend said."""
    fields = _GIVEN.sub(b"", fields)
    if _VARIES.search(fields):
        granted = granted.removesuffix(_VARY)
    return fields + granted


def _line(name: bytes, value: bytes) -> bytes:
    return b"%b: %b\r\n" % (name, value) if value else b""


def _normal(origin: str) -> str:
    """An origin as it is compared: in lower case, always with its port."""
    parts = _PARTS.fullmatch(origin.lower())
    return f"{parts[1]}://{parts[2]}:{int(parts[3]) if parts[3] else _PORTS[parts[1]]}" if parts else origin


def _pattern(origin: str) -> str:
    """A normal origin with a star as an expression: for labels to the left, however many, or alone for any host."""
    scheme, _, rest = origin.partition("://")
    host, _, port = rest.rpartition(":")
    return f"{scheme}://{_HOST if host == '*' else _LABELS + re.escape(host[1:])}:{port}"
