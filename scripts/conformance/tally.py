"""Tables of outcomes for people, and how far the suite's own report may be believed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .results import Outcome

LEVELS = ("core", "extended")
WIDTH = 300  # characters of a reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A test of the suite, whether or not it ran."""

    name: str
    features: tuple[str, ...]
    levels: dict[str, str]  # profile: core or extended
    parallel: bool
    provisional: bool


def tests_of(document: list[dict[str, Any]]) -> dict[str, Entry]:
    """The catalogue that the suite's module writes, by name."""
    return {each["name"]: Entry(**each | {"features": tuple(each["features"])}) for each in document}


def level(test: Entry | None, profiles: Iterable[str]) -> str:
    """What a test counts as in the first of the profiles that has it, or -."""
    return next((test.levels[each] for each in profiles if test and each in test.levels), "-")


def listing(tests: Iterable[Entry], profiles: tuple[str, ...]) -> list[str]:
    """The tests of the profiles, a line each: core first, with what they need."""
    chosen = sorted(
        (level(test, profiles), test.name, test) for test in tests if any(each in test.levels for each in profiles)
    )
    marks = {True: "parallel", False: "-"}, {True: "provisional", False: "-"}
    return [
        f"{rank:9}{name:60}{marks[0][test.parallel]:10}{marks[1][test.provisional]:13}{' '.join(test.features)}"
        for rank, name, test in chosen
    ]


def details(outcome: Outcome) -> list[str]:
    """Lines about a failure."""
    lines = [f"{outcome.where}: {outcome.reason}" if outcome.where else outcome.reason]
    if outcome.before:
        lines.append(f"logged before: {outcome.before}")
    return [f"         {shorten(line)}" for line in lines]


def shorten(text: str) -> str:
    """At most WIDTH characters: the beginning says what failed, the end why."""
    half = WIDTH // 2
    return text if len(text) <= WIDTH else f"{text[: half - 3]} ... {text[-half + 2 :]}"


def table(outcomes: Iterable[Outcome], tests: dict[str, Entry], profiles: tuple[str, ...]) -> list[str]:
    """Skipped tests of the profiles by what is missing, then what passed, then what failed and why."""
    missing: dict[str, list[str]] = {}
    passed, failed = [], []
    for each in sorted(outcomes, key=lambda each: each.name):
        rank = level(tests.get(each.name), profiles)
        line = f"{each.verdict:8} {rank:9}{each.seconds:6.1f} s  {each.name}"
        if each.verdict == "passed":
            passed.append(line)
        elif each.verdict == "failed":
            failed += [line, *details(each)]
        elif rank != "-":
            missing.setdefault(each.reason.rpartition(": ")[2] or "it does not say why", []).append(each.name)
    skipped = [f"skipped, {reason}: {', '.join(names)}" for reason, names in sorted(missing.items())]
    return skipped + passed + failed


def summary(outcomes: Iterable[Outcome], tests: dict[str, Entry], profiles: tuple[str, ...]) -> list[str]:
    """A line for each profile: how many of its tests passed, failed, were skipped."""
    verdicts = {each.name: each.verdict for each in outcomes}
    lines = []
    for profile in profiles:
        parts = []
        for rank in LEVELS:
            names = [test.name for test in tests.values() if test.levels.get(profile) == rank]
            counts = {
                verdict: sum(verdicts.get(name) == verdict for name in names)
                for verdict in ("passed", "failed", "skipped")
            }
            counts["not run"] = len(names) - sum(counts.values())
            rest = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count and verdict != "passed")
            parts.append(f"{rank} {counts['passed']} of {len(names)} passed" + (f" ({rest})" if rest else ""))
        lines.append(f"{profile}: {'; '.join(parts)}")
    return lines


def contradictions(outcomes: Iterable[Outcome], report: dict[str, Any]) -> list[str]:
    """Tests that failed, but not according to the report (an object of kind ConformanceReport)."""
    listed = {
        name
        for profile in report.get("profiles", ())
        for rank in LEVELS
        for name in (profile.get(rank) or {}).get("failedTests", ())
    }
    return sorted(each.name for each in outcomes if each.verdict == "failed" and each.name not in listed)
