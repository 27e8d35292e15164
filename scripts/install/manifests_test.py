"""`manifests/` as a cluster would get it: known to its API, consistent, and what RAUTA itself understands."""

import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from lightkube.utils.quantity import parse_quantity

from rauta_control.children import Patience
from rauta_control.settings import DEFAULT_CLASS, Settings, parse
from rauta_control.terms import CONTROLLER
from scripts.install import schema
from scripts.install.kustomize import Document, build

MANIFESTS = Path(__file__).parents[2] / "manifests"
MODES = {
    "deployment": "Deployment",
    "daemonset": "DaemonSet",
    "services": "Deployment",
}  # the folder, and what runs the pods


class Mode:
    """What one folder makes."""

    def __init__(self, name: str) -> None:
        self.documents = build(MANIFESTS / name)
        self.runs = self.one(MODES[name])
        self.template = self.runs["spec"]["template"]
        self.pod: dict[str, Any] = self.template["spec"]
        (self.container,) = self.pod["containers"]

    def one(self, kind: str) -> Document:
        (found,) = self.all(kind)
        return found

    def all(self, kind: str) -> list[Document]:
        return [each for each in self.documents if each["kind"] == kind]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def deployment() -> Mode:
    return Mode("deployment")


@pytest.fixture
def daemonset() -> Mode:
    return Mode("daemonset")


def environment(container: dict[str, Any]) -> dict[str, str]:
    """The variables of a container as the kubelet sets them."""
    found = {}
    for each in container["env"]:
        if "value" in each:
            found[each["name"]] = each["value"]
        else:
            field = each["valueFrom"]["resourceFieldRef"]
            assert (field["containerName"], field["divisor"]) == (container["name"], "1")
            part, _, resource = field["resource"].partition(".")
            found[each["name"]] = str(math.ceil(parse_quantity(container["resources"][part][resource]) or 0))
    assert len(found) == len(container["env"]), "expected each variable once"
    return found


def settings(mode: Mode) -> Settings:
    """What RAUTA makes of the container's arguments and variables."""
    found = parse(mode.container.get("args", []), environment(mode.container), 1.0)
    assert isinstance(found, Settings), found
    return found


def test_every_manifest_belongs_to_a_mode() -> None:
    assert {path.name for path in MANIFESTS.iterdir()} == {"base", "pod", *MODES}


def test_every_object_is_one_that_the_api_takes(mode: Mode) -> None:
    assert {each["metadata"]["name"]: found for each in mode.documents if (found := schema.problems(each))} == {}


def test_what_the_api_does_not_take_is_seen(deployment: Mode) -> None:
    deployment.container["ports"][0]["protcol"] = "TCP"
    assert schema.problems(deployment.runs) == ["unknown field .spec.template.spec.containers[0].ports[0].protcol"]
    deployment.container["ports"][0] = {"containerPort": "80"}
    (problem,) = schema.problems(deployment.runs)
    assert "Expected `int`, got `str`" in problem
    gateway_class = deployment.one("GatewayClass")
    del gateway_class["spec"]["controllerName"]
    assert schema.problems(gateway_class)


def test_everything_is_in_its_namespace_and_says_whose_it_is(mode: Mode) -> None:
    namespace = mode.one("Namespace")["metadata"]["name"]
    whole = {"Namespace", "ClusterRole", "ClusterRoleBinding", "GatewayClass"}
    for each in mode.documents:
        metadata = each["metadata"]
        assert metadata.get("namespace") == (None if each["kind"] in whole else namespace), each
        assert metadata["labels"]["app.kubernetes.io/name"] == "rauta", each


def test_every_selector_finds_the_pods(mode: Mode) -> None:
    labels = mode.template["metadata"]["labels"]
    selectors = [mode.runs["spec"]["selector"]["matchLabels"]]
    selectors += [each["spec"]["selector"] for each in mode.all("Service")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in mode.all("PodDisruptionBudget")]
    selectors += [each["labelSelector"]["matchLabels"] for each in mode.pod.get("topologySpreadConstraints", [])]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)


def test_every_port_that_is_named_is_one_of_the_container(mode: Mode) -> None:
    ports = {each["name"]: each["containerPort"] for each in mode.container["ports"]}
    probes = [mode.container[probe]["httpGet"] for probe in ("readinessProbe", "livenessProbe")]
    assert [(probe["path"], ports[probe["port"]]) for probe in probes] == [
        ("/readyz", settings(mode).probe_port),
        ("/healthz", settings(mode).probe_port),
    ]
    for each in mode.all("Service"):
        assert all(port["port"] == ports[port["targetPort"]] for port in each["spec"]["ports"])
        assert "probe" not in {port["targetPort"] for port in each["spec"]["ports"]}


def test_the_settings_are_some_that_rauta_takes_and_keep_the_admin_server_inside(mode: Mode) -> None:
    assert settings(mode).admin_host == "127.0.0.1"
    assert settings(mode).workers == 2
    assert settings(mode).kubernetes


def test_a_drain_ends_before_the_kubelet_loses_its_patience(mode: Mode) -> None:
    found, patience = settings(mode), Patience()
    needed = found.drain_delay + found.drain_timeout + patience.overtime + patience.farewell
    assert found.drain_delay > 0
    assert needed < mode.pod["terminationGracePeriodSeconds"] < needed + 10


def test_the_image_is_this_version(mode: Mode) -> None:
    assert mode.container["image"] == f"rauta-control:{version('rauta-control')}"


def test_the_class_is_rautas(mode: Mode) -> None:
    gateway_class = mode.one("GatewayClass")
    assert gateway_class["spec"]["controllerName"] == CONTROLLER
    assert gateway_class["metadata"]["name"] == DEFAULT_CLASS


def test_the_pod_can_do_as_little_as_possible(mode: Mode) -> None:
    security = mode.pod["securityContext"]
    assert security["runAsNonRoot"]
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    own = mode.container["securityContext"]
    assert not own["allowPrivilegeEscalation"]
    assert own["readOnlyRootFilesystem"]
    assert own["capabilities"]["drop"] == ["ALL"]
    assert "volumes" not in mode.pod
    assert mode.pod["serviceAccountName"] == mode.one("ServiceAccount")["metadata"]["name"]
    assert not mode.one("ServiceAccount")["automountServiceAccountToken"]


def test_behind_a_service_low_ports_need_no_capability(deployment: Mode) -> None:
    assert "add" not in deployment.container["securityContext"]["capabilities"]
    assert deployment.pod["securityContext"]["sysctls"] == [
        {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    ]
    assert deployment.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert deployment.runs["spec"]["replicas"] > deployment.one("PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_with_a_service_for_each_gateway_the_own_one_only_says_which_pods_there_are() -> None:
    mode = Mode("services")
    service, terms = mode.one("Service"), settings(mode).services
    assert terms is not None
    assert (terms.type, terms.namespace, terms.name) == (
        "LoadBalancer",
        service["metadata"]["namespace"],
        service["metadata"]["name"],
    )
    assert service["spec"]["clusterIP"] == "None"
    assert "externalTrafficPolicy" not in service["spec"]
    assert settings(Mode("deployment")).services is None


def test_on_the_network_of_the_host_it_has_the_one_capability_and_no_service(daemonset: Mode) -> None:
    assert daemonset.pod["hostNetwork"]
    assert daemonset.container["securityContext"]["capabilities"]["add"] == ["NET_BIND_SERVICE"]
    assert "sysctls" not in daemonset.pod["securityContext"]
    assert not daemonset.all("Service")
