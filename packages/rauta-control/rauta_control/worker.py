"""A worker process: the proxy and nothing else.

It holds the listening sockets it shares with the other workers, the table it follows control with, its pools and its
counters. It never resolves names, never reads configuration sources, never holds credentials. When the supervisor is gone
it drains and ends; when control is gone it serves on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from functools import partial
from time import gmtime, monotonic, monotonic_ns, strftime, time

import uvloop

from rauta_control import accesslog
from rauta_control.channel import attach, worker_end
from rauta_control.cluster import Endpoint
from rauta_control.downstream import IDLE, Downstream
from rauta_control.follow import Follower
from rauta_control.head import RequestHead
from rauta_control.inherit import Inherited
from rauta_control.messages import ControlLink, Drain, Listen, ToWorker, Unlisten
from rauta_control.port import Port, Reserve
from rauta_control.reasons import Reason, answer
from rauta_control.recorder import Counter, Recorder
from rauta_control.response import ResponseHead
from rauta_control.sharedmem import EndpointWord, Vital
from rauta_control.sweep import Sweep
from rauta_control.table import Routes, Table
from rauta_control.upstream import CONNECT_TIMEOUT, Upstream

TICK = 0.1  # seconds between two flushes of counters and log, and two steps of the sweep
SLOW_TICKS = 10
DRAIN_ON_ORPHANING = 30.0  # seconds, when there is no supervisor left to say how long

log = logging.getLogger(__name__)


class Worker:
    """The state that all connections of one worker share."""

    def __init__(self, inherited: Inherited, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.index = inherited.index
        self.recorder = Recorder(inherited.words.words, inherited.index)
        self.vitals = self.recorder.vitals
        self.vitals[Vital.PID] = os.getpid()
        self.request_head = RequestHead()
        self.response_head = ResponseHead()
        self.sweep = Sweep()
        self.draining = False
        self.done = loop.create_future()
        # Coarse clocks, set by each tick. `wall` turns monotonic into wall-clock seconds.
        self.now = monotonic()
        self.wall = time() - monotonic()
        self.second = 0
        self.second_text = b""
        # x-request-id: 20 random hex digits of the process, then 12 that count.
        self.request_prefix = os.urandom(10).hex().encode()
        self.requests = 0
        sink = accesslog.open_sink(inherited.settings.access_log)
        self.log = accesslog.AccessLog(sink) if sink is not None else None
        self.follower = Follower(inherited.index, self._committed)
        self._ports = {name: Port(name, sock) for name, sock in inherited.listeners.items()}
        self._accepting: set[str] = set()
        self._open: set[Downstream] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._reserve = Reserve()
        self._limit = _connection_limit()
        self._ticks = 0

    # -- called by connections

    def connected(self, downstream: Downstream) -> None:
        """A client connection is up."""
        self._open.add(downstream)
        self.sweep.add(downstream)

    def disconnected(self, downstream: Downstream) -> None:
        """A client connection is gone."""
        self._open.discard(downstream)
        self.sweep.discard(downstream)
        if self.draining and not self._open:
            self._finish()

    def connect(self, endpoint: Endpoint, downstream: Downstream) -> None:
        """Open a connection for which room was reserved, and give it to `downstream` if that still waits."""
        self._start(self._connect(endpoint, downstream, downstream.request_id))

    async def _connect(self, endpoint: Endpoint, downstream: Downstream, request_id: bytes) -> None:
        upstream = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, upstream = await self.loop.create_connection(
                    partial(Upstream, self, endpoint), endpoint.address, endpoint.port
                )
        except TimeoutError:
            reason = Reason.UPSTREAM_CONNECT_TIMEOUT
        except OSError:
            reason = Reason.UPSTREAM_CONNECT
        waiting = downstream.request_id is request_id and downstream.upstream is None and not downstream.status
        if upstream is None:
            endpoint.forget()
            self.count_failure(endpoint)
            if waiting:
                downstream.fail(reason)
            return
        self.vitals[Vital.UPSTREAM_CONNECTS] += 1
        if waiting:
            downstream.attached(upstream)
        else:
            upstream.release()

    def count_request(self, endpoint: Endpoint, status: int, micros: int) -> None:
        """Count a request that an endpoint was chosen for."""
        words = self._counter(endpoint).words
        words[EndpointWord.REQUESTS] += 1
        words[EndpointWord.DURATION_SUM] += micros
        if status >= 500:
            words[EndpointWord.STATUS_5XX] += 1

    def count_failure(self, endpoint: Endpoint) -> None:
        """Count a failure to connect, a reset, a timeout or an invalid response."""
        self._counter(endpoint).words[EndpointWord.FAILURES] += 1

    def _counter(self, endpoint: Endpoint) -> Counter:
        counter = endpoint.counter
        if counter is None:
            counter = endpoint.counter = self.recorder.endpoint(endpoint.slot, endpoint.epoch)
        if not counter.dirty:
            self.recorder.touch(counter)
        return counter

    def set_second(self, second: int) -> None:
        """Prepare the log's time text for a new second of wall-clock time."""
        self.second = second
        self.second_text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)).encode()

    # -- accepting

    def _accepted(self, port: Port, sock: socket.socket, address: str, number: int) -> None:
        if len(self._open) >= self._limit:
            self._refused()
            self.vitals[Vital.REASONS + Reason.OVERLOADED.number] += 1
            sock.setblocking(False)
            with sock:
                sock.send(answer(Reason.OVERLOADED, close=True))
            return
        self.vitals[Vital.ACCEPTED] += 1
        self._start(self.loop.connect_accepted_socket(partial(Downstream, self, port, address, number), sock))

    def _refused(self) -> None:
        self.vitals[Vital.REFUSED] += 1

    def _update_accepting(self) -> None:
        """Accept where there is both a socket and a configuration, nowhere else."""
        wanted = set() if self.draining else self._ports.keys() & self.follower.table.listeners.keys()
        for name in self._accepting - wanted:
            if name in self._ports:
                self.loop.remove_reader(self._ports[name].sock)
        for name in wanted - self._accepting:
            port = self._ports[name]
            port.sock.setblocking(False)
            self.loop.add_reader(port.sock, port.accept, self._accepted, self._refused, self._reserve)
        self._accepting = wanted

    # -- configuration and orders

    def _committed(self, table: Table) -> None:
        for name, port in self._ports.items():
            port.routes = table.listeners.get(name) or Routes({})
        self._update_accepting()

    def received(self, message: ToWorker, fds: tuple[int, ...]) -> None:
        """Obey the supervisor."""
        match message:
            case Listen():
                self._unlisten(message.listener)
                self._ports[message.listener] = Port(message.listener, socket.socket(fileno=fds[0]))
                self._committed(self.follower.table)
            case Unlisten():
                self._unlisten(message.listener)
            case ControlLink():
                self._start(self.follower.connect(socket.socket(fileno=fds[0])))
            case Drain():
                self.drain(message.timeout)

    def _unlisten(self, name: str) -> None:
        port = self._ports.pop(name, None)
        if port is not None:
            if name in self._accepting:
                self.loop.remove_reader(port.sock)
                self._accepting.discard(name)
            port.sock.close()

    def drain(self, timeout: float) -> None:
        """Accept no more, close what is idle, let the rest finish within `timeout` seconds, then end."""
        if self.draining:
            return
        self.draining = True
        self._update_accepting()
        for port in self._ports.values():
            port.sock.close()
        for downstream in list(self._open):
            downstream.plain = False
            if downstream.phase == IDLE:
                downstream.transport.close()
        self.loop.call_later(timeout, self._finish)
        if not self._open:
            self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    # -- the tick

    def tick(self) -> None:
        """Set the clocks, expire what is due, flush counters and log; every TICK seconds."""
        self.loop.call_later(TICK, self.tick)
        self.now = now = monotonic()
        self.wall = time() - now
        self.sweep.tick(now)
        vitals = self.vitals
        if self.log is not None:
            self.log.flush()
            vitals[Vital.LOG_LINES] = self.log.written
            vitals[Vital.LOG_DROPPED] = self.log.dropped
        vitals[Vital.CONNECTIONS] = len(self._open)
        vitals[Vital.GENERATION] = self.follower.generation + 1
        vitals[Vital.DRAINED] = self.follower.drained() + 1
        vitals[Vital.STALL_MAX] = self.follower.stall
        self._ticks += 1
        if self._ticks % SLOW_TICKS == 0:
            self._slow_tick()
        self.recorder.flush(monotonic_ns())

    def _slow_tick(self) -> None:
        """Gauges that cost a walk over the endpoints."""
        in_use = 0
        for endpoint in self.follower.clusters.endpoints.values():
            if endpoint.counter is not None:
                active = endpoint.open - len(endpoint.idle)
                in_use += active
                if endpoint.counter.words[EndpointWord.ACTIVE] != active:
                    self._counter(endpoint).words[EndpointWord.ACTIVE] = active
        self.vitals[Vital.REQUESTS_ACTIVE] = in_use
        self.vitals[Vital.UPSTREAMS] = len(self.sweep) - len(self._open)
        self.vitals[Vital.MEMO_SIZE] = sum(
            len(host.memo) + len(host.older)
            for routes in self.follower.table.listeners.values()
            for host in routes.names.values()
        )

    def _start(self, coroutine: object) -> None:
        task: asyncio.Task[object] = self.loop.create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve(self, inherited: Inherited) -> None:
        """Serve until drained."""
        channel = worker_end(inherited.channel)
        if inherited.snapshot is not None:
            self.follower.load((inherited.snapshot, *inherited.since))
        self.tick()
        gc.collect()
        gc.freeze()
        attach(channel, self.loop, self.received, partial(self.drain, DRAIN_ON_ORPHANING))
        if inherited.link is not None:
            await self.follower.connect(inherited.link)
        await self.done
        if self.log is not None:
            self.log.flush()
        self.recorder.flush(monotonic_ns())


def _connection_limit() -> int:
    """Half of the descriptors, as each request in flight needs a second one; a gateway should not run on a soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, (hard - 64) // 2)


def run(inherited: Inherited) -> int:
    """Run worker `inherited.index` until it is drained; return its exit code."""
    for number in (
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGUSR2,
    ):  # of the terminal's group: the supervisor handles them
        signal.signal(number, signal.SIG_IGN)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        worker = Worker(inherited, loop)
        loop.add_signal_handler(signal.SIGTERM, worker.drain, DRAIN_ON_ORPHANING)
        await worker.serve(inherited)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0
