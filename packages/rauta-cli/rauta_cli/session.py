"""Session: one run of the program, what its options said, and so how its answer or its error is written.

What is slow to import and not always needed (the HTTP client, msgspec) is imported where it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from rauta_agent_api import DEFAULT_TIMEOUT, DEFAULT_URL
from rauta_agent_api.errors import AgentApiError
from rauta_cli import hints, render
from rauta_cli.arguments import Format
from rauta_cli.hints import Hints

if TYPE_CHECKING:
    from rauta_agent_api.query import GatewayQuery

T = TypeVar("T")

Connect: TypeAlias = Callable[[str, float], "GatewayQuery"]
"""Makes a GatewayQuery of a URL and a timeout in seconds."""


def connect_rest(url: str, timeout: float) -> GatewayQuery:
    """Ask over HTTP."""
    from rauta_agent_api.client import RestClient  # noqa: PLC0415 - needs http.client and msgspec

    return RestClient(url, timeout)


@dataclass(slots=True)
class Session:
    """`program` is what the user called us; the format is a first guess until typer has read the options."""

    program: str
    connect: Connect
    format: Format
    endpoint: str = DEFAULT_URL
    timeout: float = DEFAULT_TIMEOUT
    command: str = ""
    """The command without its arguments; empty until typer has found one."""
    exit_code: int = 0
    """What the program exits with after an answer; a command that judges may change it."""
    asked: str | None = None
    """The endpoint, once it was asked."""

    def begin(self, command_path: str) -> None:
        """Take note of the command typer has found; its path starts with the program's name."""
        self.command = command_path.removeprefix(self.program).strip()

    def gateway(self) -> GatewayQuery:
        """Return the gateway to ask."""
        self.asked = self.endpoint
        return self.connect(self.endpoint, self.timeout)

    def answer(self, data: T, table: Callable[[T], str], advice: Hints, generation: int | None = None) -> str:
        """Return `data` as text in the session's format. An agent is told the configuration's generation, if asked."""
        return table(data) if self.format is Format.TABLE else self._json(data, None, advice, generation)

    def complaint(self, error: AgentApiError) -> str:
        """Return `error` as text in the session's format."""
        if self.format is Format.TABLE:
            return render.error(self.program, error)
        return self._json(None, error, hints.for_error(error), None)

    def _json(self, data: object, error: AgentApiError | None, advice: Hints, generation: int | None) -> str:
        from rauta_cli import agent  # noqa: PLC0415 - needs msgspec

        if self.format is Format.JSON:
            return agent.plain(data, error)
        meta = agent.Meta(
            command=self.command,
            schema=f"rauta/{self.command.replace(' ', '-') or 'error'}/v1",
            generated_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            gateway=self.asked,
            generation=generation,
        )
        return agent.envelope(meta, advice, self._spell, data, error)

    def _spell(self, words: str) -> str:
        """Make words a command line that asks the same gateway and answers in the same format."""
        elsewhere = "" if self.endpoint == DEFAULT_URL else f" --endpoint {quote(self.endpoint)}"
        return f"{self.program} {words} --format agent{elsewhere}"
