"""Which certificates a TLS listener answers a server name with. Pure.

Two choices. The listener's entry: exact, then the longest wildcard, then `*` (Gateway API). Then, where an entry has
several certificates: for each kind of key the first that is for the name, else the first of that kind, so that an RSA
and an ECDSA certificate stand side by side and OpenSSL takes the one that the client can check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rauta_control import hostname
from rauta_control.ir import Resource, Secret, ServerName, VirtualHost


def entry(names: Mapping[str, ServerName], wanted: str) -> ServerName | None:
    """The entry for a name (lower case, empty if the client gave none), by host name; None: nobody serves it."""
    if not wanted:
        return names.get(hostname.ANY)
    found = hostname.closest(wanted, names)
    return None if found is None else names[found]


def section(resources: Mapping[str, Resource], listener: str, name: ServerName) -> str:
    """The section (ir.VirtualHost) of the connections to a listener that this entry answers."""
    host = resources.get(f"host/{listener}|{name.hostname}")
    return host.section if isinstance(host, VirtualHost) else ""


def choose(secrets: Iterable[Secret], wanted: str) -> tuple[Secret, ...]:
    """At most one certificate of each kind of key."""
    chosen: dict[str, Secret] = {}
    for secret in secrets:
        held = chosen.get(secret.key_type)
        if held is None or (_covers(secret, wanted) and not _covers(held, wanted)):
            chosen[secret.key_type] = secret
    return tuple(chosen.values())


def _covers(secret: Secret, wanted: str) -> bool:
    """RFC 6125 6.4.3: a wildcard in a certificate stands for one label."""
    return wanted in secret.hostnames or f"*.{wanted.partition('.')[2]}" in secret.hostnames
