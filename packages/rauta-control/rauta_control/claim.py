"""What a refused head says it asks for: method, host and target, for the log. Pure.

After a refusal nothing that the gate keeps is about that head, and often the gate never saw it: it was too long, too
late, or one too many. So the bytes are looked at here, at the cost of those who send such heads. All that comes out may
stand in a line of the log as it is, but for what ledger.py escapes in any target.
"""

from __future__ import annotations

import re

from rauta_control.head import split_host
from rauta_control.reasons import Reason, Refused
from rauta_control.requestline import match_line

MAX_METHOD = 32  # bytes; the longest registered one has 17
MAX_LOOKED = 8_192  # bytes behind the request line in which Host is looked for

_HOST = re.compile(rb"\nhost[ \t]*+:[ \t]*+([^\r\n]*)(?=\r\n)")


def claimed(head: bytes, reason: Reason) -> tuple[bytes, bytes, bytes]:
    """Return method, host and target of a head, or of its beginning, that was refused for `reason`.

    All are empty if it is for its request line, and the host if it is not given once, or is not valid.
    """
    line = None if reason is Reason.BAD_REQUEST_LINE else match_line(head)
    if line is None:
        return b"", b"", b""
    fields = head[line.end() - 1 : line.end() + MAX_LOOKED].partition(b"\r\n\r\n")[0] + b"\r\n"
    hosts = _HOST.findall(fields.lower())
    return line[1][:MAX_METHOD], _valid(hosts), line[2]


def _valid(hosts: list[bytes]) -> bytes:
    if len(hosts) != 1:
        return b""
    host = hosts[0].rstrip(b" \t")
    try:
        split_host(host)
    except Refused:
        return b""
    return host
