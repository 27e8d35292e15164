"""Long work in slices: a pure function that would hold an event loop too long is a generator that yields in between.

Pure. On an event loop turns.py drives it; everyone else calls `finish`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Slices: TypeAlias = Generator[None, None, T]
"""Work that yields after each slice, far under a millisecond (a yield costs 0.1 us), and returns its result."""


def finish(slices: Slices[T]) -> T:
    """Do all of the work at once and return its result."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
