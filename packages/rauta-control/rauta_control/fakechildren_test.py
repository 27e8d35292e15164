"""A gateway with fake children, run as a program by supervisor_test.py. There are no tests in here.

The children write what happens to them to the file named by EVENTS, a JSON object a line. They obey orders: a test
sends one, a line of JSON, to the admin socket; control carries it out or passes it to a worker over the link to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from rauta_control import channel, handover, messages, snapshotfd
from rauta_control.children import Patience
from rauta_control.heartbeat import Heartbeat
from rauta_control.inherit import Inherited, Role, Run
from rauta_control.settings import Settings, parse
from rauta_control.sharedmem import Vital, worker_base
from rauta_control.supervisor import Supervisor

EVENTS = os.environ.get("EVENTS", "")
BEAT = 0.02  # seconds


def note(inherited: Inherited, event: str, **details: object) -> None:
    """Append one event; a single write to a file opened for appending does not mix with those of others."""
    name = f"worker-{inherited.index}" if inherited.role == "worker" else inherited.role
    data = {"child": name, "pid": os.getpid(), "event": event, "at": time.monotonic(), **details}
    fd = os.open(EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, json.dumps(data).encode() + b"\n")
    os.close(fd)


def open_descriptors() -> dict[str, str]:
    """What this process holds besides 0-2, by number."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # that of the listing
            continue
    return {fd: name for fd, name in found.items() if int(fd) > 2}


def note_birth(inherited: Inherited) -> None:
    owned = [inherited.channel, *inherited.listeners.values(), *inherited.admin, *inherited.probe]
    owned += [link for _, _, link in inherited.workers]
    owned += [inherited.link] if inherited.link else []
    numbers = [sock.fileno() for sock in owned] + [inherited.words.fd, *inherited.since]
    numbers += [fd for fd in (inherited.snapshot, inherited.kept) if fd is not None]
    note(
        inherited,
        "born",
        held=open_descriptors(),
        owned=sorted(str(number) for number in numbers),
        comm=open("/proc/self/comm").read().strip(),  # noqa: SIM115
        nice=os.nice(0),
        listeners=sorted(inherited.listeners),
        bound=[msgspec.to_builtins(bound) for bound in inherited.bound],
        snapshot=None if inherited.snapshot is None else snapshotfd.read(inherited.snapshot).decode(),
        since=[snapshotfd.read(fd).decode() for fd in inherited.since],
        kept=None if inherited.kept is None else snapshotfd.read(inherited.kept).decode(),
        workers=[(index, pid) for index, pid, _ in inherited.workers],
        linked=inherited.link is not None,
        workers_wanted=inherited.settings.workers,
    )


class Worker:
    """Accepts, answers who it is, beats, and obeys."""

    def __init__(self, inherited: Inherited) -> None:
        self.inherited = inherited
        self.channel = channel.worker_end(inherited.channel)
        self.listeners: dict[str, socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.channel, selectors.EVENT_READ, self.told)
        self.patience = 0.0  # how long a drain takes
        self.ends_at: float | None = None
        self.code = 0
        for name, sock in inherited.listeners.items():
            self.listen(name, sock)
        if inherited.link is not None:
            self.follow(inherited.link)

    def run(self) -> int:
        words = self.inherited.words.words
        beat = worker_base(self.inherited.index) + Vital.HEARTBEAT
        while self.ends_at is None or time.monotonic() < self.ends_at:
            words[beat] = time.monotonic_ns()
            for key, _ in self.selector.select(BEAT):
                key.data()
        return self.code

    def listen(self, name: str, sock: socket.socket) -> None:
        self.listeners[name] = sock
        self.selector.register(sock, selectors.EVENT_READ, partial(self.accept, sock))

    def unlisten(self, name: str) -> None:
        sock = self.listeners.pop(name)
        self.selector.unregister(sock)
        sock.close()

    def accept(self, sock: socket.socket) -> None:
        try:
            connection, _ = sock.accept()
        except OSError:  # another worker was faster, or the listener was closed and Unlisten is on its way
            return
        with connection:
            connection.sendall(f"{self.inherited.index} {os.getpid()}\n".encode())

    def follow(self, link: socket.socket) -> None:
        self.selector.register(link, selectors.EVENT_READ, partial(self.ordered, link))
        with suppress(BrokenPipeError):  # control is gone already
            link.sendall(b'{"hello": %d}\n' % os.getpid())

    def told(self) -> None:
        try:
            packets = self.channel.receive()
        except channel.ChannelClosedError:
            note(self.inherited, "orphaned")
            self.selector.unregister(self.channel)
            self.ends_at = 0.0
            return
        for message, fds in packets:
            note(self.inherited, type(message).__name__, message=msgspec.to_builtins(message))
            match message:
                case messages.Listen():
                    self.listen(message.listener, socket.socket(fileno=fds[0]))
                case messages.Unlisten():
                    self.unlisten(message.listener)
                case messages.ControlLink():
                    self.follow(socket.socket(fileno=fds[0]))
                case messages.Drain():
                    self.ends_at = time.monotonic() + self.patience

    def ordered(self, link: socket.socket) -> None:
        try:
            data = link.recv(65536)
        except ConnectionResetError:  # control ended with something from us unread
            data = b""
        if not data:
            self.selector.unregister(link)
            link.close()
            return
        for line in data.splitlines():
            order = json.loads(line)
            note(self.inherited, "ordered", order=order)
            match order["do"]:
                case "exit":
                    self.ends_at, self.code = 0.0, order["code"]
                case "crash":
                    raise RuntimeError("as ordered")
                case "hang":
                    signal.pause()
                case "be busy":
                    self.patience = order["seconds"]
                case "deafen":
                    self.selector.unregister(self.channel)
                case "hang up":
                    self.selector.unregister(self.channel)
                    self.channel.close()
                case "rebel":
                    fd = snapshotfd.create("rebel", b"evil")
                    self.channel.send(messages.Snapshot(666), [fd])
                case "orphan":  # a grandchild whose parent ends at once
                    subprocess.run(["sh", "-c", f"(sleep 0.05; echo gone > {order['file']}) & exit 0"], check=True)


class Control:
    """Passes on orders and notes what it is told, on an asyncio loop."""

    def __init__(self, inherited: Inherited) -> None:
        self.inherited = inherited
        self.channel = channel.control_end(inherited.channel)
        self.links = {index: link for index, _, link in inherited.workers}

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        channel.attach(self.channel, loop, self.told, lambda: over.set_result(None))
        Heartbeat(self.inherited.words.words)
        server = await asyncio.start_server(self.serve, sock=self.inherited.admin[0])
        for index, link in self.links.items():
            await self.greet(index, link)
        await over
        note(self.inherited, "orphaned")
        server.close()
        return 0

    async def greet(self, index: int, link: socket.socket) -> None:
        link.setblocking(False)
        try:
            data = await asyncio.get_running_loop().sock_recv(link, 65536)
        except ConnectionResetError:
            data = b""
        if data:  # else the worker ended before it could say anything
            note(self.inherited, "greeted", index=index, hello=json.loads(data)["hello"])

    def told(self, message: messages.ToControl, fds: tuple[int, ...]) -> None:
        note(self.inherited, type(message).__name__, message=msgspec.to_builtins(message))
        if isinstance(message, messages.WorkerLink):
            link = self.links[message.index] = socket.socket(fileno=fds[0])
            self.greeting = asyncio.create_task(self.greet(message.index, link))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.obey(json.loads(await reader.readline()))
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    def obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "bind":
                wanted = {name: (host, port) for name, (host, port) in order["listeners"].items()}
                self.channel.send(messages.Bind(wanted))
            case "snapshot":
                self.channel.send(messages.Snapshot(1), [snapshotfd.create("snapshot", order["data"].encode())])
            case "keep":
                self.channel.send(messages.Keep(), [snapshotfd.create("kept", order["data"].encode())])
            case "since":
                self.channel.send(messages.Since(2), [snapshotfd.create("since", order["data"].encode())])
            case "babble":
                asyncio.get_running_loop().call_later(BEAT, self.inherited.channel.send, b"no message")
            case "die babbling":
                asyncio.get_running_loop().call_later(BEAT, self.die_babbling)
            case _:
                self.links[order["worker"]].sendall(json.dumps(order).encode() + b"\n")

    def die_babbling(self) -> None:
        """While the supervisor sleeps, say what takes it some turns, and in the end what it does not understand."""
        os.kill(os.getppid(), signal.SIGSTOP)
        for _ in range(3 * channel.BATCH):
            self.inherited.channel.send(channel.encode(messages.Bind({})))
        self.inherited.channel.send(b"no message")
        os._exit(0)


def be_silent(inherited: Inherited) -> None:
    """Do nothing for ever, if that is wanted."""
    if os.path.exists(EVENTS + ".silent"):
        note(inherited, "born silent")
        signal.pause()


def run_control(inherited: Inherited) -> int:
    be_silent(inherited)
    note_birth(inherited)
    return asyncio.run(Control(inherited).run())


def run_worker(inherited: Inherited) -> int:
    if os.path.exists(EVENTS + ".crash"):
        note(inherited, "born to crash")
        return 7
    be_silent(inherited)
    note_birth(inherited)
    return Worker(inherited).run()


def main() -> int:
    """Run the gateway with the settings of the command line, and LIMITS from the environment."""
    state = handover.take(os.environ)
    settings = parse(sys.argv[1:], os.environ, 1.0)
    if not isinstance(settings, Settings):
        sys.stderr.write("\n".join(settings) + "\n")
        return 2
    if settings.check:
        return 0
    if os.environ.get("SUBREAPER"):
        import ctypes  # noqa: PLC0415 - a libffi with static trampolines keeps a descriptor of its own from here on

        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come here, as they come to PID 1
    patience = Patience(**json.loads(os.environ.get("PATIENCE", "{}")))
    roles: dict[Role, Run] = {"worker": run_worker, "control": run_control}
    channel.MAX_QUEUED = int(os.environ.get("MAX_QUEUED", channel.MAX_QUEUED))
    command = json.loads(os.environ.get("COMMAND", "null"))
    return Supervisor(settings, roles, state=state, patience=patience, command=command).run()


if __name__ == "__main__":
    sys.exit(main())
