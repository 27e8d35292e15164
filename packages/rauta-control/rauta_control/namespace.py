"""Namespace: its labels, which selectors of listeners look at. Pure."""

from __future__ import annotations

import msgspec

from rauta_control.apiresource import Resource

NAME_LABEL = "kubernetes.io/metadata.name"  # set by every API server
MAX_NAME = 63  # of a namespace and of a label's value


class Namespace(Resource, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=False):
    """Cluster-scoped."""

    UNREAD = frozenset({"spec", "status"})


def labelled(namespace: Namespace) -> Namespace:
    """The namespace with the label that carries its own name, where a label can."""
    meta = namespace.metadata
    if meta.labels.get(NAME_LABEL) == meta.name or len(meta.name) > MAX_NAME:
        return namespace
    labels = {**meta.labels, NAME_LABEL: meta.name}
    return msgspec.structs.replace(namespace, metadata=msgspec.structs.replace(meta, labels=labels))
