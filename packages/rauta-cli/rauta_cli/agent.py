"""The answer as JSON: bare for programs, in an envelope that explains itself for agents.

Pure: the clock is an argument. The envelope has the same keys in the same order for every answer and for every error.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rauta_agent_api.errors import AgentApiError
from rauta_cli import __version__
from rauta_cli.hints import Action, Hints


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer comes from."""

    tool: str = "rauta"
    version: str = __version__
    """The version of this program; `rauta status` tells the gateway's."""
    command: str
    """The command without its arguments, such as `routes list`; empty if there was none."""
    schema: str
    """The shape of `data`, such as `rauta/routes-list/v1`; the number grows when a field goes or changes."""
    generated_at: str
    """RFC 3339, UTC."""
    gateway: str | None
    """The endpoint asked; null when none was."""
    generation: int | None
    """The gateway's configuration at that time; null when it was not asked."""
    truncated: bool = False
    """Whether `data` leaves something out."""


def envelope(meta: Meta, hints: Hints, spell: Callable[[str], str], data: object, error: AgentApiError | None) -> str:
    """One line of JSON: `_meta`, `_hints`, `data`, `error`. `spell` makes a suggestion's words a command line."""
    actions = [Action(spell(action.cmd), action.why, action.risk) for action in hints.actions]
    answer = {
        "_meta": meta,
        "_hints": {
            "summary": hints.summary,
            "urgent": hints.urgent,
            "actions": actions,
            "next": actions[0].cmd if actions else None,
        },
        "data": data,
        "error": _members(error),
    }
    return msgspec.json.encode(answer).decode()


def plain(data: object, error: AgentApiError | None) -> str:
    """`data` alone, indented; where there is an error instead, an object with the one member `error`."""
    answer = data if error is None else {"error": _members(error)}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def _members(error: AgentApiError | None) -> dict[str, str] | None:
    return {"code": error.code, "message": error.message, "fix": error.fix} if error else None
