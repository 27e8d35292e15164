"""Every rule that no type can say, by the struct it looks at, and the walk that applies them to an object.

Pure. Each rule is a function beside its struct, and its docstring names what it obeys: a CEL rule or list type of the
Gateway API v1.6.1 CRDs, or a check of the API server.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec

from rauta_control import (
    endpointslice,
    gateway,
    gatewayclass,
    httpfilter,
    httproute,
    listenerset,
    reference,
    resource,
    secret,
    service,
)
from rauta_control.anatomy import children
from rauta_control.problem import Problem, join
from rauta_control.resource import Rules

RULES: Rules = {
    **resource.RULES,
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


def faults(value: msgspec.Struct, path: str = "") -> Iterator[Problem]:
    """What the rules say of a struct and of every struct in it."""
    kind = type(value)
    for rule in RULES.get(kind, ()):
        for problem in rule(value):
            yield problem.under(path)
    for attribute, name, many in _branches(kind):
        child = getattr(value, attribute)
        if not child:
            continue
        where = join(path, name)
        if many:
            for index, item in enumerate(child):
                yield from faults(item, f"{where}[{index}]")
        else:
            yield from faults(child, where)


@functools.cache
def _branches(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, bool], ...]:
    """Where in a struct rules may apply: attribute, name, many."""
    return tuple(
        (item.name, item.encode_name, many)
        for item, child, many in children(struct)
        if child in RULES or _branches(child)
    )
