"""Follows the objects of one kind in one scope: what to ask the API server next, and what its answers change. Pure.

    list (pages of 500) -> watch from the version of the list -> ... -> expired (410) -> list, and compare

The state is small: with a version to go on from, watch; without one, list. Whatever goes wrong, objects stay as they
are until a complete list says otherwise, so an API server that is gone takes nothing away, and what was deleted while
nobody watched is found by comparing. The shell (kubernetes.py) waits, asks and feeds; it decides nothing.

An object is handed on only if something changed that translation reads: our own writes of statuses come back as events,
and must not be work again.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from rauta_control.admission import CLUSTER, Refused, admit
from rauta_control.backoff import Backoff
from rauta_control.discovery import Place
from rauta_control.kinds import AnyResource, KindEntry
from rauta_control.problem import Problem
from rauta_control.slices import Slices, finish
from rauta_control.world import Key

PAGE = 500  # objects, as client-go's pager
SHORTEST_WATCH, LONGEST_WATCH = 300, 600  # seconds; the spread keeps the watches of many replicas apart
LIVED = 10.0  # seconds; a watch that ended sooner is a failure, whatever its end looked like
EXPIRED_WEIGHT = 3  # failures; a list and its watch are dear, so a server that answers 410 for ever sees few
PATIENCE = 3  # failed watches in a row, after which a list is tried: the version may be one the server will never have
MAX_LINE = 16 * 1024 * 1024  # bytes; ten times the largest object
SETTLES = 3  # refusals in a row after which a kind that one can do without counts as empty

Edits: TypeAlias = dict[Key, AnyResource | None]


class Held(NamedTuple):
    """An object as the API server has it: `status` is the JSON it has there, empty where there is none."""

    resource: AnyResource
    status: bytes

    @property
    def version(self) -> str:
        """Its resourceVersion."""
        return self.resource.metadata.resource_version


Store: TypeAlias = MutableMapping[Key, Held]


class Ask(NamedTuple):
    """The next request: a GET; a watch is to be read as it comes."""

    path: str
    params: Mapping[str, str]
    watch: bool


class Scope(msgspec.Struct, frozen=True):
    """Which objects of a kind: all, those of a namespace, or the one of that name there."""

    kind: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = "/".join(filter(None, (self.namespace, self.name)))
        return f"{self.kind} in {where}" if where else self.kind


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: tuple[msgspec.Raw, ...] | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    metadata: _Meta
    status: msgspec.Raw = msgspec.Raw(b"")


class _Status(msgspec.Struct, frozen=True):
    code: int = 500
    message: str = ""


_list = msgspec.json.Decoder(_List)
_event = msgspec.json.Decoder(_Event)
_envelope = msgspec.json.Decoder(_Envelope)
_status = msgspec.json.Decoder(_Status)


class Reflector:
    """One kind in one scope. It keeps its objects in `store`, which others may share: no two have the same keys.

    Call `ask` no sooner than `due`, make the request, then call one of: `page` (an answer 200 to a list),
    `refused` (another answer), `opened`, `events` as often as something comes and `ended` (a watch), or `broken`.
    Times are monotonic seconds, `chance` is from 0 to 1.
    """

    def __init__(self, scope: Scope, entry: KindEntry, place: Place, store: Store) -> None:
        self.scope = scope
        self.due = 0.0  # when to ask again
        self.absent = False  # the server does not know the kind: asking again is of no use
        self.settled = False  # all objects are known, or count as unreadable
        self.watching = False  # whether to go on reading the watch
        self.error = ""  # what went wrong last; empty when all is well since
        self.failed_at: float | None = None
        self.succeeded_at: float | None = None
        self.lists = 0
        self.faults: dict[Key, tuple[Problem, ...]] = {}  # objects that admission does not take, or warns of
        self.seen: set[Key] = set()  # objects with a status that came or went, in whatever part; for others to empty
        self._entry = entry
        self._place = place
        self._store = store
        self._keys: set[Key] = set()
        self._has_status = "status" in entry.struct.__struct_fields__
        # Items of lists of built-in kinds do not say what they are; of a name given twice the later one counts.
        self._prefix = f'{{"kind":"{scope.kind}","apiVersion":"{place.version}",'.encode() if entry.core else b"{"
        self._version = ""  # of the last event, where a watch goes on
        self._continue = ""  # where the list goes on
        self._listing: dict[Key, Held | None] = {}  # the pages so far; None: refused by admission
        self._paged = True
        self._gone = False  # the watch was ended by a 410
        self._expired = False  # the last watch was, or one shortly before
        self._refusals = 0
        self._failed_watches = 0
        self._backoff = Backoff()
        self._rest = b""  # a line that has not come to its end

    def ask(self, chance: float) -> Ask:
        """What to ask next."""
        selector = self._entry.selector
        if self.scope.name:
            selector = f"metadata.name={self.scope.name}"
        params = {"fieldSelector": selector} if selector else {}
        if self._version:
            self._rest = b""
            self._gone = False
            self.watching = True
            seconds = SHORTEST_WATCH + int((LONGEST_WATCH - SHORTEST_WATCH) * chance)
            params |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self._version}
            params["timeoutSeconds"] = str(seconds)
        elif self._paged:
            params["limit"] = str(PAGE)
            if self._continue:
                params["continue"] = self._continue
        return Ask(self._place.listing(self.scope.namespace), params, bool(self._version))

    def page(self, body: bytes, now: float) -> Slices[Edits]:
        """Take a page of the list. The last one returns what differs from before. Raises msgspec.MsgspecError."""
        listed = _list.decode(body)
        for item in listed.items or ():
            key, held = self._read(bytes(item))
            if key.name:
                self._listing[key] = held
            yield
        self.succeeded_at = now
        self._refusals = 0
        self._continue = listed.metadata.continue_
        if self._continue:
            return {}
        listing, self._listing = self._listing, {}
        self._version = listed.metadata.resource_version
        self._paged = self.settled = True
        self.lists += 1
        self.error = ""
        return (yield from self._compared(listing))

    def opened(self, now: float) -> None:
        """The watch was answered with 200."""
        self.succeeded_at = now
        self.error = ""
        self._refusals = 0

    def events(self, data: bytes, now: float) -> Slices[Edits]:
        """Take bytes of a watch. `watching` is False after something that ends it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        edits: Edits = {}
        for line in lines:
            if not self.watching:
                break
            if line:
                self._line(line, edits)
            yield
        if len(self._rest) > MAX_LINE:
            self._garbled("a line without an end")
        if self.watching:
            self.succeeded_at = now
            self._failed_watches = 0
        return edits

    def ended(self, lasted: float, now: float, chance: float) -> None:
        """The watch ended, after `lasted` seconds; a line that was cut off is forgotten, and comes again."""
        self.watching = False
        if lasted >= LIVED:
            self._backoff.reset()
            self._expired = False
            self.due = now
            return
        if self._gone:
            self._expire(self.error, now, chance)
        else:
            self._fail(self.error or f"the watch ended after {lasted:.1f} s", now, chance)

    def broken(self, error: str, lasted: float, now: float, chance: float) -> None:
        """There was no answer (`lasted` is 0), or the connection broke so many seconds after the answer began."""
        if self.watching and lasted >= LIVED:
            self.ended(lasted, now, chance)
            return
        self.watching = False
        self._fail(error, now, chance)

    def refused(self, status: int, message: str, retry_after: float | None, now: float, chance: float) -> None:
        """The answer was not 200."""
        self.watching = False
        if status == 410:
            self._paged = not self._continue  # a list too long for its pages to stay valid is asked for in one piece
            self._expire(message, now, chance)
            return
        if status == 404:
            self.absent = True
        if status in {401, 403}:
            self._refusals += 1
            self.settled |= self._refusals >= SETTLES and not self._entry.needed
            message = self._forbidden(message)
        elif status == 429 or status >= 500:
            if self._version:
                self._failed_watches += 1
                if status != 429 and self._failed_watches >= PATIENCE:
                    self._restart()
        else:
            self._restart()
        self._fail(message, now, chance, asked=retry_after)

    def succeed(self, old: Reflector) -> None:
        """Go on where another one, of the same scope, ended: with its objects, and its back-off."""
        self._keys, self.settled, self.faults = old._keys, old.settled, old.faults
        self._backoff, self.due, self.lists = old._backoff, old.due, old.lists

    def clear(self) -> Edits:
        """Forget all objects: nobody follows them any more."""
        self._restart()
        return finish(self._compared({}))

    def _restart(self) -> None:
        self._version = self._continue = ""
        self._listing = {}

    def _expire(self, message: str, now: float, chance: float) -> None:
        """List again: at once the first time, for versions do expire; then ever more slowly."""
        self._restart()
        if self._expired:
            self._fail(message, now, chance, EXPIRED_WEIGHT)
        else:
            self.due = now
        self._expired = True

    def _fail(self, message: str, now: float, chance: float, weight: int = 1, asked: float | None = None) -> None:
        self.error = message
        self.failed_at = now
        self.due = now + self._backoff.failed(chance, weight, asked)

    def _forbidden(self, message: str) -> str:
        group = self._place.version.rpartition("/")[0] or '""'
        return f"{message}; grant get, list and watch on {self._place.plural} (apiGroup {group}) to the service account"

    def _line(self, line: bytes, edits: Edits) -> None:
        try:
            event = _event.decode(line)
            raw = bytes(event.object)
            match event.type:
                case "ADDED" | "MODIFIED":
                    self._set(*self._read(raw), edits)
                case "DELETED":
                    key, _ = self._key(raw)
                    self._drop(key, edits)
                case "ERROR":
                    self._erred(_status.decode(raw))
                    return
            self._version = _envelope.decode(raw).metadata.resource_version or self._version
        except msgspec.MsgspecError as error:
            self._garbled(f"cannot be read ({error})")

    def _erred(self, status: _Status) -> None:
        """The server ends the watch with a reason; the version of an expired one is of no use any more."""
        self.watching = False
        self.error = f"{status.code} {status.message}"
        self._failed_watches += 1
        self._gone = status.code == 410
        if self._gone or self._failed_watches >= PATIENCE:
            self._restart()

    def _garbled(self, what: str) -> None:
        """An event is lost: begin again where it was, and with a list if that does not help."""
        self.watching = False
        self.error = f"an event {what}"
        self._failed_watches += 1
        if self._failed_watches >= PATIENCE:
            self._restart()

    def _read(self, raw: bytes) -> tuple[Key, Held | None]:
        """An object; None if admission does not take it, which is then in `faults`."""
        key, envelope = self._key(raw)
        document = self._prefix + raw.lstrip()[1:]
        verdict = admit(document, CLUSTER)
        problems = verdict.problems if isinstance(verdict, Refused) else verdict.warnings
        if isinstance(verdict, Refused) and self._has_status:
            # What some controller wrote there is no reason to do without the object.
            verdict = admit({**msgspec.json.decode(document), "status": None}, CLUSTER)
        if problems:
            self.faults[key] = problems
        else:
            self.faults.pop(key, None)
        if isinstance(verdict, Refused):
            return key, None
        return key, Held(verdict.resource, bytes(envelope.status) if self._has_status else b"")

    def _key(self, raw: bytes) -> tuple[Key, _Envelope]:
        envelope = _envelope.decode(raw)
        return Key(self.scope.kind, envelope.metadata.namespace, envelope.metadata.name), envelope

    def _compared(self, listing: Mapping[Key, Held | None]) -> Slices[Edits]:
        edits: Edits = {}
        for key in self._keys - listing.keys():
            self._drop(key, edits)
            yield
        for key, held in listing.items():
            self._set(key, held, edits)
            yield
        return edits

    def _set(self, key: Key, held: Held | None, edits: Edits) -> None:
        """Keep an object; one that admission does not take leaves the last good one in its place."""
        if held is None:
            return
        old = self._store.get(key)
        self._store[key] = held
        self._keys.add(key)
        if self._has_status and (old is None or old.version != held.version):
            self.seen.add(key)
        if old is None or _told(old.resource) != _told(held.resource):
            edits[key] = held.resource

    def _drop(self, key: Key, edits: Edits) -> None:
        self.faults.pop(key, None)
        if key in self._keys:
            self._keys.discard(key)
            del self._store[key]
            edits[key] = None


def _told(resource: AnyResource) -> tuple[Any, ...]:
    """What translation reads of an object: no version of it, and of its status at most the addresses."""
    return tuple(
        msgspec.structs.replace(value, resource_version="")
        if name == "metadata"
        else getattr(value, "addresses", None)
        if name == "status"
        else value
        for name, value in zip(resource.__struct_fields__, msgspec.structs.astuple(resource), strict=True)
    )
