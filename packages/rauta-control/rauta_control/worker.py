"""A worker process: the proxy and nothing else.

It holds the listening sockets it shares with the other workers, the table it follows control with, its pools and its
counters. It never resolves names, never reads configuration sources, never holds credentials. When the supervisor is
gone it drains and ends; when control is gone it serves on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Coroutine
from functools import partial
from time import monotonic_ns

import uvloop

from rauta_control import accesslog
from rauta_control.acceptor import Acceptor
from rauta_control.channel import attach, detach, worker_end
from rauta_control.cluster import Endpoint
from rauta_control.downstream import Downstream
from rauta_control.follow import Follower
from rauta_control.inherit import Inherited
from rauta_control.ledger import endpoint_words
from rauta_control.messages import ControlLink, Drain, Listen, Retune, ToWorker, Unlisten
from rauta_control.mirror import Mirror
from rauta_control.port import Port
from rauta_control.proxied import Proxied
from rauta_control.reasons import HandshakeFailure, Reason
from rauta_control.sharedmem import PID_SHIFT, EndpointWord, Vital
from rauta_control.table import Table
from rauta_control.tlscontext import Contexts
from rauta_control.tlshandshake import Handshake
from rauta_control.tunnel import Tunnel
from rauta_control.upstream import Upstream
from rauta_control.workerstate import WorkerState

TICK = 0.1  # seconds between two flushes of counters and log, and two steps of the sweep
SLOW_TICKS = 10
DRAIN_ON_ORPHANING = 30.0  # seconds, when there is no supervisor left to say how long
MAX_COMPLAINTS = 100  # texts logged, each once

log = logging.getLogger(__name__)


class Worker(WorkerState):
    """One worker: its connections, its table, its orders."""

    __slots__ = ()

    def __init__(self, inherited: Inherited, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(inherited, loop)
        self.contexts = Contexts(loop)
        self.done = loop.create_future()
        self.connections: set[Downstream | Handshake | Tunnel] = set()  # of clients, from when they are accepted
        self.mirrors: set[Mirror] = set()  # copies of requests under way
        self.log: accesslog.AccessLog | None = None
        self._open_log(inherited.settings.access_log)
        self.follower = Follower(inherited.index, self._committed)
        self._ports = {name: Port(name, sock) for name, sock in inherited.listeners.items()}
        self.acceptor = Acceptor(self, self._ports)
        self._tunnels = 0  # each is two connections, and one in `sweep`
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaints: set[str] = set()
        self._ticks = 0

    # -- called by connections

    def connected(self, downstream: Downstream) -> None:
        """A client connection is up."""
        self.sweep.add(downstream)
        if downstream not in self.connections:  # it had a handshake until now
            self.connections.add(downstream)
            downstream.port.owner.open += 1
            if self.draining:
                downstream.drain()

    def tunnelled(self, downstream: Downstream, upstream: Upstream, tunnel: Tunnel) -> None:
        """Two connections have become a tunnel."""
        self.connections.discard(downstream)
        self.connections.add(tunnel)
        self._tunnels += 1
        self.sweep.discard(downstream)
        self.sweep.discard(upstream)
        self.sweep.add(tunnel)

    def disconnected(self, connection: Downstream | Handshake | Tunnel) -> None:
        """A client connection is gone."""
        if connection in self.connections:
            self.connections.discard(connection)
            connection.port.owner.open -= 1
            if isinstance(connection, Tunnel):
                self._tunnels -= 1
        self.sweep.discard(connection)
        if self.draining and not self.connections:
            self._finish()

    def shaken(self, handshake: Handshake) -> None:
        """A handshake has become a connection, which is among the open ones already, or gone again."""
        self.vitals[Vital.TLS_HANDSHAKES] += 1
        self.disconnected(handshake)

    def unshaken(self, handshake: Handshake, failure: HandshakeFailure) -> None:
        """A handshake came to nothing."""
        self.vitals[Vital.TLS_FAILURES + failure.number] += 1
        self.disconnected(handshake)

    def complain(self, what: str, error: Exception | str) -> None:
        """Log, once, what an operator can mend."""
        text = f"{what}: {error}"
        if text not in self._complaints and len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.add(text)
            log.warning("%s", text)

    def connect(self, endpoint: Endpoint, downstream: Downstream) -> None:
        """Open a connection for which room was reserved, and give it to `downstream` if that still waits."""
        if len(self.sweep) + self._tunnels >= 2 * self.capacity:
            self._shed()
        downstream.ticket += 1
        self.start(self._connect(endpoint, downstream, downstream.ticket))

    async def _connect(self, endpoint: Endpoint, downstream: Downstream, ticket: int) -> None:
        upstream = None
        try:
            async with asyncio.timeout(self.limits.connect_timeout):
                _, upstream = await self.loop.create_connection(
                    partial(Upstream, self, endpoint), endpoint.address, endpoint.port
                )
        except TimeoutError:
            reason = Reason.UPSTREAM_CONNECT_TIMEOUT
        except (OSError, ValueError):  # ValueError: the address is none
            reason = Reason.UPSTREAM_CONNECT
        waits = downstream.waits(ticket)
        if upstream is None:
            endpoint.forget()
            if downstream.ticket == ticket:  # else time was up for the attempt, and that has been counted
                self.count_failure(endpoint)
            if waits:
                downstream.failed(reason)
            return
        self.sweep.add(upstream)
        self.vitals[Vital.UPSTREAM_CONNECTS] += 1
        endpoint_words(self, endpoint)[EndpointWord.CONNECTS] += 1
        if waits:
            downstream.attached(upstream)
        else:
            upstream.release()

    def mirror(self, request: Downstream) -> Mirror:
        """Return a copy of a request that is about to be sent. (Here, as exchange.py cannot import what imports it.)"""
        return Mirror(request)

    def _shed(self) -> None:
        """Close what waits in pools: with many endpoints it can take the descriptors that requests need."""
        for endpoint in self.follower.clusters.endpoints.values():
            for upstream in list(endpoint.idle):
                upstream.close()

    def downstream(self, port: Port, address: str, number: int) -> Downstream:
        """Return what takes the requests of a client's connection, once that is there."""
        kind = Proxied if self.via or (self.trust and self.trust.covers(address)) else Downstream
        return kind(self, port, address, number)

    # -- configuration and orders

    def _committed(self, table: Table) -> None:
        for name, port in list(self._ports.items()):
            port.follow(table)
            if port.sock is None and not port.open and name not in table.listeners:
                del self._ports[name]
        self.acceptor.update()

    def received(self, message: ToWorker, fds: tuple[int, ...]) -> None:
        """Obey the supervisor."""
        match message:
            case Listen():
                self.acceptor.listen(message.listener, socket.socket(fileno=fds[0]))
            case Unlisten():
                self.acceptor.unlisten(message.listener)
            case ControlLink():
                self.start(self._follow(socket.socket(fileno=fds[0])))
            case Drain():
                self.drain(message.timeout)
            case Retune():
                self.retune(message)
                self._open_log(message.access_log)

    def _open_log(self, target: str) -> None:
        """Open the access log, anew if it is open: the file may have been moved away. Where it cannot be, all stays."""
        try:
            sink = accesslog.open_sink(target)
        except OSError as error:
            log.error("--access-log %s: %s; requests are served all the same", target, error.strerror)
            return
        if self.log is not None:
            self.log.close()
            self._count_lines(self.log)
        counts = self.vitals[Vital.LOG_LINES], self.vitals[Vital.LOG_DROPPED]
        self.log = None if sink is None else accesslog.AccessLog(sink, *counts)

    def _count_lines(self, lines: accesslog.AccessLog) -> None:
        self.vitals[Vital.LOG_LINES] = lines.written
        self.vitals[Vital.LOG_DROPPED] = lines.dropped

    async def _follow(self, link: socket.socket) -> None:
        try:
            await self.follower.connect(link)
        except OSError as error:  # control is gone again; there will be another link when it is back
            log.warning("no link to control: %r", error)

    def drain(self, timeout: float) -> None:
        """Accept no more, close what is idle, let the rest finish within `timeout` seconds, then end."""
        if self.draining:
            return
        self.draining = True
        for name in self._ports:
            self.acceptor.unlisten(name)
        for downstream in list(self.connections):
            downstream.drain()
        self.loop.call_later(timeout, self._finish)
        if not self.connections:
            self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    # -- the tick

    def tick(self) -> None:
        """Set the clocks, expire what is due, flush counters and log; every TICK seconds."""
        self.loop.call_later(TICK, self.tick)
        self.set_clocks()
        self.sweep.tick(self.now)
        vitals = self.vitals
        if self.log is not None:
            self.log.flush()
            self._count_lines(self.log)
            if self.log.fault:
                self.complain("--access-log: lines are dropped", self.log.fault)
        vitals[Vital.CONNECTIONS] = len(self.connections)
        vitals[Vital.GENERATION] = self.follower.generation + 1
        vitals[Vital.DRAINED] = self.follower.drained() + 1
        self._ticks += 1
        if self._ticks % SLOW_TICKS == 0:
            self._slow_tick()
        self.recorder.flush(monotonic_ns())

    def _slow_tick(self) -> None:
        """Gauges that cost a walk over the endpoints, or that nobody waits for."""
        in_use = 0
        for endpoint in self.follower.clusters.endpoints.values():
            if endpoint.counter is not None:
                active = endpoint.open - len(endpoint.idle)
                in_use += active
                gauge = self.vitals[Vital.PID] << PID_SHIFT | active
                if endpoint.words[EndpointWord.ACTIVE] != gauge:
                    endpoint_words(self, endpoint)[EndpointWord.ACTIVE] = gauge
        vitals = self.vitals
        vitals[Vital.REQUESTS_ACTIVE] = in_use
        vitals[Vital.UPSTREAMS] = max(0, len(self.sweep) + self._tunnels - len(self.connections))
        vitals[Vital.MEMO_SIZE] = len(self.follower.table.memory)
        stalls = self.follower.stalls
        vitals[Vital.STALL_CHANGE] = int(stalls[False].clock * 1e9)
        vitals[Vital.STALL_WHOLE] = int(stalls[True].clock * 1e9)
        vitals[Vital.TURN_CPU_CHANGE] = int(stalls[False].computed * 1e9)
        vitals[Vital.TURN_CPU_WHOLE] = int(stalls[True].computed * 1e9)

    def start(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run `coroutine` as a task, which is cancelled when the worker ends."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def serve(self, inherited: Inherited) -> None:
        """Serve until drained."""
        channel = worker_end(inherited.channel)
        gc.disable()
        if inherited.snapshot is not None:
            self.follower.load((inherited.snapshot, *inherited.since))
        gc.enable()
        gc.collect()
        gc.freeze()  # all this lives long; nothing that a request leaves behind needs the collector
        self.tick()
        attach(channel, self.loop, self.received, partial(self.drain, DRAIN_ON_ORPHANING))
        if inherited.link is not None:
            await self._follow(inherited.link)
        await self.done
        await self._stop()
        detach(channel, self.loop)
        channel.close()
        self.tick()
        self.recorder.close(monotonic_ns())

    async def _stop(self) -> None:
        """Close everything; who still waits for an answer gets one that says that there is none."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for asking in (*self.connections, *self.mirrors):
            asking.stop()
        self._shed()
        self.follower.close()
        await asyncio.sleep(0)  # the turn in which transports close


def run(inherited: Inherited) -> int:
    """Run worker `inherited.index` until it is drained; return its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):  # sent to the whole group: the supervisor's business
        signal.signal(number, signal.SIG_IGN)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        worker = Worker(inherited, loop)
        loop.add_signal_handler(signal.SIGTERM, worker.drain, DRAIN_ON_ORPHANING)
        await worker.serve(inherited)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0
