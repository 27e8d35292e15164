"""One case: bytes that a client or a backend sends, and what RAUTA must make of them. Pure."""

from dataclasses import dataclass

MARK = "unharmed"  # of the request that must succeed after each case


@dataclass(frozen=True, slots=True)
class Case:
    """`sent` goes to the proxy, or (responses.py) comes from the backend.

    `statuses` are the acceptable ones of the answers, in order, each a set. `forwarded` is how many requests the
    backend may see at most, and must see if the answer is its own; `saw` is a piece of what it must see, `hidden` one
    that it must not.
    """

    name: str
    sent: bytes
    statuses: tuple[frozenset[int], ...]
    forwarded: int = 0
    saw: bytes = b""
    hidden: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a case: final statuses in order, whether the connection closed, and what the backend was sent."""

    statuses: tuple[int, ...]
    closed: bool
    forwarded: bytes = b""
    requests: int = 0
    unharmed: bool = True  # the next request, on a new connection, was answered as ever

    @property
    def cell(self) -> str:
        """`400`, `200/200`, `400+fwd` (refused, but the backend saw of it), `close`, `wait`."""
        text = "/".join(str(status) for status in self.statuses) or ("close" if self.closed else "wait")
        refused = not self.statuses or any(status >= 400 for status in self.statuses)
        return f"{text}{'+fwd' if refused and self.forwarded else ''}{'' if self.unharmed else ' HARMED'}"


def wrong(case: Case, seen: Seen) -> str:
    """What RAUTA did wrong; empty if nothing."""
    if len(seen.statuses) != len(case.statuses) or any(
        status not in allowed for status, allowed in zip(seen.statuses, case.statuses, strict=True)
    ):
        wanted = "/".join(" or ".join(map(str, sorted(allowed))) for allowed in case.statuses)
        return f"{seen.cell} instead of {wanted}"
    if not seen.unharmed:
        return "the next request was harmed"
    if not case.forwarded and seen.forwarded:
        return "refused, but forwarded"
    if seen.requests > case.forwarded:
        return f"the backend saw {seen.requests} requests instead of {case.forwarded}"
    if case.saw and case.saw.lower() not in seen.forwarded.lower():
        return f"the backend did not see {case.saw!r}"
    if case.hidden and case.hidden.lower() in seen.forwarded.lower():
        return f"the backend saw {case.hidden!r}"
    return ""
