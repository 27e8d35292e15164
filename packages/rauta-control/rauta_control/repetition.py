"""What is remembered of a head that came twice in a row on one connection: most programs say the same again and again.

Pure. The same bytes on the same connection are the same request: while routes and limits are the same objects, it is
not parsed or decided anew, and a response that begins as the last one did is not parsed either. What depends on more
than the head - shares, endpoint, request id, draining - is not in here, and nothing in here keeps a rule that was
replaced.

It lives and dies with the connection, so nothing of one client can reach another and there is nothing to bound but one
head, and costs heads that differ one comparison of bytes, which ends at the first that does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from rauta_control.limits import Limits
    from rauta_control.table import Rule

MAX_REPEATED = 2_048  # bytes of a head that is remembered


class Repetition:
    """A request head as it was read under `limits` and decided by the routes of that `serial`.

    start: the request line and field lines for the backend, empty if they are those of the head itself.
    reply: the head of the last response to it that could be passed on as it came, with its `status` and `length`.
    """

    __slots__ = (
        "host",
        "length",
        "limits",
        "method",
        "reply",
        "rule",
        "serial",
        "start",
        "status",
        "target",
    )

    def __init__(
        self,
        serial: int,
        limits: Limits,
        line: tuple[bytes, bytes, bytes],
        start: bytes,
        rule: Rule,
    ) -> None:
        self.serial = serial
        self.limits = limits
        self.method, self.target, self.host = line
        self.start = start
        self.rule = ref(rule)
        self.reply = b""
        self.status = self.length = 0

    def learn(self, reply: bytes, status: int, length: int) -> None:
        """A response with this head, status and length of its body was passed on as it came."""
        if len(reply) <= MAX_REPEATED:
            self.reply = reply
            self.status = status
            self.length = length
