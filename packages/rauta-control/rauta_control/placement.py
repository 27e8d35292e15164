"""What is decided of where a Gateway is served. Pure; addresses.py and serviceplace.py decide it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import field

from rauta_control.gateway import GatewayStatusAddress


class Place(msgspec.Struct, frozen=True):
    """Where a Gateway is served: the addresses to bind. `reason` and `message` say what it lacks, if anything.

    `blocked` are ports of its ListenerSets that another Gateway has on one of these addresses, `targets` the ports to
    bind where they are not those of the listeners. `shown` is what its status says of addresses where it is not those
    that are bound; `code` that of the finding about what it lacks where the reason alone does not tell.
    """

    addresses: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    blocked: frozenset[int] = frozenset()
    targets: Mapping[int, int] = field(default_factory=dict)
    shown: tuple[GatewayStatusAddress, ...] | None = None
    code: int = 0
