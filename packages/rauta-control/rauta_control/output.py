"""What translation makes of one object: its part of the IR, its status and what was found in it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import msgspec

from rauta_control.condition import Status
from rauta_control.finding import Finding
from rauta_control.ir import Resource

#: A rule that gives an Output, and what to call it with beside the graph.
Slot: TypeAlias = tuple[Callable[..., Any], tuple[Hashable, ...]]


class Output(msgspec.Struct, frozen=True):
    """Resources that no other slot makes; a status without times, None where it is not ours to say; `needs`: the slots
    of resources that these refer to.
    """

    resources: tuple[Resource, ...] = ()
    status: Status | None = None
    findings: tuple[Finding, ...] = ()
    needs: frozenset[Slot] = frozenset()
