"""Decisions about child processes: when one that died starts again, and which one hangs. Pure: time is an argument.

All times are seconds of the monotonic clock, which stands still while the machine sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """The supervisor's, in seconds."""

    check: float = 1.0  # between two looks at the heartbeats
    hung: float = 5.0  # without a heartbeat (at most 0.1 s apart in a healthy worker) until a worker is replaced
    first_beat: float = 10.0  # from the start until the first heartbeat: a big snapshot takes a while to load
    control_hung: float = 15.0  # the same for control: nobody's request waits for it, and workers have the processors
    control_first_beat: float = 30.0
    late: float = 2.5  # between two looks, from when on it was we who slept and nobody is judged
    healthy: float = 1.0  # of life after which a death counts as the first one: a crash loop crashes at once
    # Seconds until the start after each further death. The first five keep a lone worker's gap under 0.3 s.
    backoff: tuple[float, ...] = (0.0, 0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
    interrupt: float = 5.0  # at most for requests in flight after Ctrl-C
    overtime: float = 1.0  # for a worker after its drain timeout, and for a child that closed its channel
    farewell: float = 2.0  # for control and demo to end once the workers have
    trial: float = 30.0  # for the new program to check its settings before a re-exec


@dataclass(slots=True)
class CrashBackoff:
    """How long a child that keeps dying waits for its next start. It never gives up."""

    deaths: int = 0  # since it last lived for `healthy` seconds

    def after(self, lived: float, patience: Patience) -> float:
        """Count a death after `lived` seconds; return the seconds until the next start."""
        if lived >= patience.healthy:
            self.deaths = 0
        self.deaths += 1
        return patience.backoff[min(self.deaths, len(patience.backoff)) - 1]


@dataclass(frozen=True, slots=True)
class Pulse:
    """A child as the detector sees it: when it started, and when it last turned its loop (0: not yet)."""

    name: str
    started: float
    beat: float
    control: bool = False  # which is judged with more


class HangDetector:
    """Finds children that no longer turn their loop."""

    def __init__(self, now: float, patience: Patience) -> None:
        self._patience = patience
        self._checked = now
        self._fair_since = now  # silence before this is not held against anybody

    def hung(self, now: float, pulses: Iterable[Pulse]) -> dict[str, str]:
        """Return the names of the children to replace and why.

        When this call itself comes late, the machine slept or was starved, and they with it: nobody is to blame.
        """
        if now - self._checked > self._patience.late:
            self._fair_since = now
        self._checked = now
        verdicts = ((pulse.name, self._verdict(now, pulse)) for pulse in pulses)
        return {name: reason for name, reason in verdicts if reason}

    def _verdict(self, now: float, pulse: Pulse) -> str:
        patience = self._patience
        hung, first_beat = patience.hung, patience.first_beat
        if pulse.control:
            hung, first_beat = patience.control_hung, patience.control_first_beat
        silent = now - max(pulse.beat or pulse.started, self._fair_since)
        if pulse.beat:
            return f"hung for {silent:.1f} s" if silent > hung else ""
        return f"did not come up in {silent:.1f} s" if silent > first_beat else ""


def ending(exit_code: int) -> str:
    """Say how a process ended, given os.waitstatus_to_exitcode."""
    return f"signal {-exit_code}" if exit_code < 0 else f"exit {exit_code}"
