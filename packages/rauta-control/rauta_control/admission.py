"""Admission: from a document, as a file or an API server gives it, to an object to translate, or to all its faults.

Pure. Files have no API server, so this does what one would: defaults, types, limits, forms, the rules of the Gateway
API v1.6.1 CRDs and of the core kinds, metadata, and conversion to the version RAUTA works in. What it does not do: look
at other objects (that is translation), or judge what RAUTA supports (the same).

    admit(document)             a document from a file
    admit(document, CLUSTER)    an object an API server has admitted: decoded, and checked against what we rely on
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from rauta_control.anatomy import strays
from rauta_control.apiresource import GATEWAY_GROUP
from rauta_control.kinds import KINDS, NOT_YET, AnyResource, KindEntry, decoder
from rauta_control.problem import Judge, Level, Problem, nearest, printable, required, unsupported, wrong_type
from rauta_control.rulebook import faults
from rauta_control.survey import survey


class Policy(msgspec.Struct, frozen=True):
    """How strict admission is, by where a document comes from."""

    #: Given to namespaced objects that name none.
    namespace: str = ""
    #: Whether a status in the document counts. In a file it is a leftover of `kubectl get`: dropped, as on create.
    status: bool = True
    #: Whether unknown fields of kinds that are read in part (Service, Secret's metadata, ...) are looked for.
    whole: bool = False
    #: Whether the rules of core kinds are applied. An API server always has those; a CRD may be old and have fewer.
    core: bool = True
    #: What becomes of problems that only the experimental channel's CRDs see. A cluster may have the other channel.
    experimental: Level = "warning"
    #: What becomes of problems that come of running in a cluster; None waives them.
    cluster: Level | None = "error"


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str


FILES = Policy(namespace="default", status=False, whole=True, experimental="error", cluster=None)
CLUSTER = Policy(core=False)


class Admitted(msgspec.Struct, frozen=True):
    """An object with its defaults, and what should be said about it nevertheless."""

    resource: AnyResource
    warnings: tuple[Problem, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """Everything that is wrong, and what the document said it was, as far as it can be told (empty where it cannot).

    The generation is there so that a status can say what it is about; 0 where there is none.
    """

    problems: tuple[Problem, ...]
    kind: str = ""
    namespace: str = ""
    name: str = ""
    generation: int = 0

    @property
    def foreign(self) -> bool:
        """Whether this is merely another kind of object, such as a Deployment in the same folder: nothing is broken."""
        return all(problem.level == "warning" for problem in self.problems)


Verdict: TypeAlias = Admitted | Refused


def admit(document: Mapping[Any, Any] | bytes, policy: Policy = FILES, previous: AnyResource | None = None) -> Verdict:
    """Judge one document: a mapping as YAML or JSON gives it, or the bytes of its JSON. Never raises, whatever it is.

    `previous` is the object that this one replaces, for what may not change.
    """
    if isinstance(document, bytes):
        try:
            if policy == CLUSTER and (verdict := _at_once(document, previous)) is not None:
                return verdict
            document = msgspec.json.decode(document)
        except (ValueError, RecursionError) as error:
            return Refused((Problem("", f"not JSON: {error}"),))
    if not isinstance(document, dict):
        return Refused((wrong_type("", "object", type(document).__name__),))
    entry = _entry(document)
    if isinstance(entry, Problem):
        return _refuse(document, [entry])
    return _judge(entry, _prepared(entry, document, policy), policy, previous)


def prepare() -> None:
    """Learn all kinds now, a tenth of a second of work that is due at the first object otherwise."""
    for kind, entry in KINDS.items():
        decoder(entry.struct)
        strays(entry.struct, {})
        admit({"apiVersion": entry.version, "kind": kind})


def _at_once(document: bytes, previous: AnyResource | None) -> Verdict | None:
    """From bytes to the object without a mapping in between, for what is sound: the path of every watch event."""
    try:
        head = msgspec.json.decode(document, type=_Head)
        entry = KINDS.get(head.kind)
        if entry is None or head.api_version not in entry.served:
            return None
        resource = decoder(entry.struct).decode(document)
    except msgspec.ValidationError:
        return None
    if resource.api_version != entry.version:
        resource = msgspec.structs.replace(resource, api_version=entry.version)
    verdict = _ruled(entry, resource, [], CLUSTER, previous)
    return verdict if isinstance(verdict, Admitted) else None


def _judge(entry: KindEntry, document: dict[Any, Any], policy: Policy, previous: AnyResource | None) -> Verdict:
    resource, found = _read(entry, document, policy)
    if resource is not None:
        return _ruled(entry, resource, found, policy, previous)
    return _refuse(document, _weighed([*_named(entry, document), *found], policy))


def _ruled(
    entry: KindEntry, resource: Any, found: list[Problem], policy: Policy, previous: AnyResource | None
) -> Verdict:
    """What the API server adds, then what no type can say."""
    if entry.settle is not None:
        resource = entry.settle(resource)
    if policy.core or not entry.core:
        found += entry.name_form("metadata.name", resource.name)
        found += faults(resource)
    if entry.transition is not None and type(previous) is entry.struct:
        found += entry.transition(previous, resource)
    if not found:
        return Admitted(resource)
    problems = _weighed(found, policy)
    if any(problem.level == "error" for problem in problems):
        meta = resource.metadata
        return Refused(tuple(problems), resource.kind, meta.namespace, printable(meta.name), meta.generation)
    return Admitted(resource, tuple(problems))


def _read(entry: KindEntry, document: dict[Any, Any], policy: Policy) -> tuple[Any, list[Problem]]:
    try:
        resource = msgspec.convert(document, entry.struct)
    except msgspec.ValidationError:
        return survey(entry.struct, document)
    if policy.whole and strays(entry.struct, document):
        return survey(entry.struct, document)
    return resource, []


def _prepared(entry: KindEntry, document: dict[Any, Any], policy: Policy) -> dict[Any, Any]:
    """A copy, as deep as it is changed: version converted, namespace defaulted or cleared by scope, status dropped."""
    prepared = {**document, "apiVersion": entry.version}
    if not policy.status:
        prepared.pop("status", None)
    meta = document.get("metadata")
    if isinstance(meta, dict):
        if not entry.namespaced:
            if meta.get("namespace"):
                prepared["metadata"] = {**meta, "namespace": ""}
        elif policy.namespace and meta.get("namespace") in (None, ""):
            prepared["metadata"] = {**meta, "namespace": policy.namespace}
    return prepared


def _entry(document: dict[Any, Any]) -> KindEntry | Problem:
    """The kind's entry, or why there is none."""
    kind, version = document.get("kind"), document.get("apiVersion")
    if not isinstance(kind, str) or not kind:
        return required("kind") if not kind else wrong_type("kind", "string", type(kind).__name__)
    if not isinstance(version, str) or not version:
        return required("apiVersion") if not version else wrong_type("apiVersion", "string", type(version).__name__)
    entry = KINDS.get(kind)
    return entry if entry is not None and version in entry.served else _unread(kind, version)


def _unread(kind: str, version: str) -> Problem:
    group = version.rpartition("/")[0]
    entry = KINDS.get(kind)
    if entry is not None and entry.version.rpartition("/")[0] == group:
        return unsupported("apiVersion", version, entry.served)
    if group.endswith((GATEWAY_GROUP, "gateway.networking.x-k8s.io")) and kind in NOT_YET:
        return Problem("kind", f"{kind} is not supported yet: {NOT_YET[kind]}", "kind", "warning")
    if entry is not None and _mistaken(group, entry.version.rpartition("/")[0]):
        return unsupported("apiVersion", version, entry.served)
    kind, version = printable(kind), printable(version)
    near = nearest(kind, KINDS)
    if near and group == KINDS[near].version.rpartition("/")[0]:
        return Problem("kind", f'no kind "{kind}" in {version}; did you mean "{near}"?', "kind")
    if group == GATEWAY_GROUP:
        return Problem("kind", f'no kind "{kind}" in {version}', "kind")
    return Problem("kind", f"{kind} ({version}) is not read", "kind", "warning")


def _mistaken(group: str, meant: str) -> bool:
    """Whether a kind that is in the group `meant` cannot be of this one: a group of Kubernetes itself, or a slip.

    Others have a Gateway (networking.istio.io) or a Service (serving.knative.dev) too, and may.
    """
    return "." not in group or group.endswith(".k8s.io") or bool(nearest(group, [meant], 0.9))


def _named(entry: KindEntry, document: dict[Any, Any]) -> Iterator[Problem]:
    """Problems of the name, by the form names of the kind have; its type and presence are the struct's to check."""
    meta = document.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    if isinstance(name, str):
        yield from entry.name_form("metadata.name", name)


def _weighed(problems: Iterable[Problem], policy: Policy) -> list[Problem]:
    """The problems that this policy does not waive, each at the level that it gives them."""
    levels: dict[Judge, Level | None] = {"experimental": policy.experimental, "cluster": policy.cluster}
    weighed = []
    for problem in problems:
        level = problem.level if problem.judge == "any" else levels[problem.judge]
        if level is not None:
            weighed.append(msgspec.structs.replace(problem, level=level))
    return weighed


def _refuse(document: dict[Any, Any], problems: list[Problem]) -> Refused:
    meta = document.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    kind, namespace, name = (
        printable(value) if isinstance(value, str) else ""
        for value in (document.get("kind"), meta.get("namespace"), meta.get("name"))
    )
    generation = meta.get("generation")
    return Refused(tuple(problems), kind, namespace, name, generation if type(generation) is int else 0)
