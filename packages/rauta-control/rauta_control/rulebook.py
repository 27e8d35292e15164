"""Every rule that no type can say, by the struct it looks at, and the walk that applies them to an object.

Pure. Each rule is a function beside its struct, and its docstring names what it obeys: a CEL rule or list type of the
Gateway API v1.6.1 CRDs, or a check of the API server.
"""

from __future__ import annotations

import functools

import msgspec

from rauta_control import (
    apiresource,
    endpointslice,
    gateway,
    gatewayclass,
    httpfilter,
    httproute,
    listenerset,
    reference,
    secret,
    service,
)
from rauta_control.anatomy import children
from rauta_control.apiresource import Rule, Rules
from rauta_control.problem import Problem

RULES: Rules = {
    **apiresource.RULES,
    **reference.RULES,
    **gatewayclass.RULES,
    **gateway.RULES,
    **listenerset.RULES,
    **httpfilter.RULES,
    **httproute.RULES,
    **service.RULES,
    **endpointslice.RULES,
    **secret.RULES,
}


def faults(value: msgspec.Struct, path: str = "") -> list[Problem]:
    """What the rules say of a struct and of every struct in it."""
    found: list[Problem] = []
    _walk(value, path, found)
    return found


def _walk(value: msgspec.Struct, path: str, found: list[Problem]) -> None:
    rules, branches = _chapter(type(value))
    for rule in rules:
        for problem in rule(value):
            found.append(problem.under(path))  # noqa: PERF401 - a list made for each rule costs more than it saves
    for attribute, name, many in branches:
        child = getattr(value, attribute)
        if not child:
            continue
        where = f"{path}.{name}" if path else name
        if many:
            for index, item in enumerate(child):
                _walk(item, f"{where}[{index}]", found)
        else:
            _walk(child, where, found)


@functools.cache
def _chapter(struct: type[msgspec.Struct]) -> tuple[tuple[Rule, ...], tuple[tuple[str, str, bool], ...]]:
    """The rules of a struct, and where in it more may apply: attribute, name, many."""
    branches = tuple(
        (item.name, item.encode_name, many) for item, child, many in children(struct) if any(_chapter(child))
    )
    return RULES.get(struct, ()), branches
