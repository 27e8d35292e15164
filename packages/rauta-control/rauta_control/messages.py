"""What the processes say to each other, as types. Pure: channel.py and publish.py carry them.

Two kinds of link, both made by the supervisor as socket pairs, so no name in a file system and no stranger can join:

* supervisor <-> child (SOCK_SEQPACKET, a message a packet, file descriptors beside it): sockets, snapshots, signals.
* control <-> worker (SOCK_STREAM, frames of a 4-byte big-endian length and msgpack): configuration and its acks.
  Whenever a worker or control starts, the supervisor hands each side an end of a new pair.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from rauta_control.limits import Limits

PROTOCOL_VERSION = 2


# -- supervisor -> worker


class Listen(msgspec.Struct, frozen=True, tag="listen"):
    """A listening socket (fd 0) for the listener of this name; accepted on once the table knows the listener too."""

    listener: str


class Unlisten(msgspec.Struct, frozen=True, tag="unlisten"):
    """Stop accepting for this listener and close the socket; its connections go on."""

    listener: str


class ControlLink(msgspec.Struct, frozen=True, tag="control-link"):
    """A new link to control (fd 0), replacing any older one."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Finish within `timeout` seconds: close idle connections, answer the rest with `Connection: close`, exit 0."""

    timeout: float


class Retune(msgspec.Struct, frozen=True, tag="retune"):
    """Settings for what begins from now on. Limits that workers share are still those of all of them."""

    limits: Limits
    workers: int
    trusted_proxies: tuple[str, ...]
    via: str
    access_log: str


# -- supervisor -> control


class WorkerLink(msgspec.Struct, frozen=True, tag="worker-link"):
    """A new link (fd 0) to worker `index`, whose process is `pid`; it replaces any older link to that index."""

    index: int
    pid: int


class WorkerGone(msgspec.Struct, frozen=True, tag="worker-gone"):
    """Worker `index` ended; `reason` says how ("signal 9", "exit 1", "hung for 5.2 s")."""

    index: int
    pid: int
    reason: str


class Bound(msgspec.Struct, frozen=True, tag="bound"):
    """The outcome of binding a listener: the real address and port, or the `error` that says why not."""

    listener: str
    address: str
    port: int
    error: str = ""


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """SIGHUP: read the configuration sources again."""


class Draining(msgspec.Struct, frozen=True, tag="draining"):
    """The gateway is stopping: readiness turns false now."""


# -- control -> supervisor


class Bind(msgspec.Struct, frozen=True, tag="bind"):
    """The listeners that should exist now: name -> (address, port).

    Missing ones are bound and answered by Bound, others closed.
    """

    listeners: dict[str, tuple[str, int]]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The whole state at `generation` (fd 0: a sealed memfd), in place of the last snapshot and what came since."""

    generation: int


class Since(msgspec.Struct, frozen=True, tag="since"):
    """One transaction (fd 0: a sealed memfd holding frames of Publish) to be applied after the snapshot."""

    generation: int


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """What files last said before they broke (fd 0: a sealed memfd, see keepsake.py), for the control after this one.

    In place of what was kept before.
    """


ToWorker: TypeAlias = Listen | Unlisten | ControlLink | Drain | Retune
ToControl: TypeAlias = WorkerLink | WorkerGone | Bound | Reload | Draining
ToSupervisor: TypeAlias = Bind | Snapshot | Since | Keep


# -- control -> worker


class Publish(msgspec.Struct, frozen=True, tag="publish"):
    """Configuration `generation`. `base` is the generation it applies to, or -1 when it replaces everything.

    `upserts` maps resource keys to msgpack-encoded ir.Resource (encoded once for all workers); `digest` is what the
    worker's state must add up to afterwards (state.py), else it asks for everything again. A large one comes in parts
    (parts.py).
    """

    version: int
    generation: int
    base: int
    digest: int
    upserts: dict[str, bytes]
    deletes: tuple[str, ...] = ()
    more: bool = False


# -- worker -> control


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First frame of a worker on a link: what it serves now (generation -1: nothing yet)."""

    version: int
    index: int
    pid: int
    generation: int
    digest: int


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Every new request is decided by `generation` from now on."""

    generation: int
    digest: int


class Nack(msgspec.Struct, frozen=True, tag="nack"):
    """`generation` was not applied and the older one still serves; control answers with everything (base -1)."""

    generation: int
    reason: str


FromWorker: TypeAlias = Hello | Ack | Nack
