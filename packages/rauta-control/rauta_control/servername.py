"""Which certificates a TLS listener answers a server name with. Pure.

Two choices. The listener's entry: exact, then the longest wildcard, then `*` (Gateway API). Then, where an entry has
several certificates: of those that are for the name, or of all if none is, the first of each kind of key. So an RSA and
an ECDSA certificate stand side by side, and OpenSSL takes the one that the client can check, or prefers: hence no
certificate for other names stands beside one for this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rauta_control import hostname
from rauta_control.ir import Resource, Secret, ServerName, VirtualHost

MAX_NAME = 255  # bytes (RFC 1035 2.3.4): to look for one of 16 KiB, which a ClientHello has room for, takes 40 ms


def entry(names: Mapping[str, ServerName], wanted: str) -> ServerName | None:
    """The entry for a name (lower case, empty if the client gave none), by host name; None: nobody serves it."""
    if not wanted:
        return names.get(hostname.ANY)
    if len(wanted) > MAX_NAME:
        return None
    found = hostname.closest(wanted, names)
    return None if found is None else names[found]


def section(resources: Mapping[str, Resource], listener: str, name: ServerName) -> str:
    """The section (ir.VirtualHost) of the connections to a listener that this entry answers."""
    host = resources.get(f"host/{listener}|{name.hostname}")
    return host.section if isinstance(host, VirtualHost) else ""


def choose(secrets: Iterable[Secret], wanted: str) -> tuple[Secret, ...]:
    """At most one certificate of each kind of key."""
    given = tuple(secrets)
    chosen: dict[str, Secret] = {}
    for secret in [each for each in given if _covers(each, wanted)] or given:
        chosen.setdefault(secret.key_type, secret)
    return tuple(chosen.values())


def _covers(secret: Secret, wanted: str) -> bool:
    """RFC 6125 6.4.3: a wildcard in a certificate stands for one label."""
    return wanted in secret.hostnames or f"*.{wanted.partition('.')[2]}" in secret.hostnames
