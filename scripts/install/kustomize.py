"""The part of kustomize that `manifests/` uses, so that what a cluster would get can be tested without it.

Not a replacement: resources, components and strategic merge patches with a target, nothing else. Whatever it does not
know it refuses, rather than pass over what kustomize would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

Document = dict[str, Any]

FILE = "kustomization.yaml"


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which objects a patch is for; both are regular expressions that match the whole."""

    kind: str
    name: str

    def takes(self, document: Document) -> bool:
        """Whether it is this object."""
        found = document["kind"], document["metadata"]["name"]
        return all(re.fullmatch(*each) for each in zip((self.kind, self.name), found, strict=True))


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of an object, in a file."""

    path: str
    target: Target


class Kustomization(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The fields that are understood."""

    api_version: Literal["kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"]
    kind: Literal["Kustomization", "Component"]
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()


def build(folder: Path) -> list[Document]:
    """What `kubectl kustomize FOLDER` prints, in the order of the files. Raises ValueError, OSError, YAMLError."""
    documents: list[Document] = []
    _add(folder, documents)
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents]
    if len(set(names)) != len(names):
        raise ValueError(f"{folder}: expected each object once: {names}")
    return documents


def read(folder: Path) -> Kustomization:
    """The kustomization of a folder; it must list every file beside it."""
    found = msgspec.convert(yaml.safe_load((folder / FILE).read_text()), Kustomization)
    listed = {FILE, *found.resources, *(patch.path for patch in found.patches)}
    unlisted = {path.name for path in folder.iterdir()} - listed
    if unlisted:
        raise ValueError(f"{folder / FILE}: expected every file in the folder to be listed: {sorted(unlisted)}")
    return found


def merged(target: Any, patch: Any) -> Any:
    """`target` with `patch` in it. Lists of named things merge by name, the patch's first; all others are replaced.
    What the patch has as null goes.
    """
    if isinstance(target, dict) and isinstance(patch, dict):
        both = {key: merged(target[key], value) if key in target else value for key, value in patch.items()}
        return {key: value for key, value in (target | both).items() if value is not None}
    if _named(target) and _named(patch):
        there = {each["name"]: each for each in target}
        new = [merged(there.pop(each["name"], {}), each) for each in patch]
        return new + list(there.values())
    return patch


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) and "name" in each for each in value)


def _add(folder: Path, documents: list[Document]) -> None:
    """Add a folder's objects, then change what is there by then as it says."""
    found = read(folder)
    for name in found.resources:
        path = folder / name
        if path.is_dir():
            _add(path, documents)
        else:
            documents += _documents(path)
    for name in found.components:
        _add(folder / name, documents)
    for patch in found.patches:
        (content,) = _documents(folder / patch.path)
        taken = [number for number, each in enumerate(documents) if patch.target.takes(each)]
        if not taken:
            raise ValueError(f"{folder / FILE}: {patch.path}: expected an object for {patch.target}")
        for number in taken:
            own = {"apiVersion": documents[number]["apiVersion"], "kind": documents[number]["kind"]}
            documents[number] = merged(documents[number], content | own)


def _documents(path: Path) -> Iterator[Document]:
    for document in yaml.safe_load_all(path.read_text()):
        if not isinstance(document, dict):
            raise ValueError(f"{path}: expected an object, not {document!r}")
        yield document
