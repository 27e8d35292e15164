"""Durations as Gateway API writes them (GEP-2257): up to four of `h`, `m`, `s`, `ms`, each with at most five digits.

Pure. The form itself is checked by scalars.Duration; this only adds up.
"""

from __future__ import annotations

import re

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}  # in milliseconds

_PART = re.compile(r"([0-9]+)(ms|h|m|s)")


def milliseconds(text: str) -> int:
    """`1m30s` is 90000; zero, in whatever unit, means that there is no limit."""
    return sum(int(count) * UNITS[unit] for count, unit in _PART.findall(text))
