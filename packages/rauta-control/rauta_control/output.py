"""What translation makes of one object: its part of the IR, its status and what was found in it. Pure."""

from __future__ import annotations

import msgspec

from rauta_control.condition import Status
from rauta_control.finding import Finding
from rauta_control.ir import Resource
from rauta_control.world import Key


class Output(msgspec.Struct, frozen=True):
    """Resources no other object makes; a status without times, None where it is not ours to say; `uses`: the Secrets and
    ConfigMaps whose contents the resources need.
    """

    resources: tuple[Resource, ...] = ()
    status: Status | None = None
    findings: tuple[Finding, ...] = ()
    uses: tuple[Key, ...] = ()
