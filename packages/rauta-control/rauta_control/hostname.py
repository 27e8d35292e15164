"""Host names of listeners and routes: exact, `*.suffix` for every name below it (at any depth), `*` for any. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

ANY = "*"


def covers(wide: str, narrow: str) -> bool:
    """Whether every name that `narrow` stands for is one that `wide` stands for."""
    if ANY in (wide, narrow):
        return wide == ANY
    if wide.startswith("*."):
        return narrow == wide or narrow.removeprefix("*").endswith(wide[1:])
    return wide == narrow


def intersect(one: str, other: str) -> str | None:
    """The host name for what both stand for: the narrower of them, or None."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def wider(hostname: str) -> Iterator[str]:
    """The host names that cover `hostname`, itself left out, from the most specific to `*`: longer ones come first."""
    if hostname == ANY:
        return
    rest = hostname.removeprefix("*.")
    while dot := rest.find(".") + 1:
        rest = rest[dot:]
        yield f"*.{rest}"
    yield ANY


def closest(hostname: str, candidates: Collection[str]) -> str | None:
    """The most specific of the candidates (a set) that cover `hostname`."""
    if hostname in candidates:
        return hostname
    return next((each for each in wider(hostname) if each in candidates), None)
