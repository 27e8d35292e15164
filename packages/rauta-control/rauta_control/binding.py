"""Has the supervisor bind what listeners want, and keeps what came of it.

A listener that could not be bound is tried again every BIND_RETRY seconds: whoever has its address may let go of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from rauta_control.channel import Channel, ChannelFullError
from rauta_control.ir import Listener
from rauta_control.log import Log
from rauta_control.messages import Bind, Bound, ToControl

BIND_RETRY = 10.0  # seconds until listeners that could not be bound are tried again
ASK_RETRY = 0.5  # seconds until the supervisor, which did not read, is asked again
TOO_MANY = "the gateway has more listeners than it can bind"


class Binding:
    """The sockets of listeners. `before` is what the supervisor said to a former control, by listener."""

    def __init__(self, channel: Channel[ToControl], before: Iterable[Bound], log: Log) -> None:
        self._channel = channel
        self._log = log
        self._wanted: dict[str, tuple[str, int]] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._bound = {bound.listener: bound for bound in before}

    @property
    def bound(self) -> Mapping[str, Bound]:
        """The answers so far for what is wanted, by listener. It is replaced when one comes, never changed."""
        return self._bound

    @property
    def complete(self) -> bool:
        """Whether every listener was bound, or refused."""
        return self._wanted.keys() <= self._bound.keys()

    def want(self, listeners: Iterable[Listener]) -> None:
        """These are all listeners now. The supervisor answers for each that it did not have already."""
        wanted = {listener.name: (listener.address, listener.port) for listener in listeners}
        if wanted != self._wanted:
            self._wanted = wanted
            self._bound = {name: bound for name, bound in self._bound.items() if name in wanted}
            self._ask()

    def take(self, bound: Bound) -> bool:
        """Take an answer; return whether it is about a listener that is still wanted."""
        if bound.listener not in self._wanted:
            return False
        self._bound = self._bound | {bound.listener: bound}
        if bound.error and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(BIND_RETRY, self._ask)
        return True

    def _ask(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        try:
            self._channel.send(Bind(self._wanted))
        except ChannelFullError as error:
            self._log.error("the supervisor does not read", error=error, again_in=ASK_RETRY)
            self._retry = asyncio.get_running_loop().call_later(ASK_RETRY, self._ask)
        except ValueError as error:  # too long for a message: who has many Gateways must not end control for all
            self._log.error("more listeners than the supervisor can be told of", count=len(self._wanted), error=error)
            refused = {name: Bound(name, *where, TOO_MANY) for name, where in self._wanted.items()}
            self._bound = refused | self._bound
