"""What is kept of TLS contexts, and for how long."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import weakref

import pytest

from rauta_control import ir, tlscontext
from rauta_control.pki_test import authority_pem
from rauta_control.tlscontext import LIFETIME, RETRY, Client, Contexts, build

GOOD = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
# Files need not end with a line.
AUTHORITIES = tuple(ir.Secret(name, authority_pem(name).rstrip()) for name in ("One CA", "Other CA"))


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


def fresh(*_: object) -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_those_that_were_not_used_for_longest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())

        async def get(name: str) -> ssl.SSLContext:
            return await contexts.get((secrets[name],), (), "none", 0.0)

        secrets = {name: ir.Secret(name, b"") for name in "abcd"}
        made = {name: await get(name) for name in "abc"}
        assert await get("a") is made["a"]  # so it is `b` that goes
        await get("d")
        assert len(contexts) == 3
        assert await get("a") is made["a"]
        assert await get("c") is made["c"]
        assert await get("b") is not made["b"]
        assert len(contexts) == 3

    monkeypatch.setattr(tlscontext, "build", fresh)
    monkeypatch.setattr(tlscontext, "MAX_CONTEXTS", 3)
    asyncio.run(scenario())


def test_another_secret_of_the_same_name_has_a_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        old, new = ir.Secret("s", b""), ir.Secret("s", b"")
        first = await contexts.get((old,), (), "none", 0.0)
        assert await contexts.get((old,), (), "none", 0.0) is first
        assert await contexts.get((new,), (), "none", 0.0) is not first
        required = await contexts.get((new,), (old,), "required", 0.0)
        assert await contexts.get((new,), (old,), "required", 0.0) is required
        assert await contexts.get((new,), (new,), "required", 0.0) is not required
        assert len(contexts) == 2

    monkeypatch.setattr(tlscontext, "build", fresh)
    asyncio.run(scenario())


def test_a_failure_says_nothing_of_the_secret_that_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next handshake would make another context, for nothing."""
    bad, good = ir.Secret("s", b"bad"), ir.Secret("s", b"good")

    def build(certificates: tuple[ir.Secret, ...], *_: object) -> ssl.SSLContext:
        if certificates[0] is bad:
            raise OSError(24, "Too many open files")
        return fresh()

    async def scenario() -> None:
        contexts = Contexts(asyncio.get_running_loop())
        failed, made = await asyncio.gather(
            contexts.get((bad,), (), "none", 0.0), contexts.get((good,), (), "none", 0.0), return_exceptions=True
        )
        assert isinstance(failed, ValueError)
        assert await contexts.get((good,), (), "none", LIFETIME - 1) is made

    monkeypatch.setattr(tlscontext, "build", build)
    asyncio.run(scenario())


@pytest.mark.parametrize("client", ["none", "optional", "required"])
def test_what_is_spoken(client: Client) -> None:
    context = build((), (), "none") if client == "none" else build((), AUTHORITIES, client)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert ":".join(old) == tlscontext.CIPHERS
    required = client == "required"
    assert (context.verify_mode == ssl.CERT_REQUIRED) is required
    assert len(context.get_ca_certs()) == (2 if required else 0)
    assert bool(context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN) is required


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
