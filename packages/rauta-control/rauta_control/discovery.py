"""Which kinds an API server has, in which version and under which path. Pure.

Nothing but the kind's name and its versions is written down here (kinds.py); the rest is asked of the server.
"""

from __future__ import annotations

import msgspec

from rauta_control.world import Key


class _ApiResource(msgspec.Struct, frozen=True):
    name: str  # `httproutes`, and `httproutes/status` for a subresource
    kind: str
    namespaced: bool


class _ApiResources(msgspec.Struct, frozen=True):
    resources: tuple[_ApiResource, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """Where a kind is served: `version` is its apiVersion there, `plural` its name in paths."""

    version: str
    plural: str
    namespaced: bool

    def listing(self, namespace: str = "") -> str:
        """The path of all objects, or of those in a namespace."""
        inner = f"namespaces/{namespace}/" if self.namespaced and namespace else ""
        return f"{root(self.version)}/{inner}{self.plural}"

    def status(self, key: Key) -> str:
        """The path of an object's status."""
        return f"{self.listing(key.namespace)}/{key.name}/status"

    def item(self, key: Key) -> str:
        """The path of an object."""
        return f"{self.listing(key.namespace)}/{key.name}"


def root(version: str) -> str:
    """The path of an apiVersion, where the server lists its resources."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def located(version: str, body: bytes) -> dict[str, Place]:
    """The kinds in an APIResourceList, the answer of `root(version)`. Raises msgspec.MsgspecError."""
    listed = msgspec.json.decode(body, type=_ApiResources).resources
    return {each.kind: Place(version, each.name, each.namespaced) for each in listed if "/" not in each.name}
