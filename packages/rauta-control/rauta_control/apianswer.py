"""An answer of a Kubernetes API server. Pure."""

from __future__ import annotations

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """A response, whole. `retry_after` is in seconds, None where the server names none."""

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def message(self) -> str:
        """What the server says is wrong: the message of its Status object, else the status code."""
        try:
            found = msgspec.json.decode(self.body, type=_Status).message
        except msgspec.MsgspecError:
            found = ""
        return f"{self.status} {found}".rstrip()


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
