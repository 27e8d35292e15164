"""What a pipeline makes of what sources, sockets and workers say, driven as control drives it."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from rauta_control.catalog import Catalog
from rauta_control.condition import Status
from rauta_control.gateway import GatewayStatus
from rauta_control.ir import Cluster, Endpoint, Listener, Rule, validate
from rauta_control.listenerset import ListenerSetStatus
from rauta_control.messages import Bound
from rauta_control.pipeline import HELD, UNSURE, Pipeline
from rauta_control.pki_test import pair
from rauta_control.problem import Problem
from rauta_control.samples_test import ROUTE, SERVICE, endpoints
from rauta_control.slices import finish
from rauta_control.source import Fault
from rauta_control.terms import Terms
from rauta_control.world import Key

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(class_name="rauta", pool=("10.9.0.1", "10.9.0.2"))
GW = Key("Gateway", "default", "gw")
SET = Key("ListenerSet", "default", "more")
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rauta
  allowedListeners: {namespaces: {from: Same}}
  listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 81, protocol: HTTP}]
"""
LISTENERSET = """
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec: {parentRef: {name: gw}, listeners: [{name: c, port: 82, protocol: HTTP}]}
"""
SERVED = SERVICE + endpoints("FQDN", "web.example")


class World:
    """A pipeline, a folder of files before it, and the data plane behind it."""

    def __init__(self, *, restored: bool = False) -> None:
        self.woken = 0
        self.pipeline = Pipeline(TERMS, self._wake, restored=restored)
        self.catalog = Catalog()
        self.bound: dict[str, Bound] = {}
        self.generation = 0
        self.now = NOW

    def write(self, name: str, text: str) -> None:
        finish(self.catalog.update(name, text))
        self.pipeline.edit(self.catalog.edits())
        self.pipeline.report(tuple(self.catalog.faults()))

    def translate(self) -> None:
        finish(self.pipeline.updating(self.now))

    def publish(self) -> None:
        self.generation += 1
        self.pipeline.published(self.generation)

    def bind(self, port: int, error: str = "") -> None:
        for socket in self.pipeline.sockets:
            if socket.spec_port == port:
                self.bound[socket.name] = Bound(socket.name, socket.address, port, error)
                self.pipeline.moved(socket.name)

    def settle(self, acknowledged: int) -> dict[Key, Status | None]:
        self.now += timedelta(seconds=1)
        return finish(self.pipeline.settling(self.bound, acknowledged, self.now))

    def programmed(self, key: Key = GW) -> dict[str, tuple[str, str]]:
        """By listener, and under `` of the whole: status and reason."""
        status = self.pipeline.statuses[key]
        assert isinstance(status, GatewayStatus | ListenerSetStatus)
        parts = {"": status.conditions} | {each.name: each.conditions for each in status.listeners}
        return {
            name: next((each.status, each.reason) for each in conditions if each.type == "Programmed")
            for name, conditions in parts.items()
        }

    def since(self) -> datetime:
        status = self.pipeline.statuses[GW]
        assert isinstance(status, GatewayStatus)
        return next(each.last_transition_time for each in status.conditions if each.type == "Programmed")

    def _wake(self) -> None:
        self.woken += 1


def served(*texts: str) -> World:
    """A world in which all of it is bound and acknowledged."""
    world = World()
    world.write("all.yaml", "---".join(texts))
    world.pipeline.synced()
    world.translate()
    world.publish()
    for port in (80, 81, 82):
        world.bind(port)
    world.settle(world.generation)
    return world


def test_a_gateway_is_programmed_once_sockets_are_bound_and_workers_have_it() -> None:
    world = World()
    world.write("all.yaml", f"{GATEWAY}---{LISTENERSET}")
    world.translate()
    assert set(world.settle(-1)) == {GW, SET}
    assert world.programmed() == dict.fromkeys(("", "a", "b"), ("False", "Pending"))
    world.publish()
    for port in (80, 81, 82):
        world.bind(port)
    world.settle(world.generation - 1)
    assert world.programmed()[""] == ("False", "Pending")
    assert world.pipeline.waits
    assert set(world.settle(world.generation)) == {GW, SET}
    assert world.programmed() == dict.fromkeys(("", "a", "b"), ("True", "Programmed"))
    assert world.programmed(SET) == dict.fromkeys(("", "c"), ("True", "Programmed"))
    assert not world.pipeline.waits
    assert world.settle(world.generation) == {}


def test_a_port_that_cannot_be_bound_is_a_condition_and_a_finding() -> None:
    world = served(GATEWAY, LISTENERSET)
    assert not world.pipeline.findings
    then = world.since()
    world.bind(81, "cannot listen: permission denied")
    assert set(world.settle(world.generation)) == {GW}
    assert world.programmed() == {
        "": ("False", "PortUnavailable"),
        "a": ("True", "Programmed"),
        "b": ("False", "PortUnavailable"),
    }
    assert world.since() == world.now > then
    (found,) = world.pipeline.findings
    assert (found.code, found.object, found.path) == ("RAUTA-CFG-048", GW, "spec.listeners[1].port")
    assert "permission denied" in found.message
    world.bind(82, "cannot listen: permission denied")
    world.settle(world.generation)
    assert world.programmed(SET)[""] == ("False", "PortUnavailable")
    for port in (81, 82):
        world.bind(port)
    world.settle(world.generation)
    assert not world.pipeline.findings
    assert world.programmed()[""] == ("True", "Programmed")


def test_a_route_does_not_touch_what_its_gateway_says_of_itself() -> None:
    world = served(GATEWAY)
    then = world.since()
    world.write("route.yaml", f"{ROUTE}---{SERVED}")
    world.translate()
    world.settle(world.generation)
    assert world.programmed()[""] == ("True", "Programmed")
    assert world.since() == then
    assert Key("HTTPRoute", "default", "web") in world.pipeline.statuses


def test_what_was_translated_waits_until_it_is_published() -> None:
    world = World()
    world.write("gateway.yaml", GATEWAY)
    world.translate()
    first = set(world.pipeline.pending)
    world.write("route.yaml", f"{ROUTE}---{SERVED}")
    world.translate()
    assert first < set(world.pipeline.pending)
    assert {key for key, each in world.pipeline.pending.items() if each is not None} == world.pipeline.resources.keys()
    assert validate(world.pipeline.resources) == []
    world.publish()
    assert world.pipeline.pending == {}
    finish(world.catalog.update("gateway.yaml", "# gone"))
    world.pipeline.edit(world.catalog.edits())
    world.translate()
    assert all(each is None for each in world.pipeline.pending.values())
    assert world.pipeline.pending.keys() >= first
    world.settle(world.generation)
    assert GW not in world.pipeline.statuses
    assert world.pipeline.sockets == []


def test_host_names_of_endpoints_are_asked_for_and_told() -> None:
    world = served(GATEWAY, ROUTE, SERVED)
    assert world.pipeline.hosts == {"web.example"}
    assert [each.code for each in world.pipeline.findings] == ["RAUTA-CFG-026"]
    world.pipeline.resolve({"web.example": ("10.0.0.1",), "other": ("10.0.0.2",)})
    assert world.pipeline.busy
    world.translate()
    assert set(world.pipeline.pending) == {"cluster/default/web:80"}
    assert not world.pipeline.findings
    world.pipeline.resolve({"web.example": ("10.0.0.1",)})
    assert not world.pipeline.busy


def test_a_cluster_stays_as_it_is_while_its_name_was_never_resolved() -> None:
    world = served(GATEWAY, ROUTE, SERVED)
    name = "cluster/default/web:80"
    assert world.pipeline.wanted(world.pipeline.resources, {}) == world.pipeline.resources
    held = {name: Cluster("default/web:80", (Endpoint("10.0.0.9", 8080),))}
    assert world.pipeline.wanted(world.pipeline.resources, held)[name] == held[name]
    world.pipeline.resolve({"web.example": ("10.0.0.1",)})
    world.translate()
    assert world.pipeline.wanted(world.pipeline.pending, held) == world.pipeline.pending != {}


def test_addresses_are_kept_while_gateways_come_and_over_a_restart() -> None:
    def address(world: World, name: str) -> str:
        (found,) = {each.address for each in world.pipeline.sockets if each.gateways == (f"default/{name}",)}
        return found

    world = served(GATEWAY)
    before = address(world, "gw")
    world.write("first.yaml", GATEWAY.replace("name: gw", "name: a"))
    world.translate()
    assert address(world, "gw") == before != address(world, "a")

    again = World(restored=True)
    again.pipeline.hold(world.pipeline.resources.values())
    again.write("b.yaml", GATEWAY.replace("name: gw", "name: a") + "---" + GATEWAY)
    again.translate()
    assert address(again, "gw") == before
    assert {each.key for each in again.pipeline.sockets} == {
        key for key, each in world.pipeline.resources.items() if isinstance(each, Listener)
    }


def test_a_restart_with_broken_documents_deletes_nothing_until_something_is_edited() -> None:
    broken = (Fault("a.yaml#1", "", Problem("", "not YAML")),)
    world = World(restored=True)
    world.pipeline.report(broken)
    world.pipeline.synced()
    assert not world.pipeline.complete
    assert world.pipeline.problems[0] == HELD
    world.pipeline.synced()
    assert not world.pipeline.complete
    world.pipeline.edit({})
    assert world.pipeline.complete
    assert not world.pipeline.sure
    assert world.pipeline.problems[0] == UNSURE
    world.pipeline.report(())
    assert world.pipeline.sure
    assert world.pipeline.problems == []
    world.pipeline.report(broken)
    assert world.pipeline.sure

    mended = World(restored=True)
    mended.pipeline.report(broken)
    mended.pipeline.synced()
    mended.pipeline.report(())
    assert mended.pipeline.complete

    known = World(restored=True)
    known.pipeline.report(tuple(replace(each, kept=True) for each in broken))
    known.pipeline.synced()
    assert known.pipeline.complete
    assert not known.pipeline.sure

    fresh = World()
    fresh.pipeline.report(broken)
    fresh.pipeline.synced()
    assert fresh.pipeline.complete
    assert fresh.pipeline.problems == ["Error a.yaml#1 not YAML"]


def test_while_anything_may_be_missing_only_rules_go() -> None:
    world = World(restored=True)
    world.write("broken.yaml", "kind: [")
    world.pipeline.synced()
    world.write("all.yaml", f"{GATEWAY}---{ROUTE}---{SERVED}")
    world.translate()
    held = dict(world.pipeline.resources)
    world.publish()
    world.catalog.remove("all.yaml")
    world.pipeline.edit(world.catalog.edits())
    world.translate()
    rules = {key for key, each in held.items() if isinstance(each, Rule)}
    assert not world.pipeline.sure
    assert set(world.pipeline.gone(held)) == rules != set()
    world.pipeline.report(())
    assert set(world.pipeline.gone(held)) == held.keys()


def test_faults_of_documents_are_findings() -> None:
    world = World()
    world.write(
        "a.yaml",
        f"{GATEWAY}---{GATEWAY}---\nkind: [\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\n",
    )
    found = sorted((each.code, str(each.object), each.place) for each in world.pipeline.findings)
    assert found == [
        ("RAUTA-CFG-070", "Document a.yaml#3", "a.yaml#3"),
        ("RAUTA-CFG-071", "Deployment x", "a.yaml#4"),
        ("RAUTA-CFG-072", "Gateway default/gw", "a.yaml#2"),
    ]


def test_certificates_are_looked_at_whenever_somebody_asks() -> None:
    made = pair("a.example")
    secret = f"""
apiVersion: v1
kind: Secret
metadata: {{name: pair}}
type: kubernetes.io/tls
data: {{tls.crt: {b64encode(made.certificate).decode()}, tls.key: {b64encode(made.key).decode()}}}
"""
    listener = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: pair}]}}"
    gateway = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec: {{gatewayClassName: rauta, listeners: [{listener}]}}
"""
    world = served(gateway, secret)
    assert world.pipeline.outdated(NOW) == ()
    (found,) = world.pipeline.outdated(NOW + timedelta(days=40_000))
    assert (found.code, str(found.object)) == ("RAUTA-CFG-058", "Secret default/pair")
    world.write("all.yaml", gateway)
    world.translate()
    assert world.pipeline.outdated(NOW + timedelta(days=40_000)) == ()


def test_terms_that_change_translate_anew() -> None:
    world = served(GATEWAY)
    world.pipeline.tell(Terms(class_name="other", one_class=True))
    assert world.pipeline.busy
    world.translate()
    assert all(each is None for each in world.pipeline.pending.values())
    world.settle(world.generation)
    assert world.pipeline.statuses == {}
