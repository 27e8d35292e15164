"""The one error of the agent API: what failed, in words an operator can act on, and how to mend it.

Pure. The same error crosses every edge, so each edge only looks its code up in `CODES`: the REST server turns it into
an HTTP status and problem+json (RFC 9457), the client turns that back, the command line turns it into an exit code.
Bugs are not this error: they stay ordinary exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Code: TypeAlias = Literal["failure", "usage", "not_found", "denied", "conflict", "findings", "unreachable"]


class Rendering(NamedTuple):
    """What a code is at the edges: an HTTP status with the phrase registered for it, and the exit code of `rauta`."""

    status: int
    phrase: str
    exit_code: int


CODES: dict[Code, Rendering] = {
    "failure": Rendering(500, "Internal Server Error", 1),
    "usage": Rendering(400, "Bad Request", 2),
    "not_found": Rendering(404, "Not Found", 3),
    "denied": Rendering(403, "Forbidden", 4),
    "conflict": Rendering(409, "Conflict", 5),
    "findings": Rendering(422, "Unprocessable Content", 6),
    "unreachable": Rendering(503, "Service Unavailable", 7),
}

# What a status means when it comes without one of our codes, from something in front of the gateway.
STATUSES: dict[int, Code] = {each.status: code for code, each in CODES.items()} | {
    401: "denied",
    412: "conflict",
    502: "unreachable",
    504: "unreachable",
}


class AgentApiError(Exception):
    """A question that could not be answered.

    `message` says what happened, `fix` what to do about it; both are single sentences without a final stop.
    """

    def __init__(self, code: Code, message: str, fix: str) -> None:
        super().__init__(code, message, fix)
        self.code = code
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message

    @property
    def status(self) -> int:
        """The HTTP status that carries this error."""
        return CODES[self.code].status

    @property
    def exit_code(self) -> int:
        """The exit code of a program that ends with this error."""
        return CODES[self.code].exit_code

    def to_problem(self) -> dict[str, str | int]:
        """Return the members of a problem+json object; `code` and `fix` are our extensions (RFC 9457 section 3.2)."""
        return {
            "type": "about:blank",
            "title": CODES[self.code].phrase,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "fix": self.fix,
        }

    @classmethod
    def from_problem(cls, problem: Mapping[str, object], status: int) -> AgentApiError:
        """Read a problem+json object that came with HTTP status `status`.

        A code this version does not know (a newer server's) falls back to what the status says. Every member may be
        missing (RFC 9457 section 3.1).
        """
        code = str(problem.get("code"))
        known = code if code in CODES else STATUSES.get(status, "failure")
        message = problem.get("detail") or problem.get("title") or f"the gateway answered {status}"
        return cls(known, str(message), str(problem.get("fix") or ""))
