"""What is kept of TLS contexts, and for how long."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from rauta_control import ir, tlscontext
from rauta_control.tlscontext import LIFETIME, RETRY, Contexts

GOOD = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_a_failure_is_no_verdict_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been for want of a descriptor; but a bad key is not tried again for each handshake."""
    tries = iter((OSError(24, "Too many open files"), GOOD))

    def build(*_: object) -> ssl.SSLContext:
        made = next(tries)
        if isinstance(made, OSError):
            raise made
        return made

    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        secret = ir.Secret("s", b"")
        for now in (0.0, 0.0, RETRY - 1):
            with pytest.raises(OSError, match="Too many"):
                await contexts.get((secret,), (), "none", now)
        for now in (RETRY, LIFETIME):
            assert await contexts.get((secret,), (), "none", now) is GOOD

    monkeypatch.setattr(tlscontext, "build", build)
    asyncio.run(scenario())
