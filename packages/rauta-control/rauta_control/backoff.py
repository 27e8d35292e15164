"""How long to wait after failures before the next attempt. Pure.

The figures are those of client-go's reflector, so that an API server in trouble sees nothing it does not know. The
spread only shortens waits: with the longest wait an upper bound, so is the time until a server that is back is found.
"""

from __future__ import annotations

FIRST = 0.8  # seconds after the first failure, doubled with each further one
LONGEST = 30.0
LONGEST_ASKED = 60.0  # seconds of a Retry-After that are waited at the most
SPREAD = 0.25  # the part of a wait that chance may take off
_ENOUGH = 16  # doublings that exceed the longest wait


class Backoff:
    """The failures in a row of one activity."""

    __slots__ = ("failures",)

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, chance: float, weight: int = 1, asked: float | None = None) -> float:
        """Count a failure, a grave one as several; return the seconds to wait: those that the server `asked` for, if it
        did. `chance` is from 0 to 1.
        """
        self.failures = min(self.failures + weight, _ENOUGH)
        if asked is not None:
            return min(asked, LONGEST_ASKED)
        return min(LONGEST, FIRST * 2.0 ** (self.failures - 1)) * (1 - SPREAD * chance)

    def reset(self) -> None:
        """All is well again."""
        self.failures = 0
