"""A stand-in for scheduler and kubelet: takes every Pod to the one node, runs it, and says how it is.

It knows two images: the suite's echo server, which it runs for real, and CoreDNS, which it only pretends to run (no
test but UDPRoute's asks it anything). Any other image cannot be pulled here, and the Pod says so.
"""

import asyncio
import contextlib
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from .api import Api, ApiError, Object
from .network import HOST, pod_address
from .pod import Container, fill
from .podspec import DNS, ECHO, UnsupportedError, environment, image_name, mounts, running_status, waiting_status
from .problem import ConformanceError
from .transcript import Transcript

NODE = "conformance"
PODS = "/api/v1/pods"
RESTART = (0.2, 1.0, 5.0)  # seconds before a container that ended is started again; then always the last


def node(port: int, now: str) -> Object:
    """The one node, whose kubelet listens on a port. Room for all: nothing here counts resources."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "5000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": HOST}, {"type": "Hostname", "address": NODE}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}],
        },
    }


def timestamp() -> str:
    """RFC 3339, now."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    """Runs the Pods of a cluster. `run` goes on until it is cancelled; then call `stop`."""

    def __init__(self, api: Api, echo: Path, folder: Path, say: Callable[[str], None]) -> None:
        """`echo` is the echo server's executable, on the same file system as `folder`, where Pods live."""
        self._api = api
        self._echo = echo
        self._folder = folder
        self._say = say
        self._count = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by uid
        self._transcripts: dict[tuple[str, str], Transcript] = {}  # by namespace and name

    async def register(self, port: int) -> None:
        """Create the node, whose logs are served on this port of the host's address."""
        item = node(port, timestamp())
        await self._api.request("POST", "/api/v1/nodes", item)
        await self._api.patch(f"/api/v1/nodes/{NODE}/status", {"status": item["status"]})
        await self._api.patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": []}})  # not-ready, until told otherwise

    def transcript(self, namespace: str, pod: str) -> Transcript | None:
        """What a Pod's container has printed so far."""
        return self._transcripts.get((namespace, pod))

    async def run(self) -> None:
        """Follow the cluster's Pods for ever."""
        async for event, item in self._api.watch(PODS):
            if event == "LISTED":
                here = {each["metadata"]["uid"] for each in item["items"]}
                for uid in self._tasks.keys() - here:
                    self._end(uid)
                continue
            metadata = item["metadata"]
            if event == "DELETED":
                self._end(metadata["uid"])
            elif metadata.get("deletionTimestamp"):
                self._end(metadata["uid"])
                await self._forget(item)
            elif metadata["uid"] not in self._tasks:
                self._tasks[metadata["uid"]] = task = asyncio.create_task(self._keep(item))
                task.add_done_callback(self._surprise)

    async def stop(self) -> None:
        """End all Pods."""
        tasks = list(self._tasks.values())
        for uid in list(self._tasks):
            self._end(uid)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _surprise(self, task: asyncio.Task[None]) -> None:
        """A bug of this kubelet, told rather than lost."""
        if not task.cancelled() and (error := task.exception()):
            self._say(f"kubelet: {error!r}")

    def _end(self, uid: str) -> None:
        if task := self._tasks.pop(uid, None):
            task.cancel()

    async def _forget(self, item: Object) -> None:
        """Tell the API server that the Pod is gone."""
        metadata = item["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with contextlib.suppress(ApiError):  # somebody was faster
            await self._api.request("DELETE", self._path(item), body)

    @staticmethod
    def _path(item: Object) -> str:
        return f"/api/v1/namespaces/{item['metadata']['namespace']}/pods/{item['metadata']['name']}"

    async def _keep(self, item: Object) -> None:
        """Bind a Pod to the node and run it until it is cancelled. A Pod that cannot run says why."""
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        try:
            if not item["spec"].get("nodeName"):
                await self._bind(item)
            await self._start(item)
        except UnsupportedError as error:
            await self._report(item, waiting_status(item, "CreateContainerConfigError", str(error), timestamp()))
        except ApiError as error:
            if error.status not in (404, 409):  # deleted meanwhile
                self._say(f"kubelet: {name}: {error}")
        except (ConformanceError, OSError, TimeoutError, aiohttp.ClientError) as error:
            self._say(f"kubelet: {name}: {error}")
            await self._report(item, waiting_status(item, "CreateContainerError", str(error), timestamp()))

    async def _bind(self, item: Object) -> None:
        """What a scheduler does."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": item["metadata"]["name"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self._api.request("POST", f"{self._path(item)}/binding", binding)

    async def _report(self, item: Object, status: Object) -> None:
        with contextlib.suppress(ApiError):  # deleted meanwhile
            await self._api.patch(f"{self._path(item)}/status", {"status": status})

    async def _start(self, item: Object) -> None:
        """Run the Pod's image, for ever."""
        image = image_name(item)
        number, self._count = self._count, self._count + 1
        if image == DNS:
            await self._report(item, running_status(item, pod_address(number), HOST, 0, timestamp()))
        elif image == ECHO:
            await self._run(item, number)
        else:
            message = f"image {item['spec']['containers'][0]['image']} cannot be pulled here"
            await self._report(item, waiting_status(item, "ErrImagePull", message, timestamp()))

    async def _run(self, item: Object, number: int) -> None:
        """The echo server, restarted when it ends."""
        metadata = item["metadata"]
        container = Container(self._folder / metadata["uid"], number)
        container.root.mkdir(parents=True)
        key = (metadata["namespace"], metadata["name"])
        self._transcripts[key] = container.transcript
        variables = environment(item, container.address, HOST)
        try:
            await fill(self._api, container.root, metadata["namespace"], mounts(item))
            restarts = 0
            while True:
                try:
                    await container.start(self._echo, variables)
                    status = running_status(item, container.address, HOST, restarts, timestamp())
                    await self._report(item, status)
                    ended = f"ended with status {await container.wait()}"
                except ConnectionAbortedError as error:
                    ended = str(error)
                container.transcript.add(f"kubelet: the container {ended}\n".encode(), time.time())
                await container.stop()
                await self._report(item, waiting_status(item, "CrashLoopBackOff", ended, timestamp()))
                await asyncio.sleep(RESTART[min(restarts, len(RESTART) - 1)])
                restarts += 1
        finally:
            await container.stop()
            container.remove()
            self._transcripts.pop(key, None)
