"""Incremental translation equals full translation, after any edits; and what a change says is what changed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rauta_control import ir
from rauta_control.addresses import held_by
from rauta_control.admission import Admitted, admit
from rauta_control.condition import Status
from rauta_control.documents import documents
from rauta_control.gateway import GatewayStatus, GatewayStatusAddress
from rauta_control.golden_test import filled
from rauta_control.httproute import RouteStatus
from rauta_control.kinds import AnyResource
from rauta_control.supported import EXPRESSED, TODAY
from rauta_control.terms import Terms
from rauta_control.translate import Translator, translate
from rauta_control.world import Key, key_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
G = "gateway.networking.k8s.io"

#: What an object may be, by how users know it. Every object may also be missing.
UNIVERSE = {
    f"{G}/v1 GatewayClass rauta": (
        "spec: {controllerName: rauta.io/gateway-controller}",
        "spec: {controllerName: example.com/other}",
        "{metadata: {generation: 2}, spec: {controllerName: rauta.io/gateway-controller, "
        "parametersRef: {group: x.io, kind: X, name: x}}}",
    ),
    f"{G}/v1 Gateway infra/a": (
        "spec: {gatewayClassName: rauta, listeners: [{name: http, port: 80, protocol: HTTP}]}",
        "spec: {gatewayClassName: rauta, allowedListeners: {namespaces: {from: All}}, listeners: ["
        "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}, "
        "{name: ex, port: 80, protocol: HTTP, hostname: '*.example', allowedRoutes: {namespaces: "
        "{from: Selector, selector: {matchLabels: {team: a}}}}}]}",
        "spec: {gatewayClassName: rauta, addresses: [{value: 10.9.0.2}], listeners: [{name: https, port: 443, "
        "protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: certs}]}}, "
        "{name: http, port: 80, protocol: HTTP, hostname: a.example}]}",
        "spec: {gatewayClassName: other, listeners: [{name: http, port: 80, protocol: HTTP}]}",
        "{metadata: {generation: 3}, spec: {gatewayClassName: rauta, allowedListeners: {namespaces: {from: Same}}, "
        "listeners: [{name: odd, port: 80, protocol: ODD}]}}",
    ),
    f"{G}/v1 Gateway infra/b": (
        "spec: {gatewayClassName: rauta, listeners: [{name: http, port: 80, protocol: HTTP, "
        "allowedRoutes: {namespaces: {from: All}}}]}",
        "{metadata: {creationTimestamp: '2020-01-01T00:00:00Z'}, spec: {gatewayClassName: rauta, "
        "addresses: [{value: 10.9.0.1}], listeners: [{name: http, port: 8080, protocol: HTTP}]}}",
    ),
    f"{G}/v1 ListenerSet infra/s": (
        "spec: {parentRef: {name: a}, listeners: [{name: x, port: 80, protocol: HTTP, hostname: x.example}]}",
        "spec: {parentRef: {name: a}, listeners: [{name: x, port: 8080, protocol: HTTP}, "
        "{name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: certs}]}}]}",
        "spec: {parentRef: {name: b}, listeners: [{name: x, port: 81, protocol: HTTP}]}",
    ),
    f"{G}/v1 ListenerSet web/t": (
        "spec: {parentRef: {name: a, namespace: infra}, listeners: "
        "[{name: x, port: 80, protocol: HTTP, hostname: x.example}]}",
    ),
    f"{G}/v1 HTTPRoute infra/r1": (
        "spec: {parentRefs: [{name: a}], rules: [{backendRefs: [{name: v1, port: 8080}]}]}",
        "spec: {parentRefs: [{name: a}, {name: b}], hostnames: [a.example, x.example], rules: ["
        "{matches: [{path: {value: /a}}, {path: {value: /b}, method: GET}], backendRefs: [{name: v1, port: 8080}, "
        "{name: v2, namespace: web, port: 8080, weight: 2}]}]}",
        "spec: {parentRefs: [{kind: ListenerSet, name: s}], rules: [{matches: [{headers: [{name: x, value: y}]}], "
        "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, namespace: web, port: 8080}}}], "
        "backendRefs: [{name: v1, port: 9090}]}]}",
        "{metadata: {generation: 7}, spec: {parentRefs: [{name: a, sectionName: http}], rules: [{filters: "
        "[{type: RequestRedirect, requestRedirect: {scheme: https}}], timeouts: {request: 1s}}]}}",
    ),
    f"{G}/v1 HTTPRoute infra/r2": (
        "{metadata: {creationTimestamp: '2020-01-01T00:00:00Z'}, spec: {parentRefs: [{name: a}], "
        "rules: [{backendRefs: [{name: v1, port: 8080}]}]}}",
        "spec: {parentRefs: [{name: b}], hostnames: ['*.example'], rules: [{matches: [{path: {value: /a}}], "
        "backendRefs: [{name: none, port: 1}]}]}",
        "spec: {parentRefs: [{name: a}], hostnames: [a.example], rules: [{matches: [{path: {value: /a}}]}]}",
    ),
    f"{G}/v1 HTTPRoute web/r3": (
        "spec: {parentRefs: [{name: a, namespace: infra}], rules: [{backendRefs: [{name: v2, port: 8080}]}]}",
        "spec: {parentRefs: [{kind: ListenerSet, name: t}, {name: b, namespace: infra}], "
        "rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: v1, namespace: infra, port: 8080}]}]}",
    ),
    "v1 Service infra/v1": (
        "spec: {ports: [{port: 8080}]}",
        "spec: {ports: [{name: web, port: 8080}, {name: more, port: 9090, appProtocol: kubernetes.io/h2c}]}",
        "spec: {type: ExternalName, externalName: example.org}",
    ),
    "v1 Service web/v2": ("spec: {ports: [{port: 8080}]}", "spec: {ports: [{port: 80}]}"),
    "discovery.k8s.io/v1 EndpointSlice infra/one": (
        "{metadata: {labels: {kubernetes.io/service-name: v1}}, addressType: IPv4, ports: [{port: 3000}], "
        "endpoints: [{addresses: [10.0.0.1]}]}",
        "{metadata: {labels: {kubernetes.io/service-name: v1}}, addressType: IPv4, ports: [{name: web, port: 3000}], "
        "endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: {ready: false}}]}",
        "{metadata: {labels: {kubernetes.io/service-name: other}}, addressType: IPv4, ports: [{port: 3000}], "
        "endpoints: [{addresses: [10.0.0.3]}]}",
        "{metadata: {labels: {kubernetes.io/service-name: v1}}, addressType: FQDN, ports: [{port: 3000}], "
        "endpoints: [{addresses: [db.example.com]}]}",
    ),
    "discovery.k8s.io/v1 EndpointSlice infra/six": (
        "{metadata: {labels: {kubernetes.io/service-name: v1}}, addressType: IPv6, ports: [{port: 3000}], "
        "endpoints: [{addresses: ['fd00::1']}]}",
    ),
    "discovery.k8s.io/v1 EndpointSlice web/two": (
        "{metadata: {labels: {kubernetes.io/service-name: v2}}, addressType: IPv4, ports: [{port: 3000}], "
        "endpoints: [{addresses: [10.0.1.1]}]}",
    ),
    f"{G}/v1 ReferenceGrant web/g": (
        f"spec: {{from: [{{group: {G}, kind: HTTPRoute, namespace: infra}}], to: [{{group: '', kind: Service}}]}}",
        f"spec: {{from: [{{group: {G}, kind: HTTPRoute, namespace: other}}], to: [{{group: '', kind: Service}}]}}",
    ),
    f"{G}/v1 ReferenceGrant certs/g": (
        f"spec: {{from: [{{group: {G}, kind: Gateway, namespace: infra}}], to: [{{group: '', kind: Secret}}]}}",
        f"spec: {{from: [{{group: {G}, kind: ListenerSet, namespace: infra}}], to: [{{group: '', kind: Secret}}]}}",
    ),
    "v1 Secret certs/cert": (
        "{type: kubernetes.io/tls, stringData: {tls.crt: '{CERTIFICATE}', tls.key: '{KEY}'}}",
        "{type: kubernetes.io/tls, stringData: {tls.crt: '{CERTIFICATE}', tls.key: '{OTHER_KEY}'}}",
    ),
    "v1 Namespace web": ("{metadata: {labels: {team: a}}}", "{metadata: {labels: {team: b}}}"),
}
BASE = Terms(pool=("10.9.0.1", "10.9.0.2"), abilities=EXPRESSED)
TERMS = (
    BASE,
    msgspec.structs.replace(BASE, pool=("10.9.0.1",)),
    msgspec.structs.replace(BASE, abilities=TODAY),
    msgspec.structs.replace(BASE, names={"db.example.com": ("10.1.1.1",)}),
    msgspec.structs.replace(BASE, held={"infra/b": ("10.9.0.1",)}),
)


def built(head: str, body: str) -> AnyResource:
    version, kind, path = head.split()
    namespace, _, name = path.rpartition("/")
    (document,) = documents(body)
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **document.pop("metadata", {})}
    verdict = admit(filled({"apiVersion": version, "kind": kind, "metadata": meta, **document}))
    assert isinstance(verdict, Admitted), verdict
    return verdict.resource


OBJECTS: dict[Key, list[AnyResource]] = {}
for each_head, bodies in UNIVERSE.items():
    variants = [built(each_head, body) for body in bodies]
    OBJECTS[key_of(variants[0])] = variants
CHOICES = [(key, number) for key, variants in OBJECTS.items() for number in range(-1, len(variants))]


def chosen(key: Key, number: int) -> AnyResource | None:
    return None if number < 0 else OBJECTS[key][number]


class Edits(RuleBasedStateMachine):
    @initialize(whole=st.booleans())
    def start(self, whole: bool) -> None:
        self.translator = Translator(BASE)
        self.terms = BASE
        self.objects: dict[Key, AnyResource | None] = dict(everything()) if whole else {}
        self.resources: dict[str, ir.Resource] = {}
        self.statuses: dict[Key, Status | None] = {}
        self.apply(self.objects)

    @rule(edits=st.lists(st.sampled_from(range(len(CHOICES))), min_size=1, max_size=4))
    def edit(self, edits: list[int]) -> None:
        objects = {CHOICES[each][0]: chosen(*CHOICES[each]) for each in edits}
        self.objects |= objects
        self.apply(objects)

    @rule(number=st.integers(0, len(TERMS) - 1))
    def tell(self, number: int) -> None:
        self.terms = TERMS[number]
        self.apply({}, self.terms)

    def apply(self, objects: Mapping[Key, AnyResource | None], terms: Terms | None = None) -> None:
        change = self.translator.update(objects, NOW, terms)
        assert not change.upserts.keys() & change.deletes
        assert all(self.resources.get(key) != each for key, each in change.upserts.items())
        assert change.deletes <= self.resources.keys()
        self.resources |= change.upserts
        for key in change.deletes:
            del self.resources[key]
        self.statuses |= change.statuses

    @invariant()
    def incremental_is_full(self) -> None:
        if not hasattr(self, "translator"):
            return
        objects = [each for each in self.objects.values() if each is not None]
        full = translate(objects, self.terms, NOW)
        assert self.translator.translation() == full
        assert self.resources == full.resources
        assert {key: each for key, each in self.statuses.items() if each is not None} == full.statuses
        assert ir.validate(dict(full.resources)) == []

    def teardown(self) -> None:
        if hasattr(self, "translator"):
            self.translator.update(dict.fromkeys(self.objects), NOW)
            assert self.translator.translation() == translate([], self.terms, NOW)
            assert len(self.translator._graph) <= 3, "something that nobody needs is kept"


TestEdits = Edits.TestCase
TestEdits.settings = hypothesis_settings(max_examples=60, stateful_step_count=25, deadline=None)


def everything() -> dict[Key, AnyResource]:
    return {key: variants[0] for key, variants in OBJECTS.items()}


@pytest.fixture
def translator() -> Translator:
    made = Translator(BASE)
    made.update(everything(), NOW)
    return made


def test_an_endpoint_touches_its_cluster_and_nothing_else(translator: Translator) -> None:
    key = Key("EndpointSlice", "infra", "one")
    change = translator.update({key: None}, NOW)
    assert (list(change.upserts), change.deletes, change.statuses) == (["cluster/infra/v1:8080"], frozenset(), {})


def test_a_change_that_means_nothing_changes_nothing(translator: Translator) -> None:
    route = OBJECTS[Key("HTTPRoute", "infra", "r1")][0]
    labelled = msgspec.structs.replace(route, metadata=msgspec.structs.replace(route.metadata, labels={"a": "b"}))
    change = translator.update({key_of(route): labelled}, NOW)
    assert (change.upserts, change.deletes, change.statuses, change.findings) == ({}, frozenset(), {}, False)


def test_times_move_with_the_status_of_a_condition_only(translator: Translator) -> None:
    key = Key("HTTPRoute", "infra", "r1")
    service = Key("Service", "infra", "v1")
    before = times(translator, key)
    assert set(before.values()) == {NOW}
    later = NOW + timedelta(hours=1)
    change = translator.update({service: None}, later)
    assert key in change.statuses
    assert times(translator, key) == {**before, "ResolvedRefs": later}
    again = translator.update({service: OBJECTS[service][2]}, later + timedelta(hours=1))
    assert key in again.statuses, "the reason is another"
    assert times(translator, key) == {**before, "ResolvedRefs": later}


def test_times_of_before_are_kept_by_a_new_translator(translator: Translator) -> None:
    later = translate(everything().values(), BASE, NOW + timedelta(hours=1), translator.statuses)
    assert later.statuses == translator.statuses


def test_the_status_of_the_object_itself_is_what_was_before(translator: Translator) -> None:
    key = Key("Gateway", "infra", "a")
    status = translator.statuses[key]
    assert isinstance(status, GatewayStatus)
    gateway = msgspec.structs.replace(OBJECTS[key][0], status=status)
    later = translate((everything() | {key: gateway}).values(), BASE, NOW + timedelta(hours=1))
    assert later.statuses[key] == translator.statuses[key]


def test_the_input_is_not_changed() -> None:
    objects = everything()
    before = {key: msgspec.json.encode(each) for key, each in objects.items()}
    translate(objects.values(), BASE, NOW)
    assert {key: msgspec.json.encode(each) for key, each in objects.items()} == before


def times(translator: Translator, key: Key) -> dict[str, datetime]:
    status = translator.statuses[key]
    assert isinstance(status, RouteStatus)
    (parent,) = status.parents
    return {each.type: each.last_transition_time for each in parent.conditions}


def test_addresses_are_kept_over_a_restart(translator: Translator) -> None:
    held = held_by(translator.resources.values())
    assert held == {"infra/a": ("10.9.0.1",), "infra/b": ("10.9.0.2",)}
    swapped = {"infra/a": held["infra/b"], "infra/b": held["infra/a"]}
    again = translate(everything().values(), msgspec.structs.replace(BASE, held=swapped), NOW)
    assert held_by(again.resources.values()) == swapped


def test_who_is_served_does_not_give_way_to_what_an_older_gateway_had() -> None:
    key = Key("Gateway", "infra", "a")
    status = GatewayStatus(addresses=(GatewayStatusAddress(value="10.9.0.2"),))  # late: it is not served there now
    late = msgspec.structs.replace(OBJECTS[key][0], status=status)
    terms = msgspec.structs.replace(BASE, held={"infra/b": ("10.9.0.2",)})
    translation = translate((everything() | {key: late}).values(), terms, NOW)
    assert held_by(translation.resources.values()) == {"infra/a": ("10.9.0.1",), "infra/b": ("10.9.0.2",)}
