import pytest

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.selection import filter_findings, filter_metrics, filter_objects, filter_routes, find_route
from rauta_agent_api.snapshot import FindingSnapshot, MetricSnapshot, ObjectSnapshot, RouteSnapshot

ROUTES = [
    RouteSnapshot(name="a", method="ALL", pattern="/api"),
    RouteSnapshot(name="b", method="GET", pattern="/api/v1"),
    RouteSnapshot(name="c", method="POST", pattern="/api/v1"),
    RouteSnapshot(name="/api", method="GET", pattern="/odd"),
]


def names(routes: list[RouteSnapshot]) -> list[str]:
    return [route.name for route in routes]


@pytest.mark.parametrize(
    ("method", "prefix", "kept"),
    [
        (None, None, ["a", "b", "c", "/api"]),
        ("GET", None, ["a", "b", "/api"]),
        ("post", None, ["a", "c"]),
        ("DELETE", "/api", ["a"]),
        (None, "/api/", ["b", "c"]),
        (None, "", ["a", "b", "c", "/api"]),
        ("", None, ["a"]),
    ],
)
def test_routes_are_kept_by_method_and_path(method: str | None, prefix: str | None, kept: list[str]) -> None:
    assert names(filter_routes(ROUTES, method, prefix)) == kept


def test_a_name_wins_over_a_pattern() -> None:
    assert find_route(ROUTES, "/api").pattern == "/odd"
    assert find_route(ROUTES, "/odd").name == "/api"


def test_a_line_of_a_log_leads_to_its_routes() -> None:
    lines = [RouteSnapshot(name=name, route="shop/web", method="ALL", pattern="/") for name in ("web#0", "web#1")]
    assert find_route([*ROUTES, lines[0]], "shop/web") == lines[0]
    with pytest.raises(AgentApiError, match="name one: web#0, web#1"):
        find_route(lines, "shop/web")


def test_an_unknown_name_is_not_found() -> None:
    with pytest.raises(AgentApiError, match="'/nope'") as caught:
        find_route(ROUTES, "/nope")
    assert caught.value.code == "not_found"


def test_a_shared_pattern_is_a_conflict_that_names_the_routes() -> None:
    with pytest.raises(AgentApiError, match="2 routes have the name or pattern '/api/v1'; name one: b, c") as caught:
        find_route(ROUTES, "/api/v1")
    assert caught.value.code == "conflict"


def test_metrics_are_kept_by_part_of_their_name() -> None:
    metrics = [MetricSnapshot(name="rauta_requests_total"), MetricSnapshot(name="rauta_up")]
    assert filter_metrics(metrics) == metrics
    assert filter_metrics(metrics, "requests") == metrics[:1]
    assert filter_metrics(metrics, "nope") == []


def test_findings_come_the_worst_first_and_may_be_limited() -> None:
    found = [
        FindingSnapshot(code=severity, severity=severity, kind="Gateway", name="gw", message="")
        for severity in ("info", "error", "warning", "error")
    ]
    assert [each.severity for each in filter_findings(found)] == ["error", "error", "warning", "info"]
    assert [each.severity for each in filter_findings(found, "warning")] == ["error", "error", "warning"]
    with pytest.raises(AgentApiError, match="give one of error, warning, info") as caught:
        filter_findings(found, "bad")
    assert caught.value.code == "usage"


@pytest.mark.parametrize(
    ("kind", "name", "kept"),
    [
        (None, None, ["a/x", "b/x", "/x"]),
        ("gateway", None, ["a/x", "b/x"]),
        (None, "x", ["a/x", "b/x", "/x"]),
        ("Gateway", "b/x", ["b/x"]),
        ("HTTPRoute", "x", []),
    ],
)
def test_objects_by_kind_and_name(kind: str | None, name: str | None, kept: list[str]) -> None:
    objects = [
        ObjectSnapshot(kind="Gateway", namespace="a", name="x"),
        ObjectSnapshot(kind="Gateway", namespace="b", name="x"),
        ObjectSnapshot(kind="GatewayClass", name="x"),
    ]
    assert [f"{each.namespace}/{each.name}" for each in filter_objects(objects, kind, name)] == kept


def test_a_kind_that_cannot_be_there_is_not_one_that_is_not_there() -> None:
    assert filter_objects([], "ListenerSet") == []
    with pytest.raises(AgentApiError, match="give one of GatewayClass, Gateway, ListenerSet, HTTPRoute") as caught:
        filter_objects([], "Gatway")
    assert caught.value.code == "usage"
