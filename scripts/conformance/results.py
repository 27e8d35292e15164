"""What `go test -json` says of the suite's tests, which the suite's own report may contradict. Pure.

At v1.6.1 the suite writes its report before its parallel tests have run and counts them as passed (corrected in
v1.6.2), so a report alone is no evidence.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ROOT = "TestConformance"
SETUP = "(setup)"  # what failed before or between tests
LINE = re.compile(r"^\s*[\w-]+\.go:\d+: (?P<message>.*\S)")  # t.Log and friends
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d): ")  # of the suite's own logger
FIELD = re.compile(r"^\s+(?P<name>Error|Messages):\s+(?P<text>.*\S)")  # of testify
VERDICTS = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of the suite: passed, failed or skipped, and for the last two why."""

    name: str
    verdict: str
    seconds: float
    reason: str = ""


class Results:
    """Reads events as they come."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._lines: dict[str, list[str]] = {}  # by test of the suite; SETUP: outside of all
        self._open: dict[str, None] = {}  # tests that have begun and not ended, in order

    def feed(self, line: str) -> Outcome | None:
        """One line of `go test -json`; the outcome of a test of the suite, if that is what it tells."""
        try:
            event = json.loads(line)
        except ValueError:
            return None  # a panic of test2json itself, or an empty line
        path = event.get("Test", "").split("/")
        name = path[1] if len(path) > 1 else SETUP
        action = event["Action"]
        if action == "output":
            self._lines.setdefault(name, []).append(event["Output"].rstrip("\n"))
        elif action == "run" and len(path) == 2:
            self._open[name] = None
        elif action in VERDICTS and len(path) == 2:
            self._open.pop(name, None)
            verdict = VERDICTS[action]
            lines = self._lines.pop(name, [])
            reason = "" if verdict == "passed" else first_failure(lines) if verdict == "failed" else last_message(lines)
            outcome = Outcome(name, verdict, float(event.get("Elapsed", 0.0)), reason)
            self.outcomes.append(outcome)
            return outcome
        return None

    def finish(self, status: int) -> list[Outcome]:
        """After the last event, with the exit status: what failed without saying so."""
        late = [Outcome(name, "failed", 0.0, "did not end") for name in self._open]
        if status and not late and not self.count("failed"):
            late.append(Outcome(SETUP, "failed", 0.0, first_failure(self._lines.get(SETUP, []))))
        self.outcomes += late
        return late

    def count(self, verdict: str) -> int:
        """How many tests ended so."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def message_of(line: str) -> str | None:
    """What a line of `t.Log` says, without its place and time; None for other lines."""
    found = LINE.match(line)
    return STAMP.sub("", found["message"]) if found else None


def last_message(lines: Iterable[str]) -> str:
    """The last thing that was logged: of a skipped test, why."""
    return next((text for line in reversed(list(lines)) if (text := message_of(line))), "")


def first_failure(lines: list[str]) -> str:
    """The first failed assertion with its message, else the last thing that was logged, else the last line."""
    found: dict[str, str] = {}
    for line in lines:
        field = FIELD.match(line)
        if field and field["name"] in found:
            break  # the second assertion
        if field:
            found[field["name"]] = field["text"]
    if found:
        return ": ".join(found[name] for name in ("Messages", "Error") if name in found)
    panic = next((line for line in lines if line.startswith("panic: ")), "")
    return panic or last_message(lines) or (lines[-1].strip() if lines else "no output")


def table(outcomes: Iterable[Outcome], width: int = 160) -> list[str]:
    """Lines for people: the failed last, where they are seen."""
    order = {"skipped": 0, "passed": 1, "failed": 2}
    ranked = sorted(outcomes, key=lambda each: (order[each.verdict], each.name))
    room = max((len(each.name) for each in ranked), default=0)
    lines = [f"{each.verdict:8}{each.seconds:7.1f} s  {each.name:{room}}  {each.reason}".rstrip() for each in ranked]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def contradictions(outcomes: Iterable[Outcome], report: dict[str, Any]) -> list[str]:
    """Tests that failed, but not according to the report (an object of kind ConformanceReport)."""
    listed = {
        name
        for profile in report.get("profiles", ())
        for level in ("core", "extended")
        for name in (profile.get(level) or {}).get("failedTests", ())
    }
    return sorted(each.name for each in outcomes if each.verdict == "failed" and each.name not in listed)
