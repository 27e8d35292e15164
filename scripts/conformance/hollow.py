"""A negative control: an implementation that says yes to every Gateway and serves nothing.

`--implementation "python -m scripts.conformance.hollow"` shows that cluster and suite work without a gateway, and that
the suite fails what nobody serves. It claims all features of its first argument, a comma-separated list.
"""

import asyncio
import os
import ssl
import sys

import yaml

from .api import Api, Object

GROUP = "/apis/gateway.networking.k8s.io/v1"
ADDRESS = "10.245.254.1"  # local to the run's network; nobody listens
NOW = "2026-01-01T00:00:00Z"


def condition(kind: str, item: Object) -> Object:
    """True, at the object's generation."""
    generation = item["metadata"]["generation"]
    found = {"type": kind, "status": "True", "reason": kind, "message": ""}
    return {**found, "observedGeneration": generation, "lastTransitionTime": NOW}


def class_status(item: Object, features: list[str]) -> Object:
    """Accepted, with these features."""
    return {"conditions": [condition("Accepted", item)], "supportedFeatures": [{"name": each} for each in features]}


def gateway_status(item: Object) -> Object:
    """Programmed, at an address where nobody listens."""
    listeners = [
        {
            "name": each["name"],
            "attachedRoutes": 0,
            "supportedKinds": [],
            "conditions": [condition(kind, item) for kind in ("Accepted", "Programmed", "ResolvedRefs")],
        }
        for each in item["spec"].get("listeners", ())
    ]
    return {
        "addresses": [{"type": "IPAddress", "value": ADDRESS}],
        "conditions": [condition("Accepted", item), condition("Programmed", item)],
        "listeners": listeners,
    }


async def follow(api: Api, path: str, namespaced: bool, features: list[str]) -> None:
    """Write the status of each object whose generation has none yet."""
    async for event, item in api.watch(path):
        if event not in ("ADDED", "MODIFIED"):
            continue
        made = gateway_status(item) if namespaced else class_status(item, features)
        if (
            item.get("status", {}).get("conditions", [{}])[0].get("observedGeneration")
            == item["metadata"]["generation"]
        ):
            continue
        metadata = item["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        plural = path.rsplit("/", 1)[1]
        await api.patch(f"{GROUP}{scope}/{plural}/{metadata['name']}/status", {"status": made})


async def main(kubeconfig: str, features: list[str]) -> None:
    """For ever."""
    with open(kubeconfig) as file:
        found = yaml.safe_load(file)
    server, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
    context = ssl.create_default_context(cafile=server["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    async with Api(server["server"], context) as api:
        await asyncio.gather(
            follow(api, f"{GROUP}/gatewayclasses", namespaced=False, features=features),
            follow(api, f"{GROUP}/gateways", namespaced=True, features=features),
        )


if __name__ == "__main__":
    asyncio.run(main(os.environ["KUBECONFIG"], sys.argv[1].split(",")))
