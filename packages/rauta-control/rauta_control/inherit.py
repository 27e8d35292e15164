"""What a child process is born with: made by the supervisor just before the fork, so nothing of it is ever sent.

Everything in it is the child's own to close. What else the supervisor holds was closed before the child's code runs.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rauta_control.messages import Bound
from rauta_control.settings import Settings
from rauta_control.sharedmem import SharedWords

Role: TypeAlias = Literal["worker", "control", "demo"]


@dataclass(frozen=True, slots=True)
class Inherited:
    """The inheritance of one child."""

    role: Role
    index: int  # of a worker, else 0
    settings: Settings  # the last ones that were valid
    words: SharedWords
    channel: socket.socket  # SOCK_SEQPACKET to the supervisor; its end of file means that the supervisor is gone
    listeners: dict[str, socket.socket]  # worker: bound listeners by name; control: empty (it learns by `bound`)
    bound: tuple[Bound, ...]  # control: what is bound already
    admin: tuple[socket.socket, ...]  # control: listening sockets of the admin server
    probe: tuple[socket.socket, ...]  # control: listening sockets of the probe server
    snapshot: int | None  # sealed memfd of a msgpack Publish with base -1; None before control made the first
    since: tuple[int, ...]  # sealed memfds of a msgpack Publish each, to be applied to the snapshot in this order
    workers: tuple[tuple[int, int, socket.socket], ...]  # control: (index, pid, link) of the workers alive now
    link: socket.socket | None  # worker: its link to control, if control lives; later ones come as ControlLink
    started: float  # time.monotonic() at which the gateway started
    kept: int | None = None  # control: sealed memfd of what files last said before they broke (keepsake.py)


# What a role runs: returns the exit code. It sets up its own loop and ends when the channel does.
Run: TypeAlias = Callable[[Inherited], int]
