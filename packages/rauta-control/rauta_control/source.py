"""The seam between where objects come from (files, a cluster) and what is made of them. Pure.

    sink.edit({key: object, gone: None})    admitted objects, as they change; what is not named stays as it is
    sink.report(faults)                     all that is wrong with what the source reads now, in place of what was
    sink.synced()                           everything there was at the start has been said; before, nothing is deleted

A source calls these on the event loop, `synced` once, the others as often as it likes: edits are merged until they are
translated. After `synced`, an object that a source has not named does not exist. A source that loses sight of its
objects says nothing: what it said last stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from rauta_control.kinds import AnyResource
from rauta_control.problem import Problem
from rauta_control.world import Key


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a document; `place` is `FILE#NUMBER`, counted from 1, `subject` what it says it is.

    A document in a List has `FILE#NUMBER.items[INDEX]`, a fault of a whole file just `FILE`. `kept` says that what it
    was when it was good is known, and counts.
    """

    place: str
    subject: str
    problem: Problem
    key: Key | None = None  # `subject`, as far as it could be told
    kept: bool = False

    def __str__(self) -> str:
        subject = f" ({self.subject})" if self.subject else ""
        return f"{self.problem.level.capitalize()} {self.place}{subject} {self.problem}"


class ObjectSink(Protocol):
    """Whoever takes the objects. Neither call may take long."""

    def edit(self, objects: Mapping[Key, AnyResource | None]) -> None:
        """Take what became of objects: None is gone, or came and went between two calls."""
        ...

    def synced(self) -> None:
        """Know that all there is has been said."""
        ...


class Sink(ObjectSink, Protocol):
    """Whoever a source tells."""

    def report(self, faults: Sequence[Fault]) -> None:
        """Take everything that is wrong now."""
        ...
