"""Becoming a new program in place (SIGUSR2): the supervisor executes itself and takes its children and sockets along.

The process stays, and so do its children and its descriptors. What the new program must know travels in a memfd whose
number is in an environment variable. Children do not notice: their channels, with what was queued for them, go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping, Sequence
from typing import NoReturn

import msgspec

from rauta_control import snapshotfd
from rauta_control.channel import Packet
from rauta_control.inherit import Role
from rauta_control.listening import Place
from rauta_control.sharedmem import MAGIC

VARIABLE = "RAUTA_HANDOVER"
VERSION = 1
MEND = "the new program cannot take over from the old one; stop the gateway and start it anew"


class HandoverError(Exception):
    """The state is there but cannot be used: it was made by a version that this one does not understand."""


class SocketState(msgspec.Struct, frozen=True):
    """A listening socket."""

    fd: int
    wanted: Place


class ChildState(msgspec.Struct, frozen=True):
    """A child: running when `pid` is not 0, else waiting for its next start. Times are monotonic seconds."""

    role: Role
    index: int
    deaths: int
    pid: int = 0
    channel: int = -1
    queued: tuple[Packet, ...] = ()
    started: float = 0.0
    doom: tuple[float, str] | None = None
    retiring: bool = False


class State(msgspec.Struct, frozen=True):
    """Everything the supervisor has that is not in its settings; numbers of descriptors are those of process `pid`."""

    pid: int
    started: float
    words: int
    admin: SocketState
    probe: SocketState
    listeners: dict[str, SocketState]
    children: tuple[ChildState, ...]
    snapshot: int | None = None
    since: tuple[int, ...] = ()
    kept: int | None = None
    version: int = VERSION
    layout: int = 0  # of the words, which running workers share with whoever takes over

    def descriptors(self) -> Iterator[int]:
        """All descriptors that must survive the exec."""
        yield self.words
        yield from (sock.fd for sock in (self.admin, self.probe, *self.listeners.values()))
        for child in self.children:
            if child.pid:
                yield child.channel
            yield from (fd for _, fds in child.queued for fd in fds)
        yield from (fd for fd in (self.snapshot, self.kept, *self.since) if fd is not None)


def save(state: State) -> int:
    """Return the descriptor of a memfd with `state`, inheritable."""
    fd = snapshotfd.create("rauta-handover", msgspec.msgpack.encode(state))
    os.set_inheritable(fd, True)
    return fd


def take(environ: MutableMapping[str, str]) -> State | None:
    """Return the state handed to this process, once: the variable and the memfd are gone afterwards.

    None if there is none, or if it belongs to another process (a trial start only has to show that it can read it).
    Raises HandoverError.
    """
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    try:
        fd = int(text)
        state = msgspec.msgpack.decode(snapshotfd.read(fd), type=State)
        os.close(fd)
    except (ValueError, OSError, msgspec.MsgspecError) as error:
        raise HandoverError(f"{VARIABLE}={text}: {error}") from error
    if state.version != VERSION:
        raise HandoverError(f"{VARIABLE}={text}: version {state.version}, expected {VERSION}: {MEND}")
    if state.layout != MAGIC:
        raise HandoverError(f"{VARIABLE}={text}: shared words of layout {state.layout:#x}, not {MAGIC:#x}: {MEND}")
    if state.pid != os.getpid():
        return None
    for number in state.descriptors():
        os.set_inheritable(number, False)
    return state


def attempt(command: Sequence[str], state: State) -> int:
    """Start `command --check`: does the new program run, read the state and accept the settings? Returns its pid."""
    fd = save(state)
    try:
        return os.posix_spawn(
            command[0],
            [*command, "--check"],
            {**os.environ, VARIABLE: str(fd)},
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
            setsigmask=[],
        )
    finally:
        os.close(fd)


def become(command: Sequence[str], state: State) -> NoReturn:
    """Execute `command` in place of this program. Raises OSError if that fails; everything is then as before.

    Signals are the caller's to hold back until the next program is there for them.
    """
    numbers = list(state.descriptors())
    fd = save(state)
    try:
        for number in numbers:
            os.set_inheritable(number, True)
        os.execve(command[0], list(command), {**os.environ, VARIABLE: str(fd)})  # noqa: S606 - no shell
    except OSError:
        os.close(fd)
        for number in numbers:
            os.set_inheritable(number, False)
        raise
