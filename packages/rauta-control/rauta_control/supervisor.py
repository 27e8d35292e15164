"""The supervisor: the first process, and the only one that must never fail.

It binds what outlives its children, starts them (fleet.py), and turns signals and control's wishes into what they are
told. One thread, one selector, nothing that waits, no asyncio: small enough to be trusted as PID 1. It carries no
request and knows no configuration.

    SIGTERM   drain: readiness off, `drain_delay` seconds of service, `drain_timeout` for requests in flight; exit 0
    SIGINT    the same at once and with little patience; a second SIGTERM or SIGINT kills: exit 128 + signal
    SIGHUP    read the settings again
    SIGUSR1   open the access log anew, as nginx and Envoy do
    SIGUSR2   execute the program anew in place, keeping children and sockets (handover.py)
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from enum import Enum, auto

from rauta_control import cpus, filelimit, handover
from rauta_control.children import Patience, ending
from rauta_control.fleet import Fleet
from rauta_control.handover import State
from rauta_control.holdings import Holdings
from rauta_control.inherit import Role, Run
from rauta_control.listening import place
from rauta_control.log import Log
from rauta_control.messages import Bind, Draining, Keep, Listen, Reload, Retune, Since, Snapshot, ToSupervisor, Unlisten
from rauta_control.settings import Settings, reread
from rauta_control.signals import Signals, blocked


class Phase(Enum):
    """Life of the gateway. From one to the next, never back."""

    SERVING = auto()
    LEAVING = auto()  # serving for the drain delay, with readiness off
    DRAINING = auto()  # waiting for the workers
    FAREWELL = auto()  # waiting for the rest


class Supervisor:
    """The gateway's first process.

    `roles` are what its children run, `state` comes from before a re-exec. `command` is what a re-exec executes: by
    default what was executed for this process; if empty there is none.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Mapping[Role, Run],
        *,
        state: State | None = None,
        patience: Patience | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._state = state
        self._patience = patience or Patience()
        self._command = [sys.executable, *sys.orig_argv[1:]] if command is None else list(command)
        self._log = Log("supervisor", settings.log)
        self._phase = Phase.SERVING
        self._drain_at = 0.0
        self._drain_timeout = settings.drain_timeout
        self._check_at = 0.0
        self._trial = 0  # pid of the new program's trial start
        self._trial_until = 0.0
        self._exit: int | None = None

    def run(self) -> int:
        """Run the gateway; return the exit code of the program."""
        holdings = Holdings.adopt(self._state) if self._state else Holdings.open(self._settings)
        if isinstance(holdings, list):
            for problem in holdings:
                self._log.error(problem)
            return 1
        self._holdings = holdings
        filelimit.raised()
        gc.collect()
        gc.freeze()  # children share these pages as long as nobody touches them
        self._signals = Signals()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals, selectors.EVENT_READ, self._signalled)
        self._fleet = Fleet(
            self._settings,
            self._roles,
            holdings,
            self._selector,
            patience=self._patience,
            log=self._log,
            received=self._received,
            disown=self._disown,
        )
        self._begin(time.monotonic())
        while self._exit is None:
            for key, events in self._selector.select(self._wait()):
                key.data(events)
            self._tick(time.monotonic())
        return self._exit

    def _begin(self, now: float) -> None:
        for name, listener in (("admin", self._holdings.admin), ("probe", self._holdings.probe)):
            self._log.info(f"{name} listening", address=place(listener.sock))
        if self._state is not None:
            self._log.info("continues after re-exec", children=len(self._state.children))
            for child in self._state.children:
                self._fleet.adopt(child, now)
            self._reap(now)  # their signals went to nobody
            self._warn_of_outdated()
        self._fleet.fit(now)
        self._tick(now)

    def _disown(self) -> None:
        """In a child: the selector is a copy of ours; closing the descriptor leaves the original as it is."""
        self._selector.close()
        self._signals.close()

    # -- the loop

    def _wait(self) -> float:
        """Seconds until something is due."""
        deadlines = [self._check_at, *self._fleet.deadlines()]
        if self._phase is Phase.LEAVING:
            deadlines.append(self._drain_at)
        return max(0.0, min(deadlines) - time.monotonic())

    def _tick(self, now: float) -> None:
        if now >= self._check_at:
            self._check_at = now + self._patience.check
            self._fleet.check(now)
            if self._trial and now >= self._trial_until:
                os.kill(self._trial, signal.SIGKILL)
        self._fleet.kill_doomed(now)
        self._fleet.start_due(now)
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Go on with stopping, as far as it can go by now."""
        if self._phase is Phase.LEAVING and now >= self._drain_at:
            self._phase = Phase.DRAINING
            self._log.info("draining", workers=len(self._fleet.alive("worker")), timeout=self._drain_timeout)
            self._holdings.listeners.close()  # the workers' copies are the last: once they close, clients go elsewhere
            self._fleet.drain(now, self._drain_timeout)
        if self._phase is Phase.DRAINING and not self._fleet.alive("worker"):
            self._phase = Phase.FAREWELL
            self._fleet.farewell(now)
        if self._phase is Phase.FAREWELL and not self._fleet.alive():
            self._log.info("stopped")
            self._exit = 0

    # -- signals

    def _signalled(self, _: int) -> None:
        now = time.monotonic()
        for number in self._signals.read():
            if self._exit is not None:  # that children end now does not change with what code
                break
            match number:
                case signal.SIGCHLD:
                    self._reap(now)
                case signal.SIGTERM:
                    self._stop(number, now, self._settings.drain_delay, self._settings.drain_timeout)
                case signal.SIGINT:
                    self._stop(number, now, 0.0, min(self._settings.drain_timeout, self._patience.interrupt))
                case signal.SIGHUP:
                    self._reload(now)
                case signal.SIGUSR1:
                    self._log.info("opening the access log anew")
                    self._retune()
                case signal.SIGUSR2:
                    self._try_reexec(now)

    def _reap(self, now: float) -> None:
        """Take leave of every process that ended; as PID 1 also of orphans that were never ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if not self._fleet.ended(pid, status, now) and pid == self._trial:
                self._trial = 0
                self._reexec(os.waitstatus_to_exitcode(status))

    def _stop(self, number: int, now: float, delay: float, timeout: float) -> None:
        name = signal.Signals(number).name
        if self._phase is not Phase.SERVING:
            self._log.warn("stopping at once", signal=name)
            self._fleet.kill_all()
            self._exit = 128 + number
            return
        self._log.info("stopping", signal=name, delay=delay, timeout=timeout)
        self._phase = Phase.LEAVING
        self._drain_at = now + delay
        self._drain_timeout = timeout
        self._fleet.tell_all("control", Draining())
        self._fleet.standing.append(Draining())

    def _reload(self, now: float) -> None:
        """Tell control, and keep what is valid for children to come. Control reports what is not valid."""
        read = reread(self._settings, os.environ, cpus.available())
        self._log.info("reloading", problems=len(read) if isinstance(read, list) else None)
        if isinstance(read, Settings):
            if read.log != self._settings.log:
                self._log.warn("takes effect in processes that start from now on", setting="log")
            self._settings = self._fleet.settings = read
            self._warn_of_outdated()
            if self._phase is Phase.SERVING:
                self._fleet.fit(now)
        self._retune()  # also with the old ones: the access log may have been moved away
        self._fleet.tell_all("control", Reload())

    def _retune(self) -> None:
        """Tell workers the settings that are theirs; the access log is opened anew."""
        now = self._settings
        retune = Retune(now.limits, now.workers, now.trusted_proxies, now.via, now.access_log)
        self._fleet.tell_all("worker", retune)

    def _warn_of_outdated(self) -> None:
        for setting in self._holdings.outdated(self._settings):
            self._log.warn("takes effect at the next start", setting=setting)

    # -- what control wants

    def _received(self, message: ToSupervisor, fds: tuple[int, ...]) -> None:
        match message:
            case Snapshot():
                self._holdings.renew(fds[0])
            case Since():
                self._holdings.add(fds[0])
            case Keep():
                self._holdings.keep(fds[0])
            case Bind() if self._phase in (Phase.SERVING, Phase.LEAVING):
                self._bind(message)

    def _bind(self, message: Bind) -> None:
        change = self._holdings.listeners.change(message.listeners, self._unlisten)
        sockets = self._holdings.listeners.sockets()
        for name in change.new:
            self._log.info("listening", listener=name, address=place(sockets[name]))
            self._fleet.tell_all("worker", Listen(name), [sockets[name].fileno()])
        for answer in change.answers:
            if answer.error:
                self._log.error("cannot listen", listener=answer.listener, error=answer.error)
            self._fleet.tell_all("control", answer)

    def _unlisten(self, name: str) -> None:
        self._log.info("listener closed", listener=name)
        self._fleet.tell_all("worker", Unlisten(name))

    # -- re-exec

    def _state_now(self) -> State:
        return self._holdings.state(os.getpid(), self._fleet.state())

    def _try_reexec(self, now: float) -> None:
        """Let the new program show that it runs, before it replaces the one that works."""
        if self._trial or self._phase is not Phase.SERVING or not self._command:
            self._log.warn("re-exec not possible", phase=self._phase.name.lower(), trial=self._trial or None)
            return
        self._log.info("re-exec", command=" ".join(self._command))
        try:
            self._trial = handover.attempt(self._command, self._state_now())
            self._trial_until = now + self._patience.trial
        except OSError as error:
            self._log.error("re-exec failed", error=error)

    def _reexec(self, exit_code: int) -> None:
        if exit_code:
            self._log.error("re-exec refused: the new program does not start", ended=ending(exit_code))
            return
        if self._phase is not Phase.SERVING:
            return
        try:
            with blocked():
                self._signals.leave()
                handover.become(self._command, self._state_now())
        except OSError as error:
            self._log.error("re-exec failed", error=error)
