from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from rauta_agent_api.explanation import Explanation
from rauta_agent_api.fake import EXPLANATION, METRICS, ROUTES, SNAPSHOT, FakeGateway
from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.rest import PATHS, respond
from rauta_agent_api.snapshot import GatewaySnapshot, MetricSnapshot, RouteSnapshot

T = TypeVar("T")
GATEWAY: GatewayQuery = FakeGateway()


def answer(target: str, kind: type[T]) -> T:
    status, content_type, body = respond(GATEWAY, target)
    assert (status, content_type) == (200, "application/json")
    return msgspec.json.decode(body, type=kind)


def problem(target: str) -> dict[str, Any]:
    status, content_type, body = respond(GATEWAY, target)
    assert content_type == "application/problem+json"
    members = msgspec.json.decode(body, type=dict[str, Any])
    assert members["status"] == status
    return members


def test_every_path_answers() -> None:
    needs = {"/api/v1/explain": "?url=http://h/"}
    assert all(respond(GATEWAY, path + needs.get(path, "")).status == 200 for path in PATHS)


def test_a_request_to_explain_is_taken_from_the_parameters() -> None:
    asked: list[tuple[object, ...]] = []

    class Recording(FakeGateway):
        def explain(self, *question: Any) -> Explanation:
            asked.append(question)
            return super().explain(*question)

    target = "/api/v1/explain?url=http%3A%2F%2Fh%2F%253f%26a&header=a%3A+b&method=POST&header=c:d&listener=http"
    assert respond(Recording(), target).status == 200
    assert respond(Recording(), "/api/v1/explain?url=/").status == 200
    assert asked == [("POST", "http://h/%3f&a", ["a: b", "c:d"], "http"), ("GET", "/", (), "")]
    assert answer("/api/v1/explain?url=x", Explanation) == replace(EXPLANATION, url="x")
    assert problem("/api/v1/explain")["detail"] == "url: missing"


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    members = problem("/api/v1/routes?method=GET&method=POST")
    assert members["detail"] == "/api/v1/routes has parameter 'method' 2 times"


def test_snapshots_survive_the_wire() -> None:
    assert answer("/api/v1/status", GatewaySnapshot) == SNAPSHOT
    assert answer("/api/v1/routes", list[RouteSnapshot]) == list(ROUTES)
    assert answer("/api/v1/metrics", list[MetricSnapshot]) == list(METRICS)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("method=POST", ["standalone/route-0"]),
        ("path_prefix=%2Fhe", ["standalone/route-1"]),
        ("name=standalone/route-1", ["standalone/route-1"]),
        ("name=%2Fapi", ["standalone/route-0"]),
        ("name=nope", []),
        ("name=", []),
        ("path_prefix=", ["standalone/route-0", "standalone/route-1"]),
    ],
)
def test_parameters_choose_routes(query: str, kept: list[str]) -> None:
    assert [route.name for route in answer(f"/api/v1/routes?{query}", list[RouteSnapshot])] == kept


def test_a_path_that_is_none_names_those_that_are() -> None:
    members = problem("/api/v1/rutes")
    assert members["code"] == "not_found"
    assert "/api/v1/routes" in members["fix"]


def test_an_unknown_parameter_is_refused_not_ignored() -> None:
    members = problem("/api/v1/routes?metod=GET")
    assert members["code"] == "usage"
    assert "metod" in members["detail"]
    assert "method" in members["fix"]
