"""The commands that need no gateway: they borrow the gateway's own translation, if rauta-control is installed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from rauta_agent_api.errors import AgentApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rauta_agent_api.explanation import Explanation
    from rauta_agent_api.meaning import Meaning
    from rauta_agent_api.snapshot import ValidationSnapshot

MODULE = "rauta_control.offline"
_INSTALL = "install it beside rauta, from the same clone: pip install ./packages/rauta-common ./packages/rauta-control"


class Offline(Protocol):
    """What rauta_control.offline offers. Paths are of a file or folder; all raise `not_found` for what is not there."""

    def validate(self, path: str, gateway_class: str) -> ValidationSnapshot:
        """Judge manifests."""
        ...

    def translate(self, path: str, gateway_class: str) -> dict[str, object]:
        """Return what the data plane would be told, statuses and findings, as plain data."""
        ...

    def explain(
        self, path: str, gateway_class: str, method: str, url: str, headers: Sequence[str] = (), listener: str = ""
    ) -> Explanation:
        """Explain what a request would get; raises as GatewayQuery."""
        ...

    def explain_code(self, code: str) -> list[Meaning]:
        """Explain the code of a finding or a reason; raises `usage` for what is none."""
        ...

    def readable(self, translation: dict[str, object]) -> str:
        """Return that as YAML."""
        ...


def load() -> Offline:
    """Return the implementation. Raises `failure`, with the mend, if it is not installed."""
    try:
        return cast("Offline", importlib.import_module(MODULE))
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("rauta_control"):
            raise
        raise AgentApiError("failure", "this needs rauta-control, which is not installed", _INSTALL) from error
