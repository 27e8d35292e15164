"""What is wrong now: logged when it begins and when it is over, not while it lasts."""

from __future__ import annotations

from collections.abc import Iterable

from rauta_control.log import Log


class Troubles:
    """`present` is what was reported last, the failures first. `begun` and `over` are what is logged of each."""

    def __init__(self, log: Log, begun: str, over: str) -> None:
        self._log = log
        self._begun = begun
        self._over = over
        self.present: list[str] = []

    def report(self, failures: Iterable[str], warnings: Iterable[str]) -> None:
        """These are all there are: `failures` that somebody must look at, and `warnings` of what is coped with."""
        failures = list(failures)
        present = [*failures, *warnings]
        for problem in present:
            if problem not in self.present:
                write = self._log.error if problem in failures else self._log.warn
                write(self._begun, problem=problem)
        for problem in self.present:
            if problem not in present:
                self._log.info(self._over, problem=problem)
        self.present = present
