"""Binding: asks once for what changed, forgets answers about what is not wanted, and asks again for what failed."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from rauta_control import binding
from rauta_control.binding import Binding
from rauta_control.channel import Channel, ChannelFullError, encode
from rauta_control.ir import Listener
from rauta_control.log import Log
from rauta_control.messages import Bind, Bound, ToControl

LOG = Log("control", "error")


class Asked:
    """In the place of the channel: the listeners that each message asked for."""

    def __init__(self) -> None:
        self.names: list[list[str]] = []

    def send(self, message: Bind) -> None:
        self.names.append(sorted(message.listeners))


def of(asked: Asked, *before: Bound) -> Binding:
    return Binding(cast("Channel[ToControl]", asked), before, LOG)


def listeners(*names: str) -> list[Listener]:
    return [Listener(name, "127.0.0.1", 80, 80) for name in names]


def answer(name: str, error: str = "") -> Bound:
    return Bound(name, "127.0.0.1", 80, error)


def test_what_a_former_control_was_answered_counts_for_what_is_still_wanted() -> None:
    asked = Asked()
    sockets = of(asked, answer("a"), answer("b"))
    sockets.want(listeners("a", "c"))
    assert (set(sockets.bound), sockets.complete) == ({"a"}, False)
    assert not sockets.take(answer("b")), "it is not wanted any more"
    assert sockets.take(answer("c"))
    assert (set(sockets.bound), sockets.complete) == ({"a", "c"}, True)
    sockets.want(listeners("c", "a"))
    assert asked.names == [["a", "c"]], "nothing changed, so nothing is asked"


def test_a_supervisor_that_does_not_read_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(binding, "ASK_RETRY", 0.0)

    class Full(Asked):
        left = 2

        def send(self, message: Bind) -> None:
            if self.left:
                self.left -= 1
                raise ChannelFullError("4096 messages wait to be read")
            super().send(message)

    async def main() -> None:
        asked = Full()
        sockets = of(asked)
        sockets.want(listeners("a"))
        while not asked.names:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert asked.names == [["a"]]

    asyncio.run(main())
    assert capfd.readouterr().err.count("the supervisor does not read") == 2


def test_more_listeners_than_fit_into_a_message_are_refused_and_those_before_stay() -> None:
    class Encoding(Asked):
        def send(self, message: Bind) -> None:
            encode(message)
            super().send(message)

    sockets = of(asked := Encoding())
    sockets.want(listeners("a"))
    sockets.take(answer("a"))
    sockets.want(listeners("a", *(f"{number:0200}" for number in range(1_000))))
    assert sockets.complete
    refused = {name for name, bound in sockets.bound.items() if "more listeners" in bound.error}
    assert len(refused) == 1_000
    assert not sockets.bound["a"].error
    sockets.want(listeners("a", "b"))
    assert asked.names == [["a"], ["a", "b"]]


def test_a_listener_that_was_refused_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "BIND_RETRY", 0.0)

    async def main() -> None:
        asked = Asked()
        sockets = of(asked)
        sockets.want(listeners("a", "b"))
        sockets.take(answer("a", "address already in use"))
        sockets.take(answer("b", "address already in use"))
        assert sockets.complete, "it was refused: whoever waits need not wait longer"
        while len(asked.names) < 2:
            await asyncio.sleep(0)
        sockets.take(answer("a"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert asked.names == [["a", "b"], ["a", "b"]], "once for both, and no more"

    asyncio.run(main())
