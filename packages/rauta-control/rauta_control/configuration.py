"""The configuration that is published: takes what a source wants and makes the next State of what changed.

Pure. `change` costs what it touches. `reconcile` takes everything a source wants and finds what changed. After a
restart of control there is nothing to compare with, but slots and bytes come out as they were, so no more is published.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

from rauta_control.ir import Resource, validating
from rauta_control.messages import PROTOCOL_VERSION, Publish
from rauta_control.slices import Slices
from rauta_control.slots import SlotDirectory
from rauta_control.state import State, decode, encode


class Configuration:
    """The published `state`, and `resources`: the same by key, with their slots, in the order of the source.

    Both are replaced by each change, never modified. One change at a time. `drained` is the lowest generation up to
    which every worker has drained. After a SlotsFullError nothing has changed.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.resources: dict[str, Resource] = {key: decode(data) for key, data in state.encoded.items()}
        self._directory = SlotDirectory.restored(self.resources.values(), state.generation)
        self._wanted: dict[str, Resource] = {}  # as the source made them, without slots

    def sifting(
        self, wanted: dict[str, Resource], everything: Mapping[str, Resource], translated: Set[str]
    ) -> Slices[tuple[list[str], set[str] | None]]:
        """Take what is invalid out of `wanted`, which `everything` sees: what it was before stays.

        Returns what is wrong, and the keys refused. None: nothing can be published. That is for routes of the command
        line; a fault of translation, among the keys `translated`, is ours, and must stop no change of anything else.
        """
        problems: list[str] = []
        refused: set[str] = set()
        while faults := (yield from validating(wanted, everything)):
            problems += (f"{key}: {fault}" for key, found in faults.items() for fault in found)
            if not faults.keys() <= translated:
                return problems, None
            for key in faults:
                held = self.resources.get(key)
                if held is None or key in refused:
                    del wanted[key]
                else:
                    wanted[key] = held
            refused |= faults.keys()
        return problems, refused

    def reconcile(self, wanted: Mapping[str, Resource], drained: int) -> Slices[Publish | None]:
        """Make `wanted` (valid, without slots) all there is; see `change`."""
        changed: dict[str, Resource] = {}
        for key, resource in wanted.items():
            if self._wanted.get(key) != resource:
                changed[key] = resource
            yield
        publish = yield from self.change(changed, self.resources.keys() - wanted.keys(), drained)
        self.resources = {key: self.resources[key] for key in wanted}
        return publish

    def change(self, changed: Mapping[str, Resource], deleted: Collection[str], drained: int) -> Slices[Publish | None]:
        """Make these keys become this (valid, without slots) and those disappear.

        Returns what leads from the old state to the new one; None, and there is no new one, if that is nothing.
        """
        old = self.state
        generation = max(old.generation, 0) + 1
        assigned = yield from self._directory.assigning(changed, deleted, generation, drained)
        upserts: dict[str, bytes] = {}
        for key, resource in assigned.items():
            encoded = encode(resource)
            if encoded != old.encoded.get(key):
                upserts[key] = encoded
            yield
        self._wanted.update(changed)
        resources = self.resources | assigned
        for key in deleted:
            self._wanted.pop(key, None)
            del resources[key]
        self.resources = resources
        if not upserts and not deleted:
            return None
        self.state = yield from old.changing(generation, upserts, deleted)
        return Publish(PROTOCOL_VERSION, generation, old.generation, self.state.digest, upserts, tuple(deleted))
