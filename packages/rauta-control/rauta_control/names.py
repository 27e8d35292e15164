"""The addresses of host names: what is known, what is due to be looked up, what failed. Pure; resolve.py asks.

A name has all its IPv4 addresses, or all its IPv6 addresses if it has no IPv4 one. Never both: `localhost` is 127.0.0.1
and ::1 on most machines, most servers listen on one of them, and half of the requests would fail.

Addresses outlive failures: a resolver that is down takes no backend away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import ip_address

INTERVAL = 10.0  # seconds between two look-ups; the resolver's cache, not we, honours the TTL
FIRST_RETRY = 1.0  # seconds after a failure, doubled with each further one
LAST_RETRY = 60.0


@dataclass(slots=True)
class Name:
    """What is known of one host name. `due` is when to look it up again, None while that is under way."""

    due: float | None
    problem: str = ""  # why the last look-up failed
    failures: int = 0  # in a row


class Names:
    """The names that are wanted, and the last good `addresses` of each, none if it never had any.

    Times are monotonic seconds; `jitter` around 1 spreads look-ups.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, Name] = {}
        self._unanswered: set[str] = set()  # never looked up to the end yet
        self._queue: list[tuple[float, str]] = []  # a heap; an entry counts while it says what its name says

    def want(self, hosts: Collection[str], now: float) -> None:
        """Want exactly these hosts, all due now; others are forgotten. IP addresses stand for themselves."""
        literals = {host for host in hosts if _is_literal(host)}
        names = [host for host in hosts if host not in literals]
        self.addresses = {host: (host,) for host in literals} | {host: self.addresses.get(host, ()) for host in names}
        self._unanswered = {host for host in names if host not in self._names or host in self._unanswered}
        self._names = {host: self._names.get(host) or Name(due=now) for host in names}
        for name in self._names.values():
            name.due = None if name.due is None else now
        self._queue = [(now, host) for host, name in self._names.items() if name.due is not None]

    def start(self, now: float) -> list[str]:
        """Return what is due; each will succeed or fail before it is due again."""
        due: list[str] = []
        while (next_due := self.next_due()) is not None and next_due <= now:
            _, host = heappop(self._queue)
            self._names[host].due = None
            due.append(host)
        return due

    def next_due(self) -> float | None:
        """Return when to call `start` again; None while nothing but answers is awaited."""
        while self._queue:
            due, host = self._queue[0]
            if host in self._names and self._names[host].due == due:
                return due
            heappop(self._queue)
        return None

    def succeed(self, host: str, addresses: tuple[str, ...], now: float, jitter: float) -> bool:
        """Take a look-up's result, at least one address; return whether that changes anything."""
        if host not in self._names:
            return False
        changed = self._answered(host, Name(now + INTERVAL * jitter)) or self.addresses[host] != addresses
        self.addresses[host] = addresses
        return changed

    def fail(self, host: str, problem: str, now: float, jitter: float) -> bool:
        """Take a failure; return whether that changes anything. The addresses stay."""
        if host not in self._names:
            return False
        failures = self._names[host].failures
        wait = min(LAST_RETRY, FIRST_RETRY * 2**failures)
        return self._answered(host, Name(now + wait * jitter, problem, min(failures + 1, 32)))

    def _answered(self, host: str, new: Name) -> bool:
        """Replace what is known of a name; return whether it is the first answer or the problem is another."""
        assert new.due is not None  # noqa: S101 - for the type checker
        changed = host in self._unanswered or self._names[host].problem != new.problem
        self._unanswered.discard(host)
        self._names[host] = new
        heappush(self._queue, (new.due, host))
        return changed

    @property
    def problems(self) -> list[str]:
        """A sentence for each name that does not resolve."""
        return [
            f"{host} does not resolve ({name.problem}); "
            + (f"still using {', '.join(known)}" if (known := self.addresses[host]) else "it has no addresses yet")
            for host, name in self._names.items()
            if name.problem
        ]

    @property
    def answered(self) -> bool:
        """Whether every name was looked up once, be it in vain."""
        return not self._unanswered


def choose(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 addresses, or the IPv6 ones if there is none; sorted, so that a rotated answer is no change."""
    unique = set(addresses)
    return tuple(sorted(address for address in unique if ":" not in address) or sorted(unique))


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
