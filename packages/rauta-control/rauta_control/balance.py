"""How the requests of a cluster are balanced: policies as users write them, and the Maglev table of endpoints. Pure.

Tables are built by control and shipped, so that every worker agrees. A table takes half a millisecond, and endpoints
often come back to what they were, or are the same behind several Services: the last ones are kept.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from rauta_common import maglev
from rauta_control.ir import Balance, Endpoint

EXPECTED = "maglev, maglev:ip, maglev:header=NAME, maglev:cookie=NAME, least-request or round-robin"
KEPT = 8_192  # tables; those of small clusters are a kilobyte


# RFC 9110 5.6.2: what names of header fields are made of, and those of cookies too (RFC 6265 4.1.1).
_POLICY = re.compile(
    r"maglev(?::(?:(ip)|(header|cookie)=([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256})))?|(least-request|round-robin)"
)


def parse(text: str) -> Balance:
    """Return the policy that `text` names; raise ValueError, which says what is expected."""
    match = _POLICY.fullmatch(text)
    if match is None:
        raise ValueError(EXPECTED)
    if match[4] == "least-request":
        return Balance("least-request")
    if match[4] == "round-robin":
        return Balance("round-robin")
    if match[1]:
        return Balance(key="ip")
    if match[2] == "header":
        return Balance(key="header", name=match[3].lower())
    if match[2] == "cookie":
        return Balance(key="cookie", name=match[3])
    return Balance()


def written(balance: Balance) -> str:
    """Return what `parse` reads as `balance`."""
    if balance.key == "flow":
        return balance.policy
    return f"{balance.policy}:{balance.key}={balance.name}" if balance.name else f"{balance.policy}:{balance.key}"


def table(endpoints: Sequence[Endpoint]) -> bytes:
    """The table over `endpoints` in their order; empty if none has a weight."""
    return _table(tuple(each.name for each in endpoints), tuple(each.weight for each in endpoints))


@functools.lru_cache(maxsize=KEPT)
def _table(names: tuple[str, ...], weights: tuple[int, ...]) -> bytes:
    if not any(weights):
        return b""
    size = maglev.table_size(len(names)) if len(names) > 1 else 2  # 10,000 services of one endpoint need no 20 MB
    return maglev.build(list(names), list(weights), size)
