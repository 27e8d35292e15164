"""One run: make the cluster, start the implementation, run the suite against it, end everything."""

import asyncio
import contextlib
import os
import shlex
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from . import cluster, network, podlogs
from .api import Api, Object
from .kubelet import Kubelet
from .plan import Plan
from .problem import ConformanceError
from .process import Process
from .trial import run_suite, say

OURS = "RAUTA_CONFORMANCE_"  # variables of the runner, which an implementation need not understand
FLAGS = (
    "-usable-address=10.245.255.1",  # for GatewayStaticAddresses: local to the run's network
    "-unusable-address=192.0.2.1",  # TEST-NET-1 (RFC 5737): nobody can bind it
    "-cleanup-base-resources=false",  # the whole cluster goes
)
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
WATCH = 0.5  # seconds between looks at the processes that a run needs
ESTABLISHED = 30.0  # seconds
ACCEPTED = 60.0  # seconds from the implementation's start to a GatewayClass that it has accepted


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
        say(
            f"the API server serves {(await api.request('GET', '/version'))['gitVersion']} after "
            f"{time.monotonic() - begun:.1f} s: KUBECONFIG={made.kubeconfig}"
        )
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
    return cluster.write_kubeconfig(target, made.server, made.authority.certificate, {"token": token}, namespace)


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
        needed = [*made.processes, *([process] if process else [])]
        return await together(run_suite(plan, made.kubeconfig, FLAGS), needed)


async def together(work: Coroutine[None, None, int], needed: list[Process]) -> int:
    """What the work returns; ConformanceError, and the work is cancelled, as soon as a process it needs ends."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=WATCH))[0]:
            for process in needed:
                if process.ended is not None:
                    raise ConformanceError(f"{process.name} ended with status {process.ended}:\n{process.tail()}")
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
