"""The suite itself: run it, tell of each test as it ends, judge the whole."""

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import yaml

from .plan import Plan
from .problem import ConformanceError
from .results import Results
from .tally import Entry, contradictions, summary, table, tests_of

UNPUBLISHED = "none: not published"  # the suite asks for an address and a contact; --suite-flag says others


def say(line: str) -> None:
    """Progress, for people."""
    print(line, flush=True)


def suite_command(plan: Plan, report: Path, more: tuple[str, ...]) -> list[str]:
    """The suite's test binary, wrapped so that it prints what `go test -json` would."""
    names = "|".join(plan.tests)
    flags = [
        "-test.v=test2json",
        f"-test.run=^TestConformance$/^({names})$" if names else "-test.run=^TestConformance$",
        f"-test.timeout={plan.timeout}s",
        f"-test.parallel={plan.parallel}",
        f"-gateway-class={plan.gateway_class}",
        f"-conformance-profiles={','.join(plan.profiles)}",
        "-organization=rauta",
        "-project=rauta",
        f"-url={UNPUBLISHED}",
        f"-version={plan.version}",
        f"-contact={UNPUBLISHED}",
    ]
    if plan.features:
        flags.append(f"-supported-features={plan.features}")
    if not names:  # a filtered run would report what it left out as passed
        flags.append(f"-report-output={report}")
    programs = plan.programs
    return [
        str(programs["test2json"]),
        "-t",
        "-p",
        "conformance",
        str(programs["suite"]),
        *flags,
        *more,
        *plan.suite_flags,
    ]


async def run_suite(plan: Plan, kubeconfig: Path, more: tuple[str, ...] = ()) -> int:
    """Run it, with more flags for this cluster; tell of each test as it ends, then all of it; the exit status."""
    report = plan.folder / "report.yaml"
    results = Results()
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    process = await asyncio.create_subprocess_exec(
        *suite_command(plan, report, more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=plan.folder,
        start_new_session=True,
        limit=1 << 24,
    )
    assert process.stdout is not None  # noqa: S101 - PIPE above
    try:
        with (plan.folder / "suite.json").open("w") as kept:
            async for raw in process.stdout:
                line = raw.decode(errors="replace")
                kept.write(line)
                outcome = results.feed(line)
                if outcome and outcome.verdict != "skipped":
                    say(f"  {outcome.verdict} {outcome.name} ({outcome.seconds:.1f} s)")
        status = await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # test2json and the suite
            await process.wait()
    results.finish(status)
    return conclude(plan, results, status, report, catalogue(plan.programs["suite"], plan.folder))


def catalogue(suite: Path, folder: Path) -> dict[str, Entry]:
    """What tests the suite has, by name, as it says itself."""
    target = folder / "catalogue.json"
    command = [str(suite), "-test.run=^TestCatalogue$", f"-catalogue={target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConformanceError(f"the suite does not list its tests:\n{done.stdout}{done.stderr}")
    return tests_of(json.loads(target.read_text()))


def conclude(plan: Plan, results: Results, status: int, report: Path, tests: dict[str, Entry]) -> int:
    """Print the table, judge the report; the exit status: 0 only if something passed and nothing failed."""
    say("\n" + "\n".join(table(results.outcomes, tests, plan.profiles)))
    say("\n" + "\n".join(summary(results.outcomes, tests, plan.profiles)))
    if report.exists():
        wrong = contradictions(results.outcomes, yaml.safe_load(report.read_text()))
        if wrong:
            say(f"DO NOT PUBLISH the report: {len(wrong)} tests failed that it does not list: {', '.join(wrong)}")
        if plan.report:
            plan.report.write_bytes(report.read_bytes())
            say(f"report: {plan.report}")
    say(f"logs: {plan.folder}")
    if not results.count("passed") and not results.count("failed"):
        say(f"no test ran. Is there one named {', '.join(plan.tests) or '(any)'}, and are its features supported?")
        return 1
    return 1 if status or results.count("failed") else 0
