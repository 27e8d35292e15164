"""The Maglev table of a cluster's endpoints. Pure.

Built by control and shipped, so that every worker agrees. A table takes half a millisecond, and endpoints often come
back to what they were, or are the same behind several Services: the last ones are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from rauta_common import maglev
from rauta_control.ir import Endpoint

KEPT = 8_192  # tables; those of small clusters are a kilobyte


def table(endpoints: Sequence[Endpoint]) -> bytes:
    """The table over `endpoints` in their order; empty if none has a weight."""
    return _table(tuple(each.name for each in endpoints), tuple(each.weight for each in endpoints))


@functools.lru_cache(maxsize=KEPT)
def _table(names: tuple[str, ...], weights: tuple[int, ...]) -> bytes:
    if not any(weights):
        return b""
    size = maglev.table_size(len(names)) if len(names) > 1 else 2  # 10,000 services of one endpoint need no 20 MB
    return maglev.build(list(names), list(weights), size)
