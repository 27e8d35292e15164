"""Whether an object is what the Kubernetes API takes: by the OpenAPI types of lightkube-models, offline.

Every field must exist and have its type. What those types do not say (patterns, enumerations, rules between fields)
only an API server does. Gateway API kinds go through RAUTA's own admission, which knows all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from lightkube.core.resource_registry import resource_registry

from rauta_control.admission import Refused, admit
from rauta_control.apiresource import GATEWAY_GROUP
from scripts.install.kustomize import Document


def problems(document: Document) -> list[str]:
    """What is wrong with it; nothing if it is fine. Raises LoadResourceError for a kind that nobody knows."""
    if document["apiVersion"].startswith(f"{GATEWAY_GROUP}/"):
        verdict = admit(document)
        found = verdict.problems if isinstance(verdict, Refused) else verdict.warnings
        return [str(problem) for problem in found]
    try:
        taken = msgspec.convert(document, resource_registry.load(document["apiVersion"], document["kind"]))
    except msgspec.ValidationError as error:
        return [str(error)]
    return [f"unknown field {path}" for path in _dropped(document, msgspec.to_builtins(taken), "")]


def _dropped(given: Any, taken: Any, path: str) -> Iterator[str]:
    """The paths of what was given and is not in what was taken."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name in taken:
                yield from _dropped(value, taken[name], f"{path}.{name}")
            elif value is not None:
                yield f"{path}.{name}"
    elif isinstance(given, list):
        for number, (value, other) in enumerate(zip(given, taken, strict=True)):
            yield from _dropped(value, other, f"{path}[{number}]")
