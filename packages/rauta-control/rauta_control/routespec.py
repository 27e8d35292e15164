"""The syntax of addresses, backends and routes as users write them on the command line. Pure.

Each function takes one text and raises ValueError whose message completes "expected ...". Nothing is resolved here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from rauta_control.path import normalise
from rauta_control.reasons import Refused

MAX_WEIGHT = 1_000_000  # as in the Gateway API

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")  # RFC 1123 2.1, lower case
_NUMERIC_END = re.compile(r"(?:.*\.)?[0-9]+\Z")  # looks like an IPv4 address to every resolver: RFC 1123 2.1
_PATH = re.compile(r"/[!$&-;=@-Z_a-z~%]*\Z")  # RFC 3986 pchar and "/"

BACKEND = "HOST:PORT or HOST:PORT*WEIGHT, for example 127.0.0.1:9001, web:8080 or [::1]:80*3"
ROUTE = "[HOST]/PATH=BACKEND[*WEIGHT][,BACKEND...], for example /api=127.0.0.1:9001 or shop.example/=a:80*9,b:80*1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP literal without brackets, and a port (0: the kernel chooses)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """A backend: an IP literal without brackets or a host name. Weight None: no backend of its route has one."""

    host: str
    port: int
    weight: int | None = None

    def __str__(self) -> str:
        where = str(Address(self.host, self.port))
        return where if self.weight is None else f"{where}*{self.weight}"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A path prefix of a host and what serves it.

    `host` is lower case: empty (any), "shop.example" or "*.example.com". `path` ends in a slash only when it is "/".
    Either all weights are numbers, then requests are drawn by them, or all are None, then the backends are one pool.
    """

    host: str
    path: str
    backends: tuple[BackendSpec, ...]


def address(text: str) -> Address:
    """Parse HOST:PORT, HOST an IP address, localhost, or empty for every address (IPv4 and IPv6)."""
    host, number = _host_port(text, "HOST:PORT, for example 0.0.0.0:8080, [::]:8080 or :8080")
    return Address(ip(host) if host else "::", port(number))


def ip(text: str) -> str:
    """Parse an IP address, IPv6 with or without brackets; localhost stands for 127.0.0.1."""
    literal = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    try:
        return "127.0.0.1" if text == "localhost" else str(ip_address(literal))
    except ValueError:
        raise ValueError("an IP address of this machine (names are not looked up here)") from None


def backend(text: str) -> BackendSpec:
    """Parse HOST:PORT[*WEIGHT], HOST an IP address (IPv6 in brackets) or a name."""
    where, star, weight = text.partition("*")
    host, number = _host_port(where, BACKEND)
    share = whole(weight, 0, MAX_WEIGHT, f"a weight from 0 to {MAX_WEIGHT} after '*'") if star else None
    return BackendSpec(_backend_host(host), port(number, lowest=1), share)


def backends(text: str) -> list[BackendSpec]:
    """Parse a comma-separated list of backends."""
    return [backend(part.strip()) for part in text.split(",")]


def pool(specs: list[BackendSpec]) -> tuple[BackendSpec, ...]:
    """Make the backends of one route: none twice, and with one weight given the others weigh 1."""
    seen: set[tuple[str, int]] = set()
    for spec in specs:
        if (spec.host, spec.port) in seen:
            raise ValueError(f"each backend once, and {Address(spec.host, spec.port)} is there twice")
        seen.add((spec.host, spec.port))
    if all(spec.weight is None for spec in specs):
        return tuple(specs)
    weighted = tuple(BackendSpec(spec.host, spec.port, 1 if spec.weight is None else spec.weight) for spec in specs)
    if not any(spec.weight for spec in weighted):
        raise ValueError("at least one weight above 0")
    return weighted


def route(text: str) -> RouteSpec:
    """Parse [HOST]/PATH=BACKENDS."""
    place, equals, targets = text.rpartition("=")  # a path may contain "=", a backend cannot
    host, slash, rest = place.partition("/")
    if not (equals and slash):
        raise ValueError(ROUTE)
    return RouteSpec(_route_host(host), _path(slash + rest), pool(backends(targets)))


def is_name(text: str) -> bool:
    """Whether `text` is a host name of RFC 1123 in lower case (which does not look like an IPv4 address)."""
    return bool(_NAME.match(text)) and not _NUMERIC_END.match(text)


def is_label(text: str) -> bool:
    """Whether `text` is one label of such a name, as namespaces and Services have for theirs."""
    return re.fullmatch(_LABEL, text) is not None


def port(text: str, lowest: int = 0) -> int:
    """Parse a port; 0 is for the kernel to choose."""
    return whole(text, lowest, 65535, f"a port from {lowest} to 65535")


def whole(text: str, lowest: int, highest: int, expected: str) -> int:
    """Parse a whole number, plain digits only."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and lowest <= int(text) <= highest):
        raise ValueError(expected)
    return int(text)


def overlap(one: Address, other: Address) -> bool:
    """Whether both cannot be bound at once. "::" is dual stack, so it takes the port of every address."""
    if one.port != other.port or one.port == 0:
        return False
    hosts = {one.host, other.host}
    return len(hosts) == 1 or "::" in hosts or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))


def _host_port(text: str, expected: str) -> tuple[str, str]:
    host, colon, number = text.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        raise ValueError(expected)
    return host, number


def _backend_host(host: str) -> str:
    if is_name(name := host.lower().removesuffix(".")):
        return name
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError(f"{BACKEND}; {host!r} is neither an IP address nor a host name (RFC 1123)") from None


def _route_host(host: str) -> str:
    name = host.lower()
    if name and not is_name(name.removeprefix("*.")):
        raise ValueError("a host name such as shop.example or *.example.com (no port, no IP address) before the path")
    return name


def _path(path: str) -> str:
    """Accept a path in normal form only: what is matched is then what a user reads here."""
    if not _PATH.match(path) or "//" in path:
        raise ValueError("a path without query, fragment, spaces and empty segments")
    try:
        normal = normalise(path.encode()).decode()
    except Refused as refused:
        raise ValueError(f"a path without {refused.note}") from None
    if path != normal:
        raise ValueError(f"the path in normal form: {normal}")
    return path.removesuffix("/") or "/"
