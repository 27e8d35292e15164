"""What is kept of TLS contexts, and for how long."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import weakref

import pytest

from rauta_control import ir, tlscontext
from rauta_control.tlscontext import LIFETIME, RETRY, Contexts

GOOD = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


@pytest.mark.parametrize(
    ("error", "said"), [(OSError(24, "Too many open files"), "Too many"), (MemoryError(), "MemoryError")]
)
def test_a_failure_is_no_verdict_for_a_day(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    """It may have been for want of a descriptor; but a bad key is not tried again for each handshake."""
    tries = iter((error, GOOD))

    def build(*_: object) -> ssl.SSLContext:
        made = next(tries)
        if isinstance(made, Exception):
            raise made
        return made

    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        secret = ir.Secret("s", b"")
        for now in (0.0, 0.0, RETRY - 1):
            with pytest.raises(ValueError, match=said):
                await contexts.get((secret,), (), "none", now)
        for now in (RETRY, LIFETIME):
            assert await contexts.get((secret,), (), "none", now) is GOOD

    monkeypatch.setattr(tlscontext, "build", build)
    asyncio.run(scenario())


def test_no_thread_for_it_is_a_failure_of_the_handshake_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other: what `get` does not say would leave the connection open for ever."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", start)
            with pytest.raises(ValueError, match="thread"):
                await contexts.get((), (), "none", 0.0)
        assert isinstance(await contexts.get((), (), "none", 0.0), ssl.SSLContext)

    asyncio.run(scenario())


def test_a_failure_holds_nothing_of_the_handshakes_that_met_it() -> None:
    """A change of the configuration freezes what there is: a cycle with a handshake's frame would keep its table."""

    class Held:
        """What a handshake holds, down to the resources of the table by which it began."""

    async def handshake(contexts: Contexts, secret: ir.Secret) -> weakref.ref[Held]:
        held = Held()
        try:  # without pytest, which holds what was raised
            await contexts.get((secret,), (), "none", 0.0)
        except ValueError:
            return weakref.ref(held)
        pytest.fail("taken")

    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        secret = ir.Secret("s", b"no certificate")
        held = [await handshake(contexts, secret) for _ in range(3)]
        assert [each() for each in held] == [None] * 3

    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
