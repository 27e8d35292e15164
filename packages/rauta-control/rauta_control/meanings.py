"""What the codes of findings and reasons mean, for who asks about one of them. Pure."""

from __future__ import annotations

import re

from rauta_agent_api.meaning import Meaning
from rauta_control import limits
from rauta_control.finding import CODES, PREFIX
from rauta_control.reasons import HandshakeFailure, Reason

_NUMBER = re.compile(r"(?:RAUTA-)?CFG-([0-9]{1,3})", re.IGNORECASE)


def meanings(code: str) -> list[Meaning]:
    """Return what `code` means: `RAUTA-CFG-020`, `CFG-020` or a reason, in any case; of some reasons there are two."""
    if (numbered := _NUMBER.fullmatch(code)) is not None:
        number = int(numbered[1])
        return [_of_finding(number)] if number in CODES else []
    name = code.upper()
    found = [_of_reason(Reason[name])] if name in Reason.__members__ else []
    if name in HandshakeFailure.__members__:
        failure = HandshakeFailure[name]
        found.append(Meaning(code=failure.code, kind="handshake", text=failure.detail, page="docs/reasons.md"))
    return found


def _of_finding(number: int) -> Meaning:
    code = CODES[number]
    return Meaning(
        code=f"{PREFIX}{number:03}",
        kind="finding",
        severity=code.severity,
        text=code.title,
        advice=code.advice,
        page="docs/findings.md",
    )


def _of_reason(reason: Reason) -> Meaning:
    about = limits.about(reason)
    return Meaning(
        code=reason.code,
        kind="reason",
        status=reason.status,
        text=reason.detail,
        advice=f"raise the limit if what met it is as it should be. {about}" if about else "",
        page="docs/limits.md" if about else "docs/reasons.md",
    )
