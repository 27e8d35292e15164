import pytest

from . import podspec
from .api import Object


def pod(container: Object, **spec: object) -> Object:
    metadata = {"name": "p", "namespace": "n", "uid": "u"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i", **container}], **spec}}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("registry.k8s.io/gateway-api/echo-basic:v1.5.1", "echo-basic"),
        ("localhost:5000/echo-basic@sha256:00", "echo-basic"),
        ("echo-basic", "echo-basic"),
    ],
)
def test_images_are_known_by_their_last_name(image: str, name: str) -> None:
    assert podspec.image_name(pod({"image": image})) == name


def test_fields_of_the_pod_become_variables() -> None:
    fields = {"A": "metadata.name", "B": "metadata.namespace", "C": "status.podIP", "D": "status.hostIP"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    item = pod({"env": [*env, {"name": "E", "value": "plain"}, {"name": "F"}]})
    found = podspec.environment(item, "10.0.0.2", "10.0.0.1")
    assert found == {"A": "p", "B": "n", "C": "10.0.0.2", "D": "10.0.0.1", "E": "plain", "F": ""}


@pytest.mark.parametrize(
    "source",
    [{"secretKeyRef": {"name": "s", "key": "k"}}, {"fieldRef": {"fieldPath": "metadata.labels['a']"}}],
)
def test_other_sources_of_variables_are_refused(source: Object) -> None:
    with pytest.raises(podspec.UnsupportedError, match="variable A"):
        podspec.environment(pod({"env": [{"name": "A", "valueFrom": source}]}), "", "")


def test_files_come_of_secrets_and_configmaps() -> None:
    volumes = [
        {"name": "s", "secret": {"secretName": "keys", "items": [{"key": "tls.crt", "path": "crt"}]}},
        {"name": "m", "configMap": {"name": "map", "optional": True}},
        {"name": "e", "emptyDir": {}},
    ]
    places = [{"name": name, "mountPath": f"/{name}"} for name in "sme"]
    assert podspec.mounts(pod({"volumeMounts": places}, volumes=volumes)) == [
        podspec.Mount("/s", "secrets", "keys", (("tls.crt", "crt"),), False),
        podspec.Mount("/m", "configmaps", "map", (), True),
    ]


def test_other_volumes_are_refused() -> None:
    item = pod({"volumeMounts": [{"name": "d", "mountPath": "/d"}]}, volumes=[{"name": "d", "hostPath": {"path": "/"}}])
    with pytest.raises(podspec.UnsupportedError, match="volume d"):
        podspec.mounts(item)


def test_a_second_container_is_refused() -> None:
    item = pod({})
    item["spec"]["containers"].append(item["spec"]["containers"][0])
    with pytest.raises(podspec.UnsupportedError):
        podspec.image_name(item)


def test_running_is_ready_and_waiting_is_not() -> None:
    running = podspec.running_status(pod({}), "10.0.0.2", "10.0.0.1", 1, "now")
    waiting = podspec.waiting_status(pod({}), "ErrImagePull", "no", "now")
    ready = [{each["type"]: each["status"] for each in status["conditions"]}["Ready"] for status in (running, waiting)]
    assert ready == ["True", "False"]
    assert running["podIPs"] == [{"ip": "10.0.0.2"}]
