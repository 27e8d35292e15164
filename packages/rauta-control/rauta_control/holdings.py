"""What the supervisor keeps so that it outlives each child: sockets, the shared words, the last good snapshot."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TypeAlias

from rauta_control import filelimit, options
from rauta_control.flags import Flag
from rauta_control.handover import ChildState, SocketState, State
from rauta_control.inherit import Role
from rauta_control.listening import Listener, Listeners, bind, why
from rauta_control.routespec import Address
from rauta_control.settings import Settings
from rauta_control.sharedmem import MAGIC, SharedWords

Server: TypeAlias = tuple[Flag, str, Flag, int]  # flag and value of its host, flag and value of its port


class Holdings:
    """Everything kept. `since` are the transactions after `snapshot`, `kept` is what files said before they broke: all
    of them descriptors of sealed memfds.
    """

    def __init__(self, words: SharedWords, admin: Listener, probe: Listener, started: float) -> None:
        self.words = words
        self.admin = admin
        self.probe = probe
        self.started = started  # time.monotonic() of the gateway's start; a re-exec does not change it
        self.listeners = Listeners()
        self.snapshot: int | None = None
        self.since: list[int] = []
        self.kept: int | None = None

    @classmethod
    def open(cls, settings: Settings) -> Holdings | list[str]:
        """Make them at the start of the gateway, or say all that hinders."""
        if (files := filelimit.raised()) < filelimit.LEAST:
            return [
                f"the limit of open files is {files}: expected at least {filelimit.LEAST} (ulimit -n, LimitNOFILE=)"
            ]
        admin = _serve((options.ADMIN_HOST, settings.admin_host, options.ADMIN_PORT, settings.admin_port))
        probe = _serve((options.PROBE_HOST, settings.probe_host, options.PROBE_PORT, settings.probe_port))
        if isinstance(admin, Listener) and isinstance(probe, Listener):
            return cls(SharedWords.create(), admin, probe, time.monotonic())
        for server in (admin, probe):
            if isinstance(server, Listener):
                server.sock.close()
        return [problem for problem in (admin, probe) if isinstance(problem, str)]

    @classmethod
    def adopt(cls, state: State) -> Holdings:
        """Make them from what was held before a re-exec."""
        held = cls(SharedWords(state.words), _listener(state.admin), _listener(state.probe), state.started)
        held.listeners.by_name = {name: _listener(each) for name, each in state.listeners.items()}
        held.snapshot = state.snapshot
        held.since = list(state.since)
        held.kept = state.kept
        return held

    def state(self, pid: int, children: tuple[ChildState, ...]) -> State:
        """Describe them for a re-exec."""
        return State(
            pid=pid,
            started=self.started,
            words=self.words.fd,
            admin=_state(self.admin),
            probe=_state(self.probe),
            listeners={name: _state(listener) for name, listener in self.listeners.by_name.items()},
            children=children,
            snapshot=self.snapshot,
            since=tuple(self.since),
            kept=self.kept,
            layout=MAGIC,
        )

    def outdated(self, settings: Settings) -> list[str]:
        """The settings that differ from what is held and take a restart of the gateway."""
        admin, probe = self.admin.wanted, self.probe.wanted
        wanted: tuple[tuple[Flag, object, object], ...] = (
            (options.ADMIN_HOST, settings.admin_host, admin[0]),
            (options.ADMIN_PORT, settings.admin_port, admin[1]),
            (options.PROBE_HOST, settings.probe_host, probe[0]),
            (options.PROBE_PORT, settings.probe_port, probe[1]),
        )
        return [f"{option.name} {new}" for option, new, held in wanted if new != held]

    def renew(self, snapshot: int) -> None:
        """Keep `snapshot` instead of the last one and of all transactions since it."""
        self._forget()
        self.snapshot = snapshot

    def add(self, transaction: int) -> None:
        """Keep a transaction after the snapshot."""
        self.since.append(transaction)

    def keep(self, documents: int | None) -> None:
        """Keep this instead of what was kept of broken documents."""
        if self.kept is not None:
            os.close(self.kept)
        self.kept = documents

    def leave_to(self, role: Role) -> None:
        """In a child: close what its role does not get."""
        if role != "worker":
            self.listeners.close()
        if role != "control":
            self.admin.sock.close()
            self.probe.sock.close()
            self.keep(None)
        if role == "demo":
            self._forget()

    def _forget(self) -> None:
        for fd in (self.snapshot, *self.since):
            if fd is not None:
                os.close(fd)
        self.snapshot = None
        self.since = []


def _listener(state: SocketState) -> Listener:
    return Listener(state.wanted, socket.socket(fileno=state.fd))


def _state(listener: Listener) -> SocketState:
    return SocketState(listener.sock.fileno(), listener.wanted)


def _serve(server: Server) -> Listener | str:
    host_flag, host, port_flag, port = server
    try:
        return Listener((host, port), bind(host, port))
    except OSError as error:
        flag, value = (host_flag, host) if error.errno == errno.EADDRNOTAVAIL else (port_flag, str(port))
        return (
            f"{flag.name} {value}: cannot listen on {Address(host, port)}: {why(error)}"
            f" (set by {flag.name} or {flag.variable})"
        )
