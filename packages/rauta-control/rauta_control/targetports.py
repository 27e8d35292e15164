"""Which port RAUTA's pods bind for each port of each Gateway behind a Service of its own. Pure.

All replicas must bind the same ports without talking to each other. So what the Service says counts, as long as nobody
senior says the same; whatever has no port yet gets one by the hash of its name, so that replicas that know the same
Gateways agree even before there is a Service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rauta_common.hashing import flow_hash
from rauta_control.serviceterms import Range


class Claim(msgspec.Struct, frozen=True):
    """The ports of a Gateway (`namespace/name`), and the target ports that its Service says some of them have."""

    gateway: str
    ports: tuple[int, ...]
    published: Mapping[int, int]


def assign(claims: Sequence[Claim], among: Range) -> dict[str, dict[int, int]]:
    """The target port of each port, by Gateway. The senior claims come first; a port for which nothing is left has
    none.
    """
    found: dict[str, dict[int, int]] = {each.gateway: {} for each in claims}
    taken: set[int] = set()
    for each in claims:
        for port in each.ports:
            target = each.published.get(port, 0)
            if target in among and target not in taken:
                taken.add(target)
                found[each.gateway][port] = target
    for each in claims:
        for port in each.ports:
            if port not in found[each.gateway] and len(taken) < len(among):
                found[each.gateway][port] = target = _free(f"{each.gateway}:{port}", taken, among)
                taken.add(target)
    return found


def _free(name: str, taken: set[int], among: Range) -> int:
    """The first free port from the one that the name hashes to; there must be one."""
    size = len(among)
    offset = flow_hash(name.encode()) % size
    while among.first + offset in taken:
        offset = (offset + 1) % size
    return among.first + offset
