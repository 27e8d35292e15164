"""View: what the agent API shows agrees with the configuration, the workers and the counters."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.snapshot import BackendSnapshot, ListenerSnapshot, WorkerSnapshot
from rauta_control.check import load
from rauta_control.configuration import Configuration
from rauta_control.counters import Counters
from rauta_control.messages import Bound
from rauta_control.picture import Picture, WorkerStatus
from rauta_control.recorder import Recorder
from rauta_control.routespec import Address, route
from rauta_control.samples_test import GATEWAY
from rauta_control.settings import Settings
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital
from rauta_control.slices import finish
from rauta_control.standalone import translate
from rauta_control.state import EMPTY
from rauta_control.terms import Terms
from rauta_control.translate import translate as translated
from rauta_control.view import ControlQuery, shares

SETTINGS = Settings(
    bind=(Address("127.0.0.1", 80), Address("::1", 0)),
    routes=(route("/=web:80"), route("shop.example/api=10.0.0.1:81*90,[fd00::1]:81*10")),
)
ADDRESSES = {"web": ("10.0.0.1", "10.0.0.2"), "10.0.0.1": ("10.0.0.1",), "fd00::1": ("fd00::1",)}
MANIFEST = (
    f"{GATEWAY}---"
    + """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules:
    - backendRefs: [{name: web, port: 80, weight: 3}, {name: gone, port: 80}, {name: zero, port: 80, weight: 0}]
    - matches:
        - headers: [{name: X-Canary, value: "yes"}]
          queryParams: [{name: v, type: RegularExpression, value: "[12]"}]
      filters:
        - {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-a]}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}
      timeouts: {request: 0s}
      backendRefs: [{name: web, port: 80}]
    - matches: [{path: {value: /old}}]
      filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]
    - matches: [{path: {value: /rw}}]
      filters: [{type: URLRewrite, urlRewrite: {hostname: in.example}}]
      retry: {codes: [503]}
      backendRefs: [{name: web, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"""
)


@pytest.fixture
def picture(words: memoryview) -> Picture:
    configuration = Configuration(EMPTY)
    finish(configuration.reconcile(translate(SETTINGS, ADDRESSES), -1))
    return Picture(
        version="0.1.0",
        uptime=12.9,
        generation=1,
        config_age=3.25,
        ready=True,
        draining=False,
        expected_workers=2,
        workers=(WorkerStatus(0, 11, 1), WorkerStatus(1, 12, 1)),
        resources=configuration.resources,
        bound={
            "standalone/127.0.0.1:80": Bound("standalone/127.0.0.1:80", "127.0.0.1", 80),
            "standalone/[::1]:0": Bound("standalone/[::1]:0", "::1", 49152),
        },
        problems=(),
        counters=Counters(words, 2),
    )


def test_it_is_a_gateway_query(picture: Picture) -> None:
    query: GatewayQuery = ControlQuery(picture)
    assert query.snapshot().status == "ok"


def test_routes_in_their_order_once_however_many_listeners(picture: Picture) -> None:
    first, second = ControlQuery(picture).list_routes()
    assert (first.name, first.method, first.pattern, first.path_type) == ("standalone/*/", "ALL", "/", "prefix")
    assert (first.hostnames, first.listener) == ((), "standalone/127.0.0.1:80, standalone/[::1]:0")
    assert (second.name, second.hostnames) == ("standalone/shop.example/api", ("shop.example",))
    assert [(b.address, b.port, b.weight, b.is_ipv6) for b in second.backends] == [
        ("10.0.0.1", 81, 90, False),
        ("fd00::1", 81, 10, True),
    ]
    assert [b.weight for b in first.backends] == [1, 1]


def test_a_line_for_each_match_says_what_it_asks_for_and_what_is_done(picture: Picture) -> None:
    made = translated(
        load([("a.yaml", MANIFEST)]).objects.values(), Terms(class_name="rauta"), datetime(2026, 1, 1, tzinfo=UTC)
    )
    query = ControlQuery(replace(picture, resources=made.resources))
    routes = {(each.pattern, each.conditions): each for each in query.list_routes()}
    plain, canary, old, rewritten = (
        routes[key] for key in (("/", ()), ("/", ("header x-canary=yes", "query v~[12]")), ("/old", ()), ("/rw", ()))
    )
    assert len(routes) == 4
    assert {each.route for each in routes.values()} == {"default/web"}
    assert plain.faults == ("1 of 4 requests: BackendNotFound: Service default/gone does not exist",)
    assert not any(each.faults for each in (canary, old, rewritten))
    assert [each.has_request_filters for each in (plain, canary, old, rewritten)] == [False, True, False, True]
    assert [each.has_response_filters for each in (plain, canary, old, rewritten)] == [False, True, False, False]
    assert [each.has_redirect for each in (plain, canary, old, rewritten)] == [False, False, True, False]
    assert [each.has_timeout for each in (plain, canary, old, rewritten)] == [False, True, False, False]
    assert [each.has_retry for each in (plain, canary, old, rewritten)] == [False, False, False, True]


def test_a_route_is_found_by_name_and_pattern(picture: Picture) -> None:
    query = ControlQuery(picture)
    assert query.get_route("standalone/*/") == query.get_route("/")
    assert [route.pattern for route in query.list_routes(path_prefix="/a")] == ["/api"]
    with pytest.raises(AgentApiError):
        query.get_route("nowhere")


def test_counters_are_those_of_the_route_and_the_endpoint(words: memoryview, picture: Picture) -> None:
    for worker in range(2):
        recorder = Recorder(words, worker)
        counter = recorder.route(0, 1)
        counter.words[RouteWord.STATUS_1XX + 1] = 5
        counter.words[RouteWord.STATUS_1XX + 4] = 2
        recorder.touch(counter)
        endpoint = recorder.endpoint(0, 1)
        endpoint.words[EndpointWord.REQUESTS], endpoint.words[EndpointWord.FAILURES] = 7, 1
        endpoint.words[EndpointWord.STATUS_5XX] = 1
        recorder.touch(endpoint)
        recorder.vitals[Vital.MEMO_HITS], recorder.vitals[Vital.MEMO_MISSES] = 3, 1
        recorder.vitals[Vital.REQUESTS] = 7
        recorder.flush(1)
    query = ControlQuery(picture)
    first, second = query.list_routes()
    assert (first.requests_total, first.errors_total) == (14, 4)
    assert (second.requests_total, second.errors_total) == (0, 0)
    assert first.backends[0] == BackendSnapshot(
        cluster="standalone/web:80", address="10.0.0.1", port=80, requests_total=14, failures_total=4
    )
    assert query.cache_stats().hit_rate == 0.75
    assert [worker.requests_total for worker in query.snapshot().workers] == [7, 7]


def test_listeners_show_where_they_really_are(picture: Picture) -> None:
    _, second = ControlQuery(picture).list_listeners()
    assert second == ListenerSnapshot(
        name="standalone/[::1]:0", address="::1", port=49152, protocol="HTTP", gateway_refs=("standalone",)
    )


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "ok"),
        ({"draining": True, "ready": False}, "draining"),
        ({"ready": False}, "starting"),
        ({"workers": (WorkerStatus(0, 11, 1),)}, "degraded"),
        ({"workers": (WorkerStatus(0, 11, 1), WorkerStatus(1, 12, 1, "too big"))}, "degraded"),
        ({"bound": {}}, "degraded"),
    ],
)
def test_status(picture: Picture, change: dict[str, object], status: str) -> None:
    assert ControlQuery(replace(picture, **change)).snapshot().status == status  # type: ignore[arg-type]


def test_problems_and_refusals_are_shown(picture: Picture) -> None:
    refusing = replace(picture, workers=(WorkerStatus(0, 11, 1, "too big"),), problems=("web does not resolve",))
    snapshot = ControlQuery(refusing).snapshot()
    assert snapshot.problems == ("worker 0 does not follow generation 1: too big", "web does not resolve")
    assert snapshot.workers[1] == WorkerSnapshot(index=1)


pools = st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(0, 9), max_size=4)), max_size=4)


def test_workers_that_are_no_longer_wanted_are_not_missed(picture: Picture) -> None:
    fewer = replace(picture, workers=(WorkerStatus(0, 11, 1),), expected_workers=1)
    snapshot = ControlQuery(fewer).snapshot()
    assert (snapshot.status, [worker.index for worker in snapshot.workers]) == ("ok", [0])
    leaving = replace(picture, expected_workers=1)
    assert [worker.index for worker in ControlQuery(leaving).snapshot().workers] == [0, 1]


@given(pools)
def test_shares_are_in_proportion(pools: list[tuple[int, list[int]]]) -> None:
    live = [(weight, weights) for weight, weights in pools if any(weights)]
    whole = sum(weight for weight, _ in live)
    made = shares(live)
    everything = sum(map(sum, made))
    for (weight, weights), each in zip(live, made, strict=True):
        assert sum(each) * whole == weight * everything
        assert all(share * sum(weights) == sum(each) * part for share, part in zip(each, weights, strict=True))


def test_shares_of_clusters_with_one_endpoint_are_the_weights() -> None:
    assert shares([(90, [1]), (10, [1])]) == [[90], [10]]
    assert shares([(90, [1, 1, 1, 1]), (10, [1])]) == [[45, 45, 45, 45], [20]]
    assert shares([(1, [])]) == [[]]
