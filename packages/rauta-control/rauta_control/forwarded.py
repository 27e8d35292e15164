"""Who is behind a proxy in front of us: X-Forwarded-*, Forwarded and Via of peers whose word counts. Pure.

What strangers say of it is overwritten (head.py takes it out, downstream.py says what we see). A trusted peer's word is
kept and added to: the client is then the right-most hop that is not itself trusted, because a stranger can only write
what stands to the left of what the first trusted one added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

REMEMBERED = 4_096  # addresses about which it is known whether they are trusted; then anew
MAX_TRUSTED = 2_000  # networks: with the other settings of workers they fit into a message of the supervisor (Retune)
MAX_HOPS = 32  # of X-Forwarded-For that are looked at, from the right

_FIELD = re.compile(rb"\r\n(x-forwarded-(?:for|proto|host)|forwarded|via)[ \t]*+:[ \t]*+([^\r]*+)", re.IGNORECASE)
_HOST = re.compile(rb"[A-Za-z0-9_~.\-\[\]:]{1,255}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")  # what some add to an address


class Trust:
    """A list of networks, and what is known of addresses. `add` to a request what its peer may say."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ip_network(network) for network in networks]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def covers(self, address: str) -> bool:
        """Whether `address`, an IP literal, is trusted; what is no address is not."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            parsed = parse_address(address)
            known = self._known[address] = parsed is not None and any(parsed in each for each in self._networks)
        return known

    def client(self, hops: list[bytes], peer: str) -> str:
        """Return the client's address: `peer` and then `hops`, from the right, up to the first that is not trusted.

        What is no address hides whoever is behind it: then it is the last hop before that.
        """
        found = peer
        for hop in reversed(hops[-MAX_HOPS:]):
            address = parse_address(hop.decode("latin-1").strip())
            if address is None:
                break
            found = str(address)
            if not self.covers(found):
                break
        return found


def fields_of(head: bytes) -> dict[bytes, list[bytes]]:
    """Return the values of the fields that proxies add, by lower-case name, in order; `head` as it came, CRLF CRLF."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(head):
        found.setdefault(name.lower(), []).append(value.rstrip(b" \t"))
    return found


def proto(values: list[bytes] | None) -> bytes:
    """Return the scheme that one X-Forwarded-Proto says, empty if it says none."""
    value = values[0].lower() if values and len(values) == 1 else b""
    return value if value in {b"http", b"https"} else b""


def host(values: list[bytes] | None) -> bytes:
    """Return the host that one X-Forwarded-Host says, empty if it says none."""
    value = values[0] if values and len(values) == 1 else b""
    return value if _HOST.fullmatch(value) else b""


def host_line(name: bytes) -> bytes:
    """Return the line that says a host, none for an empty one: HTTP/1.0 may do without."""
    return b"X-Forwarded-Host: %b\r\n" % name if name else b""


def looped(values: list[bytes] | None, name: str) -> bool:
    """Whether Via fields name this gateway (RFC 9110 7.6.3: `1.1 name`, comments after it)."""
    own = name.lower().encode()
    members = [member.split() for value in values or () for member in value.lower().split(b",")]
    return any(len(member) > 1 and member[1] == own for member in members)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in `text`, which may be in brackets or have a port; an IPv4 one also if written as IPv6.

    One with a zone is none: it means nothing elsewhere, and any character may stand in it.
    """
    if "%" in text:
        return None
    match = _PORT.fullmatch(text)
    try:
        address = ip_address(match[1] or match[2] if match else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def trust(text: str) -> tuple[str, ...]:
    """Return the networks that `text` lists; raise ValueError (what is expected)."""
    networks: list[IPv4Network | IPv6Network] = []
    for part in text.split(","):
        try:
            networks.append(ip_network(part.strip()))
        except ValueError as error:
            raise ValueError(f"IP addresses or networks (10.0.0.0/8), separated by commas: {error}") from None
    if len(networks) > MAX_TRUSTED:
        raise ValueError(f"at most {MAX_TRUSTED} networks, and there are {len(networks)}: larger ones can hold several")
    return tuple(str(network) for network in dict.fromkeys(networks))


def pseudonym(text: str) -> str:
    """Return a name for Via; raise ValueError (what is expected)."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("a name of at most 64 letters, digits and -._~, without spaces")
    return text
