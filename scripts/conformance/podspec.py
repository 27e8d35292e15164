"""What a Pod of the suite asks its kubelet for: program, environment, files. Pure."""

from dataclasses import dataclass

from .api import Object

ECHO = "echo-basic"
DNS = "coredns"


class UnsupportedError(Exception):
    """The Pod wants something that this kubelet does not do; the message names it."""


@dataclass(frozen=True, slots=True)
class Mount:
    """The keys of a Secret or ConfigMap as files in a folder of the container."""

    folder: str
    kind: str  # "secrets" or "configmaps"
    name: str
    files: tuple[tuple[str, str], ...]  # (key, file name); empty: all keys under their own names
    optional: bool


def image_name(pod: Object) -> str:
    """The last part of the image's name, without tag and digest: what this kubelet knows programs by."""
    containers = pod["spec"]["containers"]
    if len(containers) != 1 or pod["spec"].get("initContainers"):
        raise UnsupportedError("only Pods of one container can be run here")
    image: str = containers[0]["image"]
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def environment(pod: Object, address: str, host: str) -> dict[str, str]:
    """The variables of the container, fields of the Pod filled in."""
    metadata, spec = pod["metadata"], pod["spec"]
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": host,
        "status.podIP": address,
    }
    found = {}
    for each in spec["containers"][0].get("env", ()):
        source = each.get("valueFrom", {})
        path = source.get("fieldRef", {}).get("fieldPath")
        if source and path not in fields:
            raise UnsupportedError(f"the source of variable {each['name']} is not supported here: {source}")
        found[each["name"]] = fields[path] if source else each.get("value", "")
    return found


def mounts(pod: Object) -> list[Mount]:
    """The volumes that hold files, in the order of their mounts. Tokens and empty folders are left out."""
    volumes = {each["name"]: each for each in pod["spec"].get("volumes", ())}
    found = []
    for each in pod["spec"]["containers"][0].get("volumeMounts", ()):
        volume = volumes[each["name"]]
        if "secret" in volume:
            kind, source, name = "secrets", volume["secret"], volume["secret"]["secretName"]
        elif "configMap" in volume:
            kind, source, name = "configmaps", volume["configMap"], volume["configMap"]["name"]
        elif "emptyDir" in volume or "projected" in volume:
            continue
        else:
            raise UnsupportedError(f"volume {each['name']} is of a kind that is not supported here")
        files = tuple((item["key"], item["path"]) for item in source.get("items", ()))
        found.append(Mount(each["mountPath"], kind, name, files, source.get("optional", False)))
    return found


def conditions(ready: bool, now: str) -> list[Object]:
    """The conditions of a Pod on a node; what waits for its container is neither initialized nor ready."""
    states = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    return [{"type": kind, "status": str(state), "lastTransitionTime": now} for kind, state in states.items()]


def running_status(pod: Object, address: str, host: str, restarts: int, now: str) -> Object:
    """The status of a Pod whose container runs and listens."""
    container = pod["spec"]["containers"][0]
    return {
        "phase": "Running",
        "startTime": now,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions(True, now),
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": restarts,
                "state": {"running": {"startedAt": now}},
            }
        ],
    }


def waiting_status(pod: Object, reason: str, message: str, now: str) -> Object:
    """The status of a Pod whose container does not run, in a kubelet's words."""
    return {
        "phase": "Pending",
        "conditions": conditions(False, now),
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"waiting": {"reason": reason, "message": message}},
            }
            for container in pod["spec"]["containers"]
        ],
    }
