"""The request line: what is one, and when the beginning of a head cannot become one any more. Pure.

Stricter than httptools, which takes two spaces, for one: METHOD SP target SP HTTP/1.x CRLF, RFC 9112 3.
"""

from __future__ import annotations

import re

from rauta_control.reasons import Reason, Refused

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# A target has no fragment and no 8-bit byte.
PATH = rb"/[\x21\x22\x24-\x3e\x40-\x7e]*+"
REST = rb"[\x21\x22\x24-\x7e]*+"

_LINE = re.compile(rb"(%b) ((%b)?%b) HTTP/1\.([01])\r\n" % (TOKEN, PATH, REST))
_OTHER_VERSION = re.compile(TOKEN + rb" [/h]" + REST + rb" HTTP/[0-9](?:\.[0-9])?\r\n")
_NO_REQUEST = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z\r\n-]")  # nothing that begins so is one; TLS, for one, is not
_BARE_LF = re.compile(rb"(?<!\r)\n")

# At the beginning of a head. Groups: method, target, its path if it is in origin-form, minor version.
match_line = _LINE.match  # bound here, which spares the hot path 0.1 us


def bad_line(data: bytes) -> Refused:
    """Say what is wrong with a head that begins with no request line."""
    return Refused(Reason.VERSION_UNKNOWN if _OTHER_VERSION.match(data) else Reason.BAD_REQUEST_LINE)


def check_unfinished(data: bytes, start: int) -> None:
    """Raise Refused once the beginning of a head cannot become one any more; `start`: where the unseen bytes begin.

    Without this, a client of HTTP/0.9, of bare line feeds or of TLS waits for its answer until a timeout. Not about
    sizes.
    """
    if _NO_REQUEST.match(data):
        raise bad_line(data)
    newline = data.find(b"\n", start)
    if newline >= 0:
        if data.find(b"\n") == newline and not match_line(data):
            raise bad_line(data)
        if _BARE_LF.search(data, newline):
            raise Refused(Reason.BAD_FIELD, "bare LF")
