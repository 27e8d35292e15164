"""What a code of RAUTA's means: that of a finding, or the reason of an answer. Pure."""

from __future__ import annotations

import msgspec


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """A code as the documentation has it."""

    code: str
    """As it stands in findings, in `x-rauta-reason`, the access log and the metrics."""
    kind: str
    """`finding`, `reason` (of an answer of the gateway's own) or `handshake` (that came to nothing)."""
    severity: str = ""
    """Of a finding."""
    status: int | None = None
    """The HTTP status of a reason, where its cause has no other."""
    text: str
    """What is the matter."""
    advice: str = ""
    """What to do; empty where the documentation of all of them says it."""
    page: str
    """The page of the documentation."""
