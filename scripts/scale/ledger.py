"""What happened to the statuses of routes and Gateways: every write that an object's watch shows, judged. Pure.

A write is needed if it says something else than the last one. Of a route, one generation needs one status; a second one
is a status written twice, and one that was there before is flapping. The counts of a Gateway may move.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.conformance.api import Object


@dataclass
class Entry:
    """An object as it was seen last. `said` are its statuses of this generation, without times."""

    generation: int
    version: str
    status: str
    said: list[str] = field(default_factory=list)


class Ledger:
    """Fed with every event of the watches; counts what was written since `forget`.

    `noticed` is called with the key of an object that has another generation than before.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.noticed: Callable[[str], None] = lambda _: None
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.writes: Counter[str] = Counter()  # statuses that changed, by object
        self.twice: Counter[str] = Counter()  # of routes: more than one of a generation
        self.flaps: Counter[str] = Counter()  # statuses that were there before in the same generation

    def feed(self, kind: str, item: Object) -> None:
        """Take an event; `kind` is ADDED, MODIFIED or DELETED."""
        metadata = item["metadata"]
        key = f"{item['kind']}/{metadata['name']}"
        if kind == "DELETED":
            self.entries.pop(key, None)
            return
        status = json.dumps(item.get("status", {}), sort_keys=True)
        held = self.entries.get(key)
        if held is None:
            held = self.entries[key] = Entry(metadata["generation"], metadata["resourceVersion"], status)
            if _conditions(item):
                held.said.append(_timeless(item))
            return
        if metadata["resourceVersion"] == held.version:
            return  # listed again
        if metadata["generation"] != held.generation:
            held.said.clear()
            self.noticed(key)
        if status != held.status:
            self.writes[key] += 1
            said = _timeless(item)
            if said in held.said[:-1]:
                self.flaps[key] += 1
            elif held.said and item["kind"] == "HTTPRoute":
                self.twice[key] += 1
            if said not in held.said[-1:]:
                held.said.append(said)
        held.generation, held.version, held.status = metadata["generation"], metadata["resourceVersion"], status

    def settled(self, key: str, generation: int = 0) -> bool:
        """Whether the status of an object speaks of its generation, and that is at least this one."""
        held = self.entries.get(key)
        if held is None or held.generation < generation:
            return False
        conditions = _conditions({"status": json.loads(held.status)})
        return bool(conditions) and all(each.get("observedGeneration") == held.generation for each in conditions)

    def attached(self, gateway: str) -> int:
        """The number of routes that the status of a Gateway shows, of all listeners together; -1: none yet."""
        held = self.entries.get(gateway)
        listeners = json.loads(held.status).get("listeners", []) if held else []
        return sum(each["attachedRoutes"] for each in listeners) if listeners else -1

    @property
    def total(self) -> int:
        """Statuses that changed."""
        return self.writes.total()


def _conditions(item: Object) -> list[Object]:
    """Those of an object, or of a route's parents."""
    status = item.get("status", {})
    own: list[Object] = list(status.get("conditions", ()))
    return own + [each for parent in status.get("parents", ()) for each in parent["conditions"]]


def _timeless(item: Object) -> str:
    """A status as text, without the times of transitions and what counts routes."""
    status = json.loads(json.dumps(item.get("status", {})))
    for each in _conditions({"status": status}):
        each.pop("lastTransitionTime", None)
    for listener in status.get("listeners", ()):
        listener.pop("attachedRoutes", None)
        for each in listener["conditions"]:
            each.pop("lastTransitionTime", None)
    return json.dumps(status, sort_keys=True)
