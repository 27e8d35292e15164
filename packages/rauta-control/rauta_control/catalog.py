"""What files say: which objects, from which document of which file, and what is wrong with the others. Pure.

A file is cut into documents by their text, and only those whose text is new are decoded and admitted. Nothing that is
broken takes anything away: a document that is refused leaves the object it was before, a text that cannot even be read
as YAML leaves all objects of its file that no other document of it names, and a file that is empty all at once is taken
for one that is being written. Of two documents for one object the first counts, by the names of files and then by
position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from rauta_common import hashing
from rauta_control.admission import FILES, Admitted, Refused, Verdict, admit
from rauta_control.documents import Piece, pieces, read
from rauta_control.kinds import KINDS, AnyResource
from rauta_control.problem import Problem, required, unknown_field, wrong_type
from rauta_control.slices import Slices
from rauta_control.source import Fault
from rauta_control.world import Key, key_of

LIST = "List"  # what `kubectl get -o yaml` makes of several objects; the API server says ServiceList
LIST_FIELDS = ("apiVersion", "items", "kind", "metadata")
EMPTY = "is empty, which is taken for half-written: delete the file to remove its objects"
NO_DOCUMENT = "there is no document in it"
STAYS = "; until that is mended the last good one counts"


class _Part(msgspec.Struct, frozen=True):
    """What became of a piece of a text: a verdict for each of its objects, or why it cannot be read.

    `steps` say where in the piece an object is: its document, from 0, and what stands behind the number.
    """

    verdicts: tuple[Verdict, ...] = ()
    steps: tuple[tuple[int, str], ...] = ()
    count: int = 1  # documents
    error: str = ""


class _File:
    """What a file gives. `missing`: it is gone, perhaps just for the moment in which an editor replaces it."""

    __slots__ = ("digest", "faults", "kept", "missing", "objects", "parts", "places")

    def __init__(self) -> None:
        self.digest = 0
        self.parts: dict[int, _Part] = {}  # by the digest of the text
        self.objects: dict[Key, AnyResource] = {}
        self.places: dict[Key, str] = {}
        self.faults: tuple[Fault, ...] = ()
        self.kept: tuple[Key, ...] = ()  # of its objects those that the text does not say any more
        self.missing = False


class Catalog:
    """The objects of all files, `objects` by key. Files are known by their names, with `/` between folders."""

    def __init__(self) -> None:
        self.objects: dict[Key, AnyResource] = {}
        self._files: dict[str, _File] = {}
        self._claims: dict[Key, tuple[str, ...]] = {}  # who names an object, the one that counts first
        self._contested: dict[Key, None] = {}
        self._faulty: set[str] = set()  # files
        self._edits: dict[Key, AnyResource | None] = {}

    def update(self, name: str, text: str) -> Slices[None]:
        """Take the text of a file, a document at a time."""
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = _File()
        came_back, file.missing = file.missing, False
        digest = _digest(text)
        if digest != file.digest or not text.strip():
            file.digest = digest
            yield from self._read(name, file, text)
        elif came_back:
            self._claim(name, file.objects, file.objects)

    def fail(self, name: str, why: str) -> None:
        """Take note that a file cannot be read; what it gave before stays."""
        file = self._files.setdefault(name, _File())
        file.digest = 0
        file.kept = tuple(file.objects)
        self._faulty.add(name)
        kept = bool(file.objects)
        file.faults = (Fault(name, "", Problem("", why + (STAYS if kept else "")), kept=kept),)

    def recall(self, name: str, kept: Iterable[AnyResource]) -> None:
        """Know what a file said before it broke, as it was `kept` before a restart. The file is yet to be read."""
        file = self._files[name] = _File()
        file.objects = {key_of(each): each for each in kept}
        file.places = dict.fromkeys(file.objects, name)
        file.kept = tuple(file.objects)
        self._faulty.add(name)
        self._claim(name, (), file.objects)

    def vanish(self, name: str) -> None:
        """Take note that a file is gone for now: what it gave stays, unless another file gives it."""
        file = self._files[name]
        file.missing = True
        self._claim(name, file.objects, file.objects)

    def remove(self, name: str) -> None:
        """Forget a file."""
        self._faulty.discard(name)
        self._claim(name, self._files.pop(name).objects, {})

    @property
    def kept(self) -> dict[str, tuple[AnyResource, ...]]:
        """By file, the objects that count although its text does not say them any more."""
        faulty = ((name, self._files[name]) for name in sorted(self._faulty))
        return {name: tuple(file.objects[key] for key in file.kept) for name, file in faulty if file.kept}

    def edits(self) -> dict[Key, AnyResource | None]:
        """What became of which objects since this was asked last."""
        edits, self._edits = self._edits, {}
        return edits

    def faults(self) -> Iterator[Fault]:
        """All that is wrong, in the order of the files."""
        lost: dict[str, list[Fault]] = {}
        for key in self._contested:
            first, *others = self._claims[key]
            for name in others:
                place = self._files[first].places[key]
                problem = _twice(place)
                if not self._files[name].missing:
                    lost.setdefault(name, []).append(Fault(self._files[name].places[key], str(key), problem, key))
        for name in sorted(self._faulty | lost.keys(), key=_order):
            yield from self._files[name].faults
            yield from lost.get(name, ())

    def _read(self, name: str, file: _File, text: str) -> Slices[None]:
        found = _Reading(name)
        parts: dict[int, _Part] = {}
        for piece in pieces(text):
            digest = _digest(piece.text)
            part = file.parts.get(digest)
            if part is None or part.error:  # the line of an error may be another one now
                part = _part(piece)
            parts[digest] = part
            found.add(part)
            yield
        if not parts and file.objects:
            found.fault(name, Problem("", EMPTY))
            found.lost = True
        elif not found.count:
            found.fault(name, Problem("", NO_DOCUMENT, level="warning"))
        old, old_places = file.objects, file.places
        kept = [key for key in old if key not in found.objects and (found.lost or key in found.refused)]
        file.kept = tuple(kept)
        file.parts = parts
        file.objects = found.objects | {key: old[key] for key in kept}
        file.places = found.places | {key: old_places[key] for key in kept}
        file.faults = tuple(found.said(kept))
        (self._faulty.add if file.faults else self._faulty.discard)(name)
        self._claim(name, old, file.objects)

    def _claim(self, name: str, before: Iterable[Key], after: Mapping[Key, AnyResource]) -> None:
        """Settle who gives the objects that a file gave before and gives now."""
        for key in {**dict.fromkeys(before), **dict.fromkeys(after)}:
            names = {*self._claims.get(key, ()), name} if key in after else {*self._claims[key]} - {name}
            claims = tuple(sorted(names, key=lambda each: (self._files[each].missing, *_order(each))))
            if not claims:
                del self._claims[key]
                self._contested.pop(key, None)
                del self.objects[key]
                self._edits[key] = None
                continue
            self._claims[key] = claims
            if len(claims) > 1:
                self._contested[key] = None
            else:
                self._contested.pop(key, None)
            resource = self._files[claims[0]].objects[key]
            if self.objects.get(key) != resource:
                self.objects[key] = self._edits[key] = resource


class _Reading:
    """What one text says."""

    def __init__(self, name: str) -> None:
        self.objects: dict[Key, AnyResource] = {}
        self.places: dict[Key, str] = {}
        self.refused: set[Key] = set()
        self.lost = False  # whether something is broken of which nobody can say what it was
        self._name = name
        self._faults: list[Fault] = []
        self.count = 0  # documents

    def add(self, part: _Part) -> None:
        first = self.count + 1
        self.count += part.count
        if part.error:
            self.fault(f"{self._name}#{first}", Problem("", f"not YAML: {part.error}"))
            self.lost = True
        for verdict, (number, step) in zip(part.verdicts, part.steps, strict=True):
            self._judge(f"{self._name}#{first + number}{step}", verdict)

    def fault(self, place: str, problem: Problem, key: Key | None = None, kind: str = "") -> None:
        self._faults.append(Fault(place, str(key) if key else kind, problem, key))

    def said(self, kept: Iterable[Key]) -> Iterator[Fault]:
        """The faults, with a word about what stays."""
        stays = set(kept)
        for each in self._faults:
            if each.problem.level == "error" and (each.key in stays or (each.key is None and stays)):
                problem = msgspec.structs.replace(each.problem, message=each.problem.message + STAYS)
                yield msgspec.structs.replace(each, problem=problem, kept=True)
            else:
                yield each

    def _judge(self, place: str, verdict: Verdict) -> None:
        if isinstance(verdict, Admitted):
            key = key_of(verdict.resource)
            for problem in verdict.warnings:
                self.fault(place, problem, key)
            if key in self.objects:
                self.fault(place, _twice(self.places[key]), key)
            else:
                self.objects[key], self.places[key] = verdict.resource, place
            return
        named = Key(verdict.kind, verdict.namespace, verdict.name) if verdict.name else None
        for problem in verdict.problems:
            self.fault(place, problem, named, verdict.kind)
        if verdict.foreign:
            return
        if named is None:
            self.lost = True
        else:
            self.refused |= {named, named._replace(namespace=named.namespace or FILES.namespace)}


def _part(piece: Piece) -> _Part:
    try:
        found = read(piece)
    except ValueError as error:
        return _Part(error=str(error))
    verdicts: list[Verdict] = []
    steps: list[tuple[int, str]] = []
    for number, document in enumerate(found):
        for step, verdict in _judged(document):
            verdicts.append(verdict)
            steps.append((number, step))
    return _Part(tuple(verdicts), tuple(steps), len(found))


def _judged(document: Any) -> Iterator[tuple[str, Verdict]]:
    """The objects of a list, and what is wrong with itself; or the document."""
    kind = _listed(document)
    if kind is None:
        yield "", admit(document)
        return
    if strays := [unknown_field("", name, LIST_FIELDS) for name in document if name not in LIST_FIELDS]:
        yield "", Refused(tuple(strays), document["kind"])
    items = document.get("items", ...)
    if items is ...:
        yield "", Refused((required("items"),), document["kind"])
    elif items is not None and not isinstance(items, list):
        yield "", Refused((wrong_type("items", "array", type(items).__name__),), document["kind"])
    else:
        of_list = {"apiVersion": document["apiVersion"], "kind": kind} if kind else {}
        for index, each in enumerate(items or ()):
            yield f".items[{index}]", admit({**of_list, **each} if isinstance(each, dict) else each)


def _listed(document: Any) -> str | None:
    """The kind that a list says its objects are, empty if each says so itself; None for a document that is no list."""
    if not isinstance(document, dict):
        return None
    kind, version = document.get("kind"), document.get("apiVersion")
    if kind == LIST and version == "v1":
        return ""
    entry = KINDS.get(kind.removesuffix(LIST)) if isinstance(kind, str) and kind.endswith(LIST) else None
    return entry.struct.__name__ if entry is not None and version in entry.served else None


def _twice(place: str) -> Problem:
    return Problem("metadata.name", f"is also in {place}, which counts", "duplicate")


def _order(name: str) -> tuple[str, ...]:
    return tuple(name.split("/"))


def _digest(text: str) -> int:
    return hashing.digest(text.encode(errors="surrogatepass"))
