"""The control process: knows what is wanted, publishes it to the workers, and answers for the gateway.

    settings -> CommandLine ------------> resources -> validate -> Configuration -> Publisher -> workers
    manifests, or a cluster -> Pipeline ----^

Both may be there at once: routes of the command line beside the objects of a source. It starts from the last published
state, which the supervisor keeps, so its restart changes nothing for anybody: slots and generation go on, and only what
differs from the sources is published. It may die at any time; workers serve on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections import ChainMap
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import uvloop

from rauta_control import cpus, ir, standalone
from rauta_control.admin import Admin
from rauta_control.binding import Binding
from rauta_control.channel import attach, control_end, detach
from rauta_control.clustersource import ClusterSource
from rauta_control.commandline import CommandLine
from rauta_control.configuration import Configuration
from rauta_control.counters import Counters, blocks_used, drained
from rauta_control.demo import Demo
from rauta_control.filesource import FileSource
from rauta_control.heartbeat import Heartbeat
from rauta_control.inherit import Inherited
from rauta_control.listening import local_addresses, place
from rauta_control.log import Log
from rauta_control.messages import Bound, Draining, Publish, Reload, ToControl, WorkerGone, WorkerLink
from rauta_control.picture import Picture, WorkerStatus
from rauta_control.pipeline import Pipeline, terms_of
from rauta_control.publish import Archive, Links, kept, restored
from rauta_control.publisher import Publisher
from rauta_control.routespec import Address
from rauta_control.saying import Saying
from rauta_control.settings import Settings, reread
from rauta_control.slots import SlotsFullError
from rauta_control.stepclock import StepClock
from rauta_control.troubles import Troubles
from rauta_control.turns import in_turns

CERTIFICATE_POLL = 0.5  # seconds between two looks at the files of certificates
COLLECT = (1_000, 3, 3_000)  # a young one takes a millisecond; a full one, with many objects a tenth of a second: rare
MANY = 1_000  # changed resources after which what there is counts as here to stay
SLOTS_RETRY = 1.0  # seconds until what found no slot is tried again: requests end, and slots come free


class Control:
    """One control process. `demo` adds its routes to those of the settings."""

    def __init__(self, inherited: Inherited, log: Log, demo: Demo | None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._steps = StepClock(loop)
        self._log = log
        self._started = inherited.started
        self._version = version("rauta-control")
        self.closed: asyncio.Future[None] = loop.create_future()  # the supervisor is gone
        # -- what the supervisor keeps
        state, self._published = restored(inherited.snapshot, inherited.since, log)
        self._channel = control_end(inherited.channel)
        self._archive = Archive(state, self._channel, log)
        # -- what is wanted
        self._settings = settings = inherited.settings
        self._demo = demo
        self._followed: standalone.Plan | None = None  # the plan that was published, with all that sources say
        self._wake = asyncio.Event()
        self._line = CommandLine(self._wake, log)
        self._loading = asyncio.Lock()
        self._first_start = inherited.snapshot is None
        terms = terms_of(settings, local_addresses())
        self._pipeline = Pipeline(terms, self._wake.set, restored=not self._first_start)
        self._files = FileSource(self._pipeline, log, self._archive.keep)
        self._files.recall(kept(inherited.kept))
        self._cluster = ClusterSource(settings, self._pipeline, log) if settings.kubernetes else None
        self._saying = Saying(self._cluster)
        self._hosts: frozenset[str] = frozenset()  # of endpoints of objects
        self._refused: list[str] = []  # problems of settings that were not taken
        self._troubles = Troubles(log, "configuration problem", "configuration problem solved")
        # -- what is published
        self._configuration = Configuration(state)
        self._pipeline.hold(self._configuration.resources.values())
        self._publisher = Publisher(state, settings.workers if self._first_start else 1)
        self._links = Links(self._publisher, log, self._acknowledged)
        self._ready = False
        self._draining = False
        self._admin = [place(sock) for sock in inherited.admin]
        # -- what there is
        self._words = inherited.words.words
        self._blocks = blocks_used(self._words)
        self._binding = Binding(self._channel, inherited.bound, log)
        self._tasks: set[asyncio.Task[None]] = set()
        for index, pid, link in inherited.workers:
            self._links.add(index, pid, link)
        attach(self._channel, loop, self._received, self._close)

    async def run(self) -> None:
        """Follow the settings until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._line.resolver.run())
            tasks.create_task(self._watch_certificates())
            tasks.create_task(self._lose_patience())
            async with self._loading:
                await self._load(self._settings)
            tasks.create_task(self._files.run() if self._cluster is None else self._cluster.run())
            while True:
                self._wake.clear()
                await self._reconcile()
                await self._wake.wait()

    def close(self) -> None:
        """Let go of the supervisor and the workers."""
        detach(self._channel, self._loop)
        self._channel.close()
        self._links.close()
        self._archive.close()

    def picture(self) -> Picture:
        """Return what there is to know now."""
        workers = sorted(self._publisher.workers.items())
        return Picture(
            version=self._version,
            uptime=time.monotonic() - self._started,
            generation=self._publisher.state.generation,
            config_age=None if self._published is None else time.monotonic() - self._published,
            ready=self._ready and not self._draining,
            draining=self._draining,
            expected_workers=self._settings.workers,
            workers=tuple(WorkerStatus(index, each.pid, each.generation, each.refusal) for index, each in workers),
            resources=self._configuration.resources,
            bound=self._binding.bound,
            problems=(
                *self._refused,
                *self._troubles.present,
                *self._pipeline.problems,
                *(self._cluster.problems if self._cluster is not None else ()),
            ),
            statuses=dict(self._pipeline.statuses),
            findings=(*self._pipeline.findings, *self._pipeline.outdated(datetime.now(UTC))),
            counters=self._counters(),
            limits=self._settings.limits,
            steps=dict(self._steps.longest),
        )

    def _counters(self) -> Counters:
        self._blocks = max(self._blocks, self._settings.workers, *(index + 1 for index in self._publisher.workers))
        return Counters(self._words, self._blocks)

    # -- the supervisor

    def _received(self, message: ToControl, fds: tuple[int, ...]) -> None:
        match message:
            case WorkerLink():
                self._links.add(message.index, message.pid, socket.socket(fileno=fds[0]))
            case WorkerGone():
                self._links.gone(message.index, message.pid)
            case Bound():
                self._take_bound(message)
            case Reload():
                self._start(self._reload())
            case Draining():
                self._draining = True

    def _close(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _take_bound(self, bound: Bound) -> None:
        if self._binding.take(bound):
            self._pipeline.moved(bound.listener)
            self._wake.set()
            self._check_ready()

    def _acknowledged(self) -> None:
        if self._pipeline.waits:
            self._wake.set()
        self._check_ready()

    def _check_ready(self) -> None:
        """Ready once every worker follows the first configuration and every listener was bound, or refused for good.

        Those of the command line must be bound, for a control that starts again one of them: its workers serve already.
        """
        reachable = standalone.reachable(self._line.plan, self._binding.bound, every=self._first_start)
        if (self._followed or not self._first_start) and self._binding.complete and reachable:
            self._publisher.complete()
        if self._publisher.ready and not self._ready:
            self._ready = True
            self._wake.set()
            self._log.info("ready", generation=self._publisher.state.generation)
            if self._demo is not None and self._first_start:
                bound = [Address(each.address, each.port) for each in self._binding.bound.values() if not each.error]
                self._demo.announce(bound, self._admin[0])

    # -- what is wanted

    async def _reload(self) -> None:
        """Read the settings again. What is wrong with them is logged and shown, and the last good ones stay."""
        async with self._loading:
            read = await self._loop.run_in_executor(None, reread, self._settings, os.environ, cpus.available())
            if isinstance(read, Settings):
                self._refused = []
                await self._load(read)
                self._wake.set()
                return
            self._refused = [f"not reloaded: {problem}" for problem in read]
            for problem in read:
                self._log.error("settings not reloaded", problem=problem)

    async def _load(self, settings: Settings) -> None:
        taken = {(route.host, route.path) for route in settings.routes}
        routes = self._demo.routes if self._demo else ()
        extra = [route for route in routes if (route.host, route.path) not in taken]
        self._settings = settings
        if self._first_start:
            self._publisher.expected = settings.workers
        await self._line.load(replace(settings, routes=(*settings.routes, *extra)), self._configuration.resources)
        self._bind()
        self._pipeline.tell(terms_of(settings, local_addresses()))
        self._files.point(Path(settings.config) if settings.config else None)
        if not settings.config and self._cluster is None:
            self._pipeline.synced()  # no source will ever say so
        self._look_up()

    def _look_up(self) -> None:
        self._hosts = self._pipeline.hosts
        self._line.look_up(self._hosts)

    async def _watch_certificates(self) -> None:
        """Load the settings again when a certificate or key has changed."""
        while await self._line.certificates.any.wait():
            await asyncio.sleep(CERTIFICATE_POLL)
            async with self._loading:
                if await self._line.certificates.changed():
                    await self._load(self._settings)
                    self._wake.set()

    def _bind(self) -> None:
        """Until sources have said what there is and that is published, what was published before stays wanted."""
        wanted = [*self._line.plan.listeners, *self._pipeline.sockets]
        if self._followed is None:
            wanted += (each for each in self._configuration.resources.values() if isinstance(each, ir.Listener))
        self._binding.want(wanted)

    # -- what is published

    async def _translate(self) -> None:
        """Translate what sources said and names came to mean."""
        self._pipeline.resolve(self._line.addresses)
        if self._pipeline.busy:
            await in_turns(self._pipeline.updating(datetime.now(UTC)))
            if self._pipeline.hosts != self._hosts:
                self._look_up()
            self._bind()

    async def _reconcile(self) -> None:
        """Publish what is wanted now, unless it is published already or invalid; report what is wrong.

        A new plan is compared with everything there is; later, a change costs no more than what it is about.
        """
        await self._translate()
        if self._followed is None:
            await self._line.first_answers()
            await self._translate()
        plan, configuration, pipeline = self._line.plan, self._configuration, self._pipeline
        new = plan is not self._followed
        complete = pipeline.complete and not (new and pipeline.busy)  # what was not translated yet must not be deleted
        whole = new and complete and pipeline.sure
        wanted = await self._line.wanted(configuration.resources, new=new)
        deleted: list[str] = []
        if whole:
            wanted |= pipeline.wanted(pipeline.resources, configuration.resources)
        elif complete:
            wanted |= pipeline.wanted(pipeline.pending, configuration.resources)
            deleted = pipeline.gone(configuration.resources)
        everything = wanted if whole else ChainMap(wanted, configuration.resources)
        problems, refused = await in_turns(configuration.sifting(wanted, everything, pipeline.resources.keys()))
        if refused is not None:
            try:
                await self._publish(wanted, deleted, whole=whole)
                if complete:
                    self._followed = plan if pipeline.sure else None
                    pipeline.published(configuration.state.generation, refused)
                    self._bind()
            except SlotsFullError as error:
                problems.append(str(error))
                self._followed = None
                self._loop.call_later(SLOTS_RETRY, self._wake.set)
        self._troubles.report(
            standalone.unbound(self._line.plan, self._binding.bound),
            [*problems, *self._line.problems],
        )
        await self._settle(complete=complete)

    async def _settle(self, *, complete: bool) -> None:
        """Say what became of objects, as far as the workers have taken it over."""
        pipeline = self._pipeline
        acknowledged = min((each.generation for each in self._publisher.workers.values()), default=-1)
        settled = await in_turns(pipeline.settling(self._binding.bound, acknowledged, datetime.now(UTC)))
        if self._cluster is not None and complete and not pipeline.busy:
            self._cluster.stand(pipeline.sockets)
        self._check_ready()
        self._saying.say(settled, ready=self._ready)

    async def _lose_patience(self) -> None:
        await self._saying.lose_patience()
        self._wake.set()

    async def _publish(self, wanted: dict[str, ir.Resource], deleted: list[str], *, whole: bool) -> None:
        """Publish what is wanted and valid: the whole, or a change. Raises SlotsFullError."""
        configuration = self._configuration
        slowest = drained(self._counters().vitals(), configuration.state.generation)
        step: Publish | None = None
        if whole:
            step = await in_turns(configuration.reconcile(wanted, slowest))
        elif wanted or deleted:
            step = await in_turns(configuration.change(wanted, deleted, slowest))
        if step is None:
            return
        new = configuration.state
        await self._archive.add(new, step)  # before any worker hears of it, also where that takes several turns
        self._links.send(self._publisher.publish(new, step))
        self._published = time.monotonic()
        if len(step.upserts) > MANY:
            gc.freeze()
        note = self._log.info if whole else self._log.debug
        note("published", generation=step.generation, changed=len(step.upserts), deleted=len(step.deletes))

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def serve(inherited: Inherited, log: Log, demo: Demo | None = None) -> None:
    """Be the control process until the supervisor is gone."""
    heartbeat = Heartbeat(inherited.words.words)
    control = Control(inherited, log, demo)
    admin = Admin(control.picture, log)
    await admin.serve(inherited.admin, inherited.probe)
    gc.collect()
    gc.freeze()  # the configuration is here to stay: no collection need look at it again
    gc.set_threshold(*COLLECT)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # a line for every change
    following = asyncio.create_task(control.run())
    try:
        await asyncio.wait((following, control.closed), return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        following.cancel()
        await asyncio.wait((following,))
        admin.close()
        control.close()
        heartbeat.stop()


def run(inherited: Inherited, demo: Demo | None = None) -> int:
    """Run the control process; return its exit code."""
    # The loop is never closed: that would wait for name servers that do not answer, and the process ends anyway.
    uvloop.new_event_loop().run_until_complete(serve(inherited, Log("control", inherited.settings.log), demo))
    return 0
