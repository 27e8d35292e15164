"""The path of a request, made one string that is both matched and forwarded.

Pure. What is matched must be what the backend sees, otherwise a rule on `/admin` is passed by `/%61dmin` or
`/x/../admin`. The one documented choice:

* escapes of unreserved characters are decoded, all others kept with upper-case digits (`%7e` -> `~`, `%2f` -> `%2F`);
  an escaped slash is data and never separates segments;
* dot segments are resolved, also escaped ones (RFC 3986 5.2.4);
* empty segments are kept: `/a//b` is not `/a/b`;
* refused: broken escapes, %00, backslashes (raw or escaped, some backends read them as slashes), a way above the root,
  and dot segments that only some backends see: beside an escaped slash (`/a/..%2Fb`, nginx), with a parameter
  (`/a/..;/b`, Tomcat) or in overlong UTF-8 (`/a/%C0%AE%C0%AE/b`, decoders older than RFC 3629).
"""

from __future__ import annotations

import re

from rauta_control.reasons import Reason, Refused

# Anything that may need one of the steps above. A path without a match is already normal; most have none.
SUSPICIOUS = re.compile(rb"[%\\]|/\.")

_ESCAPE = re.compile(rb"(?s)%.{0,2}")
_FORBIDDEN = (b"%00", b"%5C")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DIGITS = "0123456789ABCDEFabcdef"
# What becomes of each escape: looked up, because a path in another script has hundreds.
_ESCAPES = {
    b"%%%b" % digits: bytes((byte,)) if byte in _UNRESERVED else b"%%%02X" % byte
    for digits in (f"{high}{low}".encode() for high in _DIGITS for low in _DIGITS)
    if b"%%%02X" % (byte := int(digits, 16)) not in _FORBIDDEN
}


def _overlong(byte: int) -> bytes:
    """A pattern for what RFC 2279 decoders without a check read as this ASCII character: two to six bytes."""
    last = b"%%%02X" % (0x80 | byte & 0x3F)
    longer = b"|".join((b"%E0", b"%F0%80", b"%F8%80%80", b"%FC%80%80%80"))
    return b"(?:%%%02X|(?:%b)%%%02X)%b" % (0xC0 | byte >> 6, longer, 0x80 | byte >> 6, last)


# After the plain ones have been resolved.
_SLASH = rb"(?:/|%2F|" + _overlong(0x2F) + b"|" + _overlong(0x5C) + b")"
_DOT = rb"(?:\.|" + _overlong(0x2E) + b")"
_HIDDEN_DOTS = re.compile(_SLASH + _DOT + rb"{1,2}(?:" + _SLASH + rb"|;|%3B|\Z)")


def normalise(path: bytes) -> bytes:
    """Return `path` (starts with `/`, no query) in normal form; raise Refused(BAD_PATH). Idempotent."""
    if not SUSPICIOUS.search(path):
        return path
    if b"\\" in path:
        raise Refused(Reason.BAD_PATH, "backslash")
    if b"%" in path:
        path = _ESCAPE.sub(_unescape, path)
    if b"/." in path:
        path = _resolve_dots(path)
    if _HIDDEN_DOTS.search(path):
        raise Refused(Reason.BAD_PATH, "dot segment in disguise")
    return path


def _unescape(escape: re.Match[bytes]) -> bytes:
    found = _ESCAPES.get(escape[0])
    if found is None:
        upper = escape[0].upper()
        raise Refused(Reason.BAD_PATH, f"escape {upper.decode()}" if upper in _FORBIDDEN else "broken escape")
    return found


def _resolve_dots(path: bytes) -> bytes:
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise Refused(Reason.BAD_PATH, "above the root")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):  # `/a/..` names the directory, so the slash stays
        kept.append(b"")
    return b"/" + b"/".join(kept)
