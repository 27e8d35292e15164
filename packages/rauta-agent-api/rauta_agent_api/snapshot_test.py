import msgspec
import pytest

from rauta_agent_api.fake import ROUTES, SNAPSHOT
from rauta_agent_api.snapshot import GatewaySnapshot, RouteSnapshot

SEED_STATUS = ["status", "uptime_seconds", "route_count", "open_circuits", "exhausted_rate_limiters", "listeners"]
SEED_ROUTE = ["pattern", "method", "backends", "has_request_filters", "has_response_filters", "has_redirect"]
SEED_BACKEND = ["address", "port", "weight", "is_ipv6", "is_draining", "health_score"]


def test_the_seeds_field_names_are_on_the_wire() -> None:
    status, route = msgspec.to_builtins(SNAPSHOT), msgspec.to_builtins(ROUTES[0])
    assert set(SEED_STATUS) | {"cache_stats"} <= status.keys()
    assert set(SEED_ROUTE) | {"has_timeout", "has_retry"} <= route.keys()
    assert set(SEED_BACKEND) <= route["backends"][0].keys()
    assert status["listeners"][0].keys() >= {"port", "protocol", "gateway_refs"}
    assert status["cache_stats"].keys() == {"hits", "misses", "size", "hit_rate"}


def test_an_older_gateway_leaves_out_fields_and_a_newer_one_adds_some() -> None:
    route = msgspec.json.decode(b'{"pattern":"/a","method":"GET","invented_later":1}', type=RouteSnapshot)
    assert route == RouteSnapshot(pattern="/a", method="GET")


def test_what_is_not_a_snapshot_does_not_pass_as_an_empty_one() -> None:
    with pytest.raises(msgspec.ValidationError, match="status"):
        msgspec.json.decode(b"{}", type=GatewaySnapshot)


def test_the_default_picture_agrees_with_itself() -> None:
    assert len(ROUTES) == SNAPSHOT.route_count
    assert {route.listener for route in ROUTES} <= {listener.name for listener in SNAPSHOT.listeners}
    assert sum(route.requests_total for route in ROUTES) == sum(worker.requests_total for worker in SNAPSHOT.workers)
    assert [worker.index for worker in SNAPSHOT.workers] == [0, 1]
