"""What `rauta-control check PATH` says of manifests: what is broken in them, every status, every finding. Pure.

Manifests come as texts with the name of their file. What a cluster would refuse is refused, the rest is translated as
it would be served, and the verdict is whether anything is wrong enough that requests would fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from rauta_control.apiresource import Condition
from rauta_control.catalog import NO_DOCUMENT, Catalog
from rauta_control.condition import Status
from rauta_control.finding import Finding, Severity
from rauta_control.gateway import GatewayStatus, ListenerStatus
from rauta_control.httproute import RouteStatus
from rauta_control.kinds import AnyResource
from rauta_control.listenerset import ListenerSetStatus
from rauta_control.problem import Problem
from rauta_control.slices import finish
from rauta_control.source import Fault
from rauta_control.terms import Terms
from rauta_control.translate import Translation, translate
from rauta_control.validity import outdated, period_of
from rauta_control.world import Key

#: Conditions that are worth a word only when they are True; the others only when they are not.
QUIET = frozenset({"Conflicted"})


class Manifests(msgspec.Struct, frozen=True):
    """The objects of some files, and what is wrong with the documents."""

    objects: Mapping[Key, AnyResource]
    faults: tuple[Fault, ...] = ()


class Unreadable(msgspec.Struct, frozen=True):
    """A file that cannot be read, in place of its text."""

    why: str


class Report(msgspec.Struct, frozen=True):
    """What to print, and whether anything is an error."""

    text: str
    failed: bool


def load(texts: Iterable[tuple[str, str | Unreadable]]) -> Manifests:
    """Admit every document of every (file name, text). Of two documents for one object the first counts."""
    catalog = Catalog()
    name = ""
    for name, text in texts:
        if isinstance(text, Unreadable):
            catalog.fail(name, text.why)
        else:
            finish(catalog.update(name, text))
    faults = tuple(catalog.faults())
    if not catalog.objects and all(each.problem.message == NO_DOCUMENT for each in faults):
        faults += (Fault(name, "", Problem("", "there is no document at all")),)
    return Manifests(catalog.objects, faults)


def judged(objects: Iterable[AnyResource], terms: Terms, now: datetime) -> Translation:
    """The translation of objects, with what is wrong with it `now`."""
    translation = translate(objects, terms, now)
    periods = {key: found for key, each in translation.resources.items() if (found := period_of(each)) is not None}
    return msgspec.structs.replace(
        translation, findings=tuple(sorted((*translation.findings, *outdated(periods, now))))
    )


def check(texts: Iterable[tuple[str, str | Unreadable]], terms: Terms, now: datetime) -> Report:
    """Judge manifests."""
    manifests = load(texts)
    translation = judged(manifests.objects.values(), terms, now)
    errors = any(each.problem.level == "error" for each in manifests.faults)
    errors |= any(each.severity == Severity.ERROR for each in translation.findings)
    return Report("\n".join(lines(manifests.faults, translation)) + "\n", errors)


def lines(faults: Sequence[Fault], translation: Translation) -> Iterator[str]:
    """The report, line by line."""
    yield from map(str, faults)
    for key, status in sorted(translation.statuses.items()):
        yield from _status(key, status)
    for finding in translation.findings:
        yield from _finding(finding)
    count = {level: sum(each.severity == level for each in translation.findings) for level in Severity}
    refused = sum(each.problem.level == "error" for each in faults)
    yield (
        f"{len(translation.statuses)} objects with a status, {refused} faults in documents, "
        f"{count[Severity.ERROR]} errors, {count[Severity.WARNING]} warnings, {count[Severity.INFO]} notes"
    )


def _finding(finding: Finding) -> Iterator[str]:
    yield str(finding)
    yield f"    {finding.advice}"


def _status(key: Key, status: Status) -> Iterator[str]:
    match status:
        case RouteStatus():
            for each in status.parents:
                ref = each.parent_ref
                names = [ref.name, ref.section_name, str(ref.port) if ref.port else None]
                parent = f"{ref.kind} {'/'.join(filter(None, names))}"
                yield f"{key} at {parent}: {_conditions(each.conditions)}"
        case GatewayStatus():
            addresses = ", ".join(each.value for each in status.addresses)
            yield f"{key}{f' at {addresses}' if addresses else ''}: {_conditions(status.conditions)}"
            yield from _listeners(status.listeners)
        case ListenerSetStatus():
            yield f"{key}: {_conditions(status.conditions)}"
            yield from _listeners(status.listeners)
        case _:
            yield f"{key}: {_conditions(status.conditions)}"


def _listeners(listeners: Iterable[ListenerStatus]) -> Iterator[str]:
    for each in listeners:
        count = each.attached_routes
        yield f"    listener {each.name}, {count} {'route' if count == 1 else 'routes'}: {_conditions(each.conditions)}"


def _conditions(conditions: Iterable[Condition]) -> str:
    """Those that hold by name, the others with reason and message."""
    said = []
    for each in conditions:
        if each.type in QUIET and each.status == "False":
            continue
        plain = each.status == "True" and each.reason == each.type
        said.append(each.type if plain else f"{each.type}={each.status} {each.reason} ({each.message})")
    return ", ".join(said)
