"""The child processes: starts them, talks to them, notices their end and starts them again.

What is decided about them is in children.py; here are the forks, the channels and the signals. Nothing here waits.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from rauta_control import process
from rauta_control.channel import Channel, ChannelClosedError, ChannelError, ChannelFullError, Message, supervisor_end
from rauta_control.children import CrashBackoff, HangDetector, Patience, Pulse, ending
from rauta_control.handover import ChildState
from rauta_control.holdings import Holdings
from rauta_control.inherit import Inherited, Role, Run
from rauta_control.log import Log
from rauta_control.messages import ControlLink, Drain, ToControl, ToSupervisor, WorkerGone, WorkerLink
from rauta_control.settings import Settings
from rauta_control.sharedmem import CONTROL_HEARTBEAT, Vital, worker_base

CONTROL_NICENESS = 5  # workers go first: configuration may wait, requests may not

Received: TypeAlias = Callable[[ToSupervisor, tuple[int, ...]], None]


@dataclass(slots=True, eq=False)
class Child:
    """A place for a process, and the process that has it now: there is one while `pid` is not 0."""

    role: Role
    index: int = 0
    backoff: CrashBackoff = field(default_factory=CrashBackoff)
    due: float | None = None  # when to start the next process
    retiring: bool = False  # no other process follows this one
    # -- of the process
    pid: int = 0
    channel: Channel[ToSupervisor] | None = None
    started: float = 0.0
    doom: tuple[float, str] | None = None  # when to kill it and why, unless it ends before
    verdict: str = ""  # why it was killed

    @property
    def name(self) -> str:
        """As in the log: `control`, `worker-0`."""
        return f"worker-{self.index}" if self.role == "worker" else self.role


@dataclass(slots=True)
class _Link:
    """A pair between control and a worker; one of the two is about to be born, the other is its peer."""

    peer: Child
    for_peer: socket.socket
    for_child: socket.socket


class Fleet:
    """All children. `received` gets the messages of control; nobody else has anything to tell the supervisor.

    `disown` runs in each child and closes what the supervisor holds besides its channels and `holdings`.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Mapping[Role, Run],
        holdings: Holdings,
        selector: selectors.BaseSelector,
        *,
        patience: Patience,
        log: Log,
        received: Received,
        disown: Callable[[], None],
    ) -> None:
        self.settings = settings  # for children to come
        self.children: list[Child] = []
        self.standing: list[ToControl] = []  # told to every control that starts
        self._respawn = True
        self._roles = roles
        self._holdings = holdings
        self._selector = selector
        self._patience = patience
        self._log = log
        self._received = received
        self._disown = disown
        self._detector = HangDetector(time.monotonic(), patience)

    # -- who is there

    def alive(self, *roles: Role) -> list[Child]:
        """The children with a running process, of these roles or all."""
        return [child for child in self.children if child.pid and (not roles or child.role in roles)]

    def fit(self, now: float) -> None:
        """Have one control, a demo if there is such a role, and as many workers as the settings say."""
        wanted: list[tuple[Role, int]] = [("demo", 0)] if "demo" in self._roles else []
        wanted += [("control", 0), *(("worker", index) for index in range(self.settings.workers))]
        for child in list(self.children):
            if (child.role, child.index) not in wanted:
                self._retire(child, now)
        present = {(child.role, child.index): child for child in self.children}
        for role, index in wanted:
            if (role, index) in present:
                present[role, index].retiring = False
            else:
                self.children.append(Child(role, index, due=now))

    def adopt(self, state: ChildState, now: float) -> None:
        """Take over a child from before a re-exec."""
        child = Child(
            state.role, state.index, CrashBackoff(state.deaths), retiring=state.retiring, started=state.started
        )
        self.children.append(child)
        if not state.pid:
            child.due = now
            return
        child.pid = state.pid
        child.doom = state.doom
        self._open(child, socket.socket(fileno=state.channel)).requeue(state.queued)

    def state(self) -> tuple[ChildState, ...]:
        """Describe all children for a re-exec."""
        return tuple(
            ChildState(
                child.role,
                child.index,
                child.backoff.deaths,
                child.pid,
                child.channel.fileno() if child.channel else -1,
                tuple(child.channel.queued()) if child.channel else (),
                child.started,
                child.doom,
                child.retiring,
            )
            for child in self.children
        )

    # -- talking

    def tell(self, child: Child, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message; a child that does not read its messages is of no use and is replaced."""
        if child.channel is None:
            return
        try:
            child.channel.send(message, fds)
        except (ChannelFullError, OSError) as error:
            self._kill(child, f"cannot be told anything: {error}")

    def tell_all(self, role: Role, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message to all children of a role."""
        for child in self.alive(role):
            self.tell(child, message, fds)

    def _open(self, child: Child, sock: socket.socket) -> Channel[ToSupervisor]:
        ready = partial(self._ready, child)

        def blocked(is_blocked: bool) -> None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if is_blocked else 0)
            with suppress(KeyError):  # it closed its end, and nobody waits for it any more
                self._selector.modify(channel, events, ready)

        channel = child.channel = supervisor_end(sock)
        channel.on_blocked = blocked
        self._selector.register(channel, selectors.EVENT_READ, ready)
        return channel

    def _ready(self, child: Child, events: int) -> None:
        if child.channel is not None and events & selectors.EVENT_WRITE:
            try:
                child.channel.flush()
            except OSError as error:
                self._kill(child, f"cannot be told anything: {error}")
        if events & selectors.EVENT_READ:
            self._read(child)

    def _read(self, child: Child) -> bool:
        """Take what a child sent, a batch of it; return whether there may be more."""
        if child.channel is None:
            return False
        try:
            packets = child.channel.receive()
        except ChannelClosedError:
            self._unregister(child.channel)
            child.doom = child.doom or (time.monotonic() + self._patience.overtime, "closed its channel")
            return False
        except (ChannelError, OSError) as error:
            self._kill(child, str(error))
            return False
        for message, fds in packets:
            if child.role == "control":
                self._received(message, fds)
            else:  # workers face strangers: whatever one of them has become, it gives no orders
                for fd in fds:
                    os.close(fd)
                self._kill(child, f"sent {type(message).__name__}")
        return bool(packets)

    def _hang_up(self, child: Child) -> None:
        if child.channel is not None:
            self._unregister(child.channel)
            child.channel.close()
            child.channel = None

    def _unregister(self, channel: Channel[ToSupervisor]) -> None:
        with suppress(KeyError):  # done already: the child closed its end before it ended
            self._selector.unregister(channel)

    # -- birth

    def start_due(self, now: float) -> None:
        """Start every child whose time has come."""
        for child in self.children:
            if child.due is not None and now >= child.due:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        child.due, child.doom, child.verdict = None, None, ""
        with ExitStack() as ends:
            try:
                ours, theirs = _pair(ends, socket.SOCK_SEQPACKET)
                links = self._links(child, ends)
                live = partial(self._live, child, ours, theirs, links)
                pid = process.fork(child.name, self.settings.log, live)
            except OSError as error:  # out of memory, descriptors or processes
                child.due = now + child.backoff.after(0.0, self._patience)
                self._log.error("cannot start", child=child.name, error=error, again_in=child.due - now)
                return
            child.pid, child.started = pid, now
            self._open(child, socket.socket(fileno=ours.detach()))  # detached, it is not closed with the other ends
            self._log.info("started", child=child.name, pid=pid)
            for link in links:
                told = WorkerLink(child.index, pid) if child.role == "worker" else ControlLink()
                self.tell(link.peer, told, [link.for_peer.fileno()])
            if child.role == "control":
                for message in self.standing:
                    self.tell(child, message)

    def _links(self, child: Child, ends: ExitStack) -> list[_Link]:
        """New pairs between a child to be born and those it works with: a worker with control, control with workers."""
        peers = {"worker": self.alive("control"), "control": self.alive("worker")}.get(child.role, [])
        return [_Link(peer, *_pair(ends, socket.SOCK_STREAM)) for peer in peers]

    def _live(self, child: Child, ours: socket.socket, theirs: socket.socket, links: list[_Link]) -> int:
        """In the child: let go of everything that is not its own, then be what it is to be.

        A copy of somebody else's channel held here would keep the others from noticing that the supervisor is gone.
        """
        self._disown()
        ours.close()
        for link in links:
            link.for_peer.close()
        for other in self.children:
            if other.channel is not None:
                other.channel.close()
        inherited = self._inherited(child, theirs, links)
        self._holdings.leave_to(child.role)
        if child.role == "control":
            os.nice(CONTROL_NICENESS)
        return self._roles[child.role](inherited)

    def _inherited(self, child: Child, channel: socket.socket, links: list[_Link]) -> Inherited:
        held = self._holdings
        control, worker, demo = (child.role == role for role in ("control", "worker", "demo"))
        return Inherited(
            role=child.role,
            index=child.index,
            settings=self.settings,
            words=held.words,
            channel=channel,
            listeners=held.listeners.sockets() if worker else {},
            bound=held.listeners.bound() if control else (),
            admin=(held.admin.sock,) if control else (),
            probe=(held.probe.sock,) if control else (),
            snapshot=None if demo else held.snapshot,
            since=() if demo else tuple(held.since),
            workers=tuple((link.peer.index, link.peer.pid, link.for_child) for link in links) if control else (),
            link=links[0].for_child if links and worker else None,
            started=held.started,
            kept=held.kept if control else None,
        )

    # -- death

    def ended(self, pid: int, status: int, now: float) -> bool:
        """Process `pid` is gone, says waitpid with `status`. Returns False if it was none of the children."""
        child = next((child for child in self.children if child.pid == pid), None)
        if child is None:
            return False
        child.pid = 0  # nobody kills it any more, whatever its last words are: the number may be another's by now
        while self._read(child):
            pass
        self._hang_up(child)
        reason = child.verdict or ending(os.waitstatus_to_exitcode(status))
        lived = now - child.started
        if child.retiring:
            self.children.remove(child)
        elif self._respawn:
            child.due = now + child.backoff.after(lived, self._patience)
        again_in = None if child.due is None else child.due - now
        note = self._log.warn if self._respawn and not child.retiring else self._log.info
        note("ended", child=child.name, pid=pid, reason=reason, lived=lived, again_in=again_in)
        if child.role == "worker":
            self._holdings.words.clear_process_words(child.index)
            self.tell_all("control", WorkerGone(child.index, pid, reason))
        elif child.role == "control":
            self._holdings.words.words[CONTROL_HEARTBEAT] = 0
        return True

    def check(self, now: float) -> None:
        """Find children that hang and kill them. A demo has no heartbeat."""
        judged = {child.name: child for child in self.alive("control", "worker") if not child.verdict}
        pulses = [
            Pulse(name, child.started, self._beat(child), control=child.role == "control")
            for name, child in judged.items()
        ]
        for name, reason in self._detector.hung(now, pulses).items():
            self._kill(judged[name], reason)

    def _beat(self, child: Child) -> float:
        """When a child last turned its loop; 0 if it did not yet."""
        word = CONTROL_HEARTBEAT if child.role == "control" else worker_base(child.index) + Vital.HEARTBEAT
        return float(self._holdings.words.words[word] / 1e9)

    def kill_doomed(self, now: float) -> None:
        """Kill those who had their time."""
        for child in self.alive():
            if child.doom is not None and now >= child.doom[0]:
                self._kill(child, child.doom[1])

    def kill_all(self) -> None:
        """Kill everybody now."""
        for child in self.alive():
            self._kill(child, "the gateway stops at once")

    def _kill(self, child: Child, reason: str) -> None:
        if child.pid and not child.verdict:
            child.verdict = reason
            os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so the pid is still its own

    def deadlines(self) -> Iterator[float]:
        """When `start_due` or `kill_doomed` have something to do."""
        for child in self.children:
            if child.due is not None:
                yield child.due
            if child.pid and child.doom is not None and not child.verdict:
                yield child.doom[0]

    # -- the end

    def drain(self, now: float, timeout: float) -> None:
        """Let the workers finish within `timeout` seconds. From now on nobody is started again."""
        self._respawn = False
        for child in self.children:
            child.due = None
        for worker in self.alive("worker"):
            self._drain(worker, now, timeout)

    def farewell(self, now: float) -> None:
        """End those that are left, by closing their channels."""
        for child in self.alive():
            self._hang_up(child)
            child.doom = (now + self._patience.farewell, "did not end")

    def _retire(self, child: Child, now: float) -> None:
        if child.retiring:
            return
        child.retiring = True
        if child.pid:
            self._drain(child, now, self.settings.drain_timeout)
        else:
            self.children.remove(child)

    def _drain(self, worker: Child, now: float, timeout: float) -> None:
        worker.doom = (now + timeout + self._patience.overtime, f"did not drain in {timeout:g} s")
        self.tell(worker, Drain(timeout))


def _pair(ends: ExitStack, kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    ends.callback(one.close)
    ends.callback(other.close)
    return one, other
