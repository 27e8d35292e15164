"""What `go test -json` says of the suite's tests. Pure.

The suite's own report is no evidence alone: at v1.6.1 it is written before the parallel tests have run, and counts
them as passed (corrected in v1.6.2).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ROOT = "TestConformance"
SETUP = "(setup)"  # what failed before or between tests
LOG = re.compile(r"^\s*[\w-]+\.go:\d+: (?:\d{4}-\d\d-\d\dT\S+: )?(?P<text>.*\S)")  # t.Log and the suite's own logger
FIELD = re.compile(r"^\s+(?P<name>Error|Messages|Test):\s+(?P<text>.*\S)")  # of testify's block for a failed assertion
REQUEST = re.compile(r"\b(Get|Patch|Post|Put) \"https://[^\"]*\": ")  # which request timed out is not the cause
DUMP = re.compile(r" for request: .*  not ready yet(?=:)")  # all fields of the request, before the difference
NOISE = (  # tells no cause
    *("Applying ", "Creating ", "Updating ", "Deleting ", "Running ", "Gateways and Pods in ", "Making "),
    *("Searching for the mirrored ", 'Reading "', "Found mirrored request log"),
)
VERDICTS = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of the suite."""

    name: str
    verdict: str  # passed, failed or skipped
    seconds: float
    reason: str = ""  # of a failure: the first failed assertion; of a skip: what the suite says
    where: str = ""  # the subtest that failed first, if not the test itself
    before: str = ""  # what was logged last before it failed


@dataclass(slots=True)
class _Running:
    """A test that has not ended."""

    lines: list[tuple[str, str]] = field(default_factory=list)  # (subtest, line) in order
    failed: list[str] = field(default_factory=list)  # subtests, the first to end first
    longest: float = 0.0  # seconds of a subtest: a test's own do not count those of its parallel ones


class Results:
    """Reads events as they come."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._running: dict[str, _Running] = {SETUP: _Running()}

    def feed(self, line: str) -> Outcome | None:
        """One line of `go test -json`; the outcome of a test of the suite, if that is what it tells."""
        try:
            event = json.loads(line)
        except ValueError:
            return None  # an empty line
        path = event.get("Test", "").split("/", 2)
        name, subtest = (path[1] if len(path) > 1 else SETUP), (path[2] if len(path) > 2 else "")
        test = self._running.setdefault(name, _Running())
        action = event["Action"]
        if action == "output":
            test.lines.append((subtest, event["Output"].rstrip("\n")))
        elif action in VERDICTS and subtest:
            test.longest = max(test.longest, event.get("Elapsed", 0.0))
            if action == "fail":
                test.failed.append(subtest)
        elif action in VERDICTS and len(path) == 2:
            del self._running[name]
            outcome = _outcome(name, VERDICTS[action], max(event.get("Elapsed", 0.0), test.longest), test)
            self.outcomes.append(outcome)
            return outcome
        return None

    def finish(self, status: int) -> list[Outcome]:
        """After the last event, with the exit status: what failed without saying so."""
        setup = self._running.pop(SETUP)
        late = [Outcome(name, "failed", 0.0, "it did not end") for name in self._running]
        if status and (late or not self.count("failed")):
            late.append(_outcome(SETUP, "failed", 0.0, setup))
        self.outcomes += late
        return late

    def count(self, verdict: str) -> int:
        """How many tests ended so."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def _outcome(name: str, verdict: str, seconds: float, test: _Running) -> Outcome:
    if verdict == "passed":
        return Outcome(name, verdict, seconds)
    if verdict == "skipped":
        return Outcome(name, verdict, seconds, next(_logged(test.lines), ""))
    panic = next((line for _, line in test.lines if line.startswith("panic: ")), "")
    start = next(
        (at for at, (_, line) in enumerate(test.lines) if (it := FIELD.match(line)) and it["name"] == "Error"), None
    )
    if panic or start is None:
        where = test.failed[0] if test.failed else ""
        told = _logged(test.lines, where)
        reason = panic or next(told, "it does not say why")
        return Outcome(name, verdict, seconds, reason, where, next(told, ""))
    where = test.lines[start][0]
    own = [line for subtest, line in test.lines[start:] if subtest == where]
    return Outcome(name, verdict, seconds, _assertion(own), where, next(_logged(test.lines[:start], where), ""))


def _assertion(lines: list[str]) -> str:
    """Testify's message and error, from the line of the error on."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if matched := FIELD.match(line):
            if (name := matched["name"]) == "Test" and found.get("Messages"):
                break
            if name in found:
                break  # the next assertion
            found[name] = [matched["text"]]
        elif name == "Messages" or not line.startswith("   "):
            break
        elif name:
            found[name].append(line.strip())
    error = REQUEST.sub("", " ".join(found.get("Error", ()))).replace("Received unexpected error: ", "")
    return ": ".join(filter(None, (" ".join(found.get("Messages", ())), error)))


def _logged(lines: list[tuple[str, str]], where: str | None = None) -> Iterator[str]:
    """What was logged and could be a cause, the last first; by the subtest if one is given."""
    for subtest, line in reversed(lines):
        matched = LOG.match(line) if where is None or subtest == where else None
        if matched and not matched["text"].startswith(NOISE):
            yield DUMP.sub("", matched["text"])
