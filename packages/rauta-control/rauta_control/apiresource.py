"""What every Kubernetes object is made of here: the struct options, metadata, conditions, and the rules of metadata.

Pure. Structs are frozen trees, so they are compared by value, shared freely and left out of cyclic garbage collection.
Two sorts:

* a `Part` declares every field of its schema, and forbids others: msgspec then finds a misspelt field at full speed;
* a `Trimmed` part declares the fields RAUTA reads and names the rest in UNREAD, so that they cost nothing to keep out.

Absent and null are the same, as in the API server: None, or an empty tuple or mapping where nothing depends on the
difference. A field whose absence means something else has that as its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Meta, field

from rauta_control.problem import Problem, entry, invalid, repeated, too_long
from rauta_control.scalars import LABEL, NAME_PART, SUBDOMAIN, NaturalInt64, text

GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_V1 = f"{GATEWAY_GROUP}/v1"

MAX_ANNOTATIONS = 256 * 1024  # bytes of all keys and values, apimachinery TotalAnnotationSizeLimitB
MAX_KEY_NAME = 63
MAX_KEY_PREFIX = 253
MAX_KEY = 2 * MAX_KEY_PREFIX  # more is not even searched
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A rule looks at one struct and yields what is wrong in it, with paths that begin there. Its docstring names the rule.
Rule: TypeAlias = Callable[[Any], Iterable[Problem]]
Rules: TypeAlias = Mapping[type, tuple[Rule, ...]]
Timestamp: TypeAlias = Annotated[datetime, Meta(tz=True)]

_QUALIFIED = re.compile(rf"(?:({SUBDOMAIN})/)?({NAME_PART})")
_LABEL_VALUE = re.compile(rf"(?:{NAME_PART})?")
_SUBDOMAIN = re.compile(SUBDOMAIN)
_LABEL = re.compile(LABEL)


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, gc=False):
    """A piece of an object, every field of its schema declared. Subclasses say `frozen=True, kw_only=True` again."""

    UNREAD: ClassVar[frozenset[str]] = frozenset()


class Trimmed(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A piece of an object of which only some fields are read; the other known ones are named in UNREAD."""

    UNREAD: ClassVar[frozenset[str]] = frozenset()


class ObjectMeta(Trimmed, frozen=True, kw_only=True):
    """Identity, labels and history. No API server: `generation` is 0 and `creation_timestamp` None."""

    UNREAD = frozenset(
        {"generateName", "managedFields", "ownerReferences", "finalizers", "selfLink", "deletionGracePeriodSeconds"}
    )

    name: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    generation: NaturalInt64 = 0
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    uid: str = ""
    resource_version: str = ""


class Resource(Part, frozen=True, kw_only=True, tag_field="kind"):
    """A whole object. Its kind is its class; its version is the one RAUTA works in, whichever it came in."""

    api_version: str
    metadata: ObjectMeta

    @property
    def kind(self) -> str:
        """`HTTPRoute`."""
        return type(self).__name__

    @property
    def namespace(self) -> str:
        """The namespace; empty for a cluster-scoped object."""
        return self.metadata.namespace

    @property
    def name(self) -> str:
        """The name, unique among the kind in its namespace."""
        return self.metadata.name


class Condition(Part, frozen=True, kw_only=True):
    """One condition of a status, as metav1.Condition."""

    type: Annotated[str, text(0, 316, rf"(?:{SUBDOMAIN}/)?{NAME_PART}", "a condition type such as Accepted")]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, text(1, 1024, r"[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?", "a CamelCase reason")]
    message: Annotated[str, Meta(max_length=32768)]
    last_transition_time: Timestamp
    observed_generation: NaturalInt64 = 0


Conditions: TypeAlias = Annotated[tuple[Condition, ...], Meta(max_length=8)]


def pending(*types: str) -> tuple[Condition, ...]:
    """The conditions a CRD gives an object no controller has seen."""
    return tuple(
        Condition(
            type=kind, status="Unknown", reason="Pending", message="Waiting for controller", last_transition_time=EPOCH
        )
        for kind in types
    )


# -- metadata: what the API server holds every object to (apimachinery, api/validation/objectmeta.go)


def subdomain_name(path: str, name: str) -> Iterable[Problem]:
    """Names of most kinds: an RFC 1123 subdomain of at most 253 characters."""
    if len(name) > MAX_KEY_PREFIX:
        yield too_long(path, MAX_KEY_PREFIX)
    elif not _SUBDOMAIN.fullmatch(name):
        yield invalid(
            path, name, "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
        )


def label_name(path: str, name: str) -> Iterable[Problem]:
    """Names of namespaces and services, which become one label of a DNS name: an RFC 1123 label."""
    if len(name) > MAX_KEY_NAME:
        yield too_long(path, MAX_KEY_NAME)
    elif not _LABEL.fullmatch(name):
        yield invalid(path, name, "must be lower-case letters, digits and '-', with a letter or digit at both ends")


def qualified_key(path: str, key: str, what: str) -> Iterable[Problem]:
    """The key of a label or annotation: an optional DNS subdomain and a slash, then a name of at most 63 characters."""
    found = _QUALIFIED.fullmatch(key) if len(key) <= MAX_KEY else None
    if not found:
        yield invalid(
            path, key, f"{what} must be NAME or PREFIX/NAME: a DNS name, '/', then letters, digits, '-', '_' and '.'"
        )
        return
    if len(found[2]) > MAX_KEY_NAME:
        yield invalid(path, key, f"the name part of {what} must be no more than {MAX_KEY_NAME} characters")
    if len(found[1] or "") > MAX_KEY_PREFIX:
        yield invalid(path, key, f"the prefix of {what} must be no more than {MAX_KEY_PREFIX} characters")


def label_syntax(labels: Mapping[str, str], path: str = "labels") -> Iterable[Problem]:
    """Keys and values of labels and of a selector's matchLabels."""
    for key, value in labels.items():
        yield from qualified_key(path, key, "a label key")
        if len(value) > MAX_KEY_NAME or not _LABEL_VALUE.fullmatch(value):
            yield invalid(
                entry(path, key), value, "a label value is at most 63 letters, digits, '-', '_' and '.', or empty"
            )


def labels_well_formed(meta: ObjectMeta) -> Iterable[Problem]:
    """ObjectMeta.labels."""
    return label_syntax(meta.labels) if meta.labels else ()


def annotations_well_formed(meta: ObjectMeta) -> Iterable[Problem]:
    """ObjectMeta.annotations: keys as those of labels, in any case; all together at most 256 KiB."""
    size = 0
    for key, value in meta.annotations.items():
        size += len(key.encode(errors="replace")) + len(value.encode(errors="replace"))
        yield from qualified_key("annotations", key.lower(), "an annotation key")
    if size > MAX_ANNOTATIONS:
        yield too_long("annotations", MAX_ANNOTATIONS)


def namespace_well_formed(meta: ObjectMeta) -> Iterable[Problem]:
    """ObjectMeta.namespace: an RFC 1123 label."""
    return label_name("namespace", meta.namespace) if meta.namespace else ()


def conditions_unique(status: Any) -> Iterable[Problem]:
    """A list-map with the key `type` (x-kubernetes-list-map-keys) in every status."""
    return repeated("conditions", status.conditions, "type")


RULES: Rules = {ObjectMeta: (labels_well_formed, annotations_well_formed, namespace_well_formed)}
