"""One run: make the cluster, start the implementation, run the suite against it, end everything."""

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import cluster, network, podlogs
from .api import Api, Object
from .kubelet import Kubelet
from .problem import ConformanceError
from .process import Process
from .results import Results
from .tally import Test, contradictions, summary, table, tests_of

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
ESTABLISHED = 30.0  # seconds
ACCEPTED = 60.0  # seconds from the implementation's start to a GatewayClass that it has accepted
USABLE = "10.245.255.1"  # for GatewayStaticAddresses: local to the run's network
UNUSABLE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody can bind it
OURS = "RAUTA_CONFORMANCE_"  # variables of the runner, which an implementation need not understand


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    programs: Mapping[str, Path]
    crds: Path
    folder: Path  # of this run
    implementation: str  # a command line; empty: none
    apply: tuple[Path, ...]
    service_account: str  # NAMESPACE/NAME that the implementation is; empty: an administrator
    gateway_class: str
    controller: str
    tests: tuple[str, ...]  # empty: all
    profiles: tuple[str, ...]
    features: str  # empty: those of the GatewayClass
    report: Path | None
    version: str
    timeout: int  # seconds for all tests
    parallel: int
    suite_flags: tuple[str, ...]
    command: str  # to run instead of the suite; empty: the suite


def say(line: str) -> None:
    """Progress, for people."""
    print(line, flush=True)


async def install(api: Api, paths: list[Path]) -> list[Object]:
    """Apply all objects of YAML files; waits until custom resources are served."""
    items = [item for path in paths for item in yaml.safe_load_all(path.read_text()) if item]
    for item in items:
        await api.apply(item)
    names = [item["metadata"]["name"] for item in items if item["kind"] == "CustomResourceDefinition"]
    deadline = time.monotonic() + ESTABLISHED
    for name in names:
        while not _is_true(await api.get(f"{CRDS}/{name}"), "Established"):
            if time.monotonic() > deadline:
                raise ConformanceError(f"the API server does not serve {name} after {ESTABLISHED:.0f} s")
            await asyncio.sleep(0.05)
    return items


def _is_true(item: Object | None, condition: str) -> bool:
    found = (item or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == condition and each["status"] == "True" for each in found)


@asynccontextmanager
async def prepared(plan: Plan) -> AsyncIterator[tuple[cluster.Cluster, Api]]:
    """A cluster with the Gateway API in it, and a kubelet that runs its Pods."""
    begun = time.monotonic()
    network.set_up()
    async with contextlib.AsyncExitStack() as ended:
        made = await ended.enter_async_context(cluster.running(plan.programs, plan.folder / "cluster"))
        context = made.context(made.authority.issue("rauta-conformance", "system:masters"))
        api = await ended.enter_async_context(Api(made.server, context))
        say(f"the API server serves {(await api.request('GET', '/version'))['gitVersion']} after "
            f"{time.monotonic() - begun:.1f} s: KUBECONFIG={made.kubeconfig}")
        await install(api, sorted(plan.crds.glob("*.yaml")))
        kubelet = Kubelet(api, plan.programs["echo"], plan.folder / "pods", say)
        port = await ended.enter_async_context(podlogs.served(made.authority, kubelet.transcript, time.time))
        await kubelet.register(port)
        running = asyncio.create_task(kubelet.run())
        ended.push_async_callback(kubelet.stop)
        ended.callback(running.cancel)
        say(f"Gateway API {plan.crds.parent.name} ({plan.crds.name}) and a node after {time.monotonic() - begun:.1f} s")
        yield made, api


async def credentials(plan: Plan, made: cluster.Cluster, api: Api) -> Path:
    """The kubeconfig of the implementation: an administrator's, or a service account's own."""
    if not plan.service_account:
        return made.kubeconfig
    namespace, _, name = plan.service_account.partition("/")
    request: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 24 * 3600},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = (await api.request("POST", path, request))["status"]["token"]
    target = made.kubeconfig.with_name("implementation.kubeconfig")
    return cluster.write_kubeconfig(target, made.server, made.authority.certificate, {"token": token})


@asynccontextmanager
async def implemented(plan: Plan, made: cluster.Cluster, api: Api) -> AsyncIterator[Process | None]:
    """The implementation under test, running, and its GatewayClass."""
    applied = await install(api, list(plan.apply))
    if not any(item["kind"] == "GatewayClass" and item["metadata"]["name"] == plan.gateway_class for item in applied):
        item = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": plan.gateway_class},
            "spec": {"controllerName": plan.controller},
        }
        await api.apply(item)
    if not plan.implementation:
        yield None
        return
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment["KUBECONFIG"] = str(await credentials(plan, made, api))
    command = shlex.split(plan.implementation)
    process = await Process.start("the implementation", command, plan.folder / "implementation.log", environment)
    try:
        yield process
    finally:
        await process.stop()


async def await_class(plan: Plan, api: Api, process: Process | None) -> None:
    """Until the implementation has accepted its GatewayClass and listed its features there, which the suite reads."""

    async def accepted() -> bool:
        item = await api.get(f"{CLASSES}/{plan.gateway_class}")
        return _is_true(item, "Accepted") and bool((item or {})["status"].get("supportedFeatures"))

    if process and not plan.features:
        await process.await_ready(accepted, ACCEPTED)


def suite_command(plan: Plan, report: Path) -> list[str]:
    """The suite's test binary, wrapped so that it prints what `go test -json` would."""
    names = "|".join(plan.tests)
    flags = [
        "-test.v=test2json",
        f"-test.run=^TestConformance$/^({names})$" if names else "-test.run=^TestConformance$",
        f"-test.timeout={plan.timeout}s",
        f"-test.parallel={plan.parallel}",
        f"-gateway-class={plan.gateway_class}",
        f"-conformance-profiles={','.join(plan.profiles)}",
        f"-usable-address={USABLE}",
        f"-unusable-address={UNUSABLE}",
        "-cleanup-base-resources=false",  # the whole cluster goes
        "-organization=rauta",
        "-project=rauta",
        "-url=https://github.com/rauta/rauta",
        f"-version={plan.version}",
        "-contact=https://github.com/rauta/rauta/issues",
    ]
    if plan.features:
        flags.append(f"-supported-features={plan.features}")
    if not names:  # a filtered run would report what it left out as passed
        flags.append(f"-report-output={report}")
    programs = plan.programs
    return [str(programs["test2json"]), "-t", "-p", "conformance", str(programs["suite"]), *flags, *plan.suite_flags]


async def run_suite(plan: Plan, made: cluster.Cluster) -> int:
    """Run it, tell of each test as it ends, then all of it; the exit status."""
    report = plan.folder / "report.yaml"
    results = Results()
    environment = {**os.environ, "KUBECONFIG": str(made.kubeconfig)}
    process = await asyncio.create_subprocess_exec(
        *suite_command(plan, report),
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
            process.kill()
            await process.wait()
    results.finish(status)
    return conclude(plan, results, status, report, catalogue(plan.programs["suite"], plan.folder))


def catalogue(suite: Path, folder: Path) -> dict[str, Test]:
    """What tests the suite has, by name, as it says itself."""
    target = folder / "catalogue.json"
    command = [str(suite), "-test.run=^TestCatalogue$", f"-catalogue={target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConformanceError(f"the suite does not list its tests:\n{done.stdout}{done.stderr}")
    return tests_of(json.loads(target.read_text()))


def conclude(plan: Plan, results: Results, status: int, report: Path, tests: dict[str, Test]) -> int:
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


async def run_command(plan: Plan, made: cluster.Cluster) -> int:
    """Something else than the suite, in the same network, with KUBECONFIG set; its exit status."""
    environment = {**os.environ, "KUBECONFIG": str(made.kubeconfig)}
    process = await asyncio.create_subprocess_exec(*shlex.split(plan.command), env=environment)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def run(plan: Plan) -> int:
    """All of it; the exit status."""
    async with prepared(plan) as (made, api), implemented(plan, made, api) as process:
        if plan.command:
            return await run_command(plan, made)
        await await_class(plan, api, process)
        say("running the suite; its base Pods and Gateways first")
        status = await run_suite(plan, made)
        if process and process.ended is not None:
            say(f"the implementation ended by itself, with status {process.ended}:\n{process.tail()}")
            return status or 1
        return status
