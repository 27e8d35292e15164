import pytest
from msgspec.structs import replace

from rauta_agent_api.errors import CODES, AgentApiError
from rauta_agent_api.explanation import Outcome
from rauta_agent_api.fake import EXPLANATION, FINDINGS, OBJECTS, ROUTES, SNAPSHOT
from rauta_agent_api.snapshot import (
    CacheStats,
    ConditionSnapshot,
    FindingCounts,
    GatewaySnapshot,
    ObjectSnapshot,
    PartSnapshot,
)
from rauta_cli import hints

UNBOUND = replace(SNAPSHOT.listeners[0], bound=False, message="address in use")


def test_a_healthy_gateway_is_not_urgent() -> None:
    advice = hints.for_status(SNAPSHOT)
    assert (advice.summary, advice.urgent) == ("ok, 2 routes, generation 3", False)


def test_what_ails_a_gateway_is_urgent_and_named() -> None:
    behind = replace(SNAPSHOT.workers[0], generation=2)
    dead = replace(SNAPSHOT.workers[1], alive=False)
    ill = replace(
        SNAPSHOT, status="degraded", workers=(behind, dead), listeners=(UNBOUND,), open_circuits=2, ready=False
    )
    advice = hints.for_status(ill)
    assert advice.urgent
    assert advice.summary == (
        "degraded, 2 routes, generation 3; not ready; 1 worker not running; 1 worker behind on configuration; "
        "1 listener not bound; 2 circuits open"
    )
    assert [action.cmd for action in advice.actions] == ["listeners", "status", "routes list"]
    assert hints.for_status(GatewaySnapshot(status="draining", ready=True)).urgent
    puzzled = hints.for_status(replace(SNAPSHOT, problems=("--to web:80: does not resolve",)))
    assert puzzled.urgent
    assert "1 problem with the configuration" in puzzled.summary


def test_routes_that_cannot_answer_come_before_those_that_fail() -> None:
    drained = tuple(replace(backend, is_draining=True) for backend in ROUTES[1].backends)
    advice = hints.for_routes([ROUTES[0], replace(ROUTES[1], backends=drained)])
    assert advice.urgent
    assert [action.cmd for action in advice.actions] == [
        "routes get standalone/route-1",
        "routes get standalone/route-0",
    ]


def test_a_route_of_which_a_share_fails_leads_to_the_findings() -> None:
    fault = "1 of 4 requests: Service shop/gone does not exist"
    advice = hints.for_route(replace(ROUTES[0], route="shop/web", faults=(fault,)))
    assert advice.urgent
    assert "2 of 9,997 requests of all of shop/web answered with a 5xx; " in advice.summary
    assert advice.summary.endswith(f"; with 500: {fault}")
    assert advice.actions[0].cmd == "findings"
    assert hints.for_routes([replace(ROUTES[0], faults=(fault,))]).urgent


def test_failures_of_backends_are_told_and_lead_to_the_reasons() -> None:
    one, other = ROUTES[0].backends
    advice = hints.for_route(ROUTES[0])
    assert not advice.urgent
    assert advice.summary.endswith("; 3 of 9,031 attempts at 127.0.0.1:9001 failed")
    assert advice.actions[0].cmd == "metrics reason"
    dead = replace(ROUTES[0], backends=(one, replace(other, failures_total=other.requests_total)))
    assert hints.for_route(dead).urgent
    assert hints.for_route(dead).summary.endswith("; 969 of 969 attempts at [::1]:9002 failed")
    assert hints.for_route(ROUTES[1]).actions[0].cmd == "status"


def test_a_redirect_needs_no_backend() -> None:
    assert hints.cannot_answer(replace(ROUTES[0], backends=()))
    assert not hints.cannot_answer(replace(ROUTES[0], backends=(), has_redirect=True))


@pytest.mark.parametrize(
    ("type_", "status", "well"),
    [
        ("Accepted", "False", False),
        ("rauta.io/RulesShadowed", "True", False),
        ("PartiallyInvalid", "True", False),
        ("Conflicted", "False", True),
        ("Other", "True", True),
    ],
)
def test_an_object_of_which_a_part_is_not_served_is_not_well(type_: str, status: str, well: bool) -> None:
    part = PartSnapshot(name="Gateway a/b", conditions=(ConditionSnapshot(type=type_, status=status),))
    advice = hints.for_objects([ObjectSnapshot(kind="HTTPRoute", name="c", parts=(part,))])
    assert advice.urgent is not well


def test_an_unbound_listener_says_why() -> None:
    assert hints.for_listeners([UNBOUND]).summary == "1 listener; http is not bound: address in use"


def test_a_cache_that_was_never_used() -> None:
    assert hints.for_cache(CacheStats(hits=0, misses=0, size=0, hit_rate=0.0)).summary == "not used yet"


def test_every_error_has_a_next_step() -> None:
    assert all(hints.for_error(AgentApiError(code, "it broke", "mend it")).actions for code in CODES)


def test_findings_lead_to_their_object_and_errors_are_urgent() -> None:
    advice = hints.for_findings(FINDINGS)
    assert advice.urgent
    assert advice.summary.startswith(
        "2 findings; 1 error; HTTPRoute default/shop: Service default/cart does not exist: "
    )
    assert [action.cmd for action in advice.actions] == ["objects --name default/shop", "objects"]
    lost = ObjectSnapshot(kind="HTTPRoute", name="lost")
    assert hints.for_objects([*OBJECTS[:1], lost]).summary == "2 objects; 1 HTTPRoute attached to nothing here"
    assert not hints.for_findings(FINDINGS[1:]).urgent
    assert hints.for_objects(OBJECTS).urgent
    assert not hints.for_objects(OBJECTS[:1]).urgent
    ill = hints.for_status(replace(SNAPSHOT, findings=FindingCounts(error=2)))
    assert ill.urgent
    assert ill.actions[0].cmd == "findings --severity error"


def test_an_explanation_is_urgent_where_requests_get_nothing_good() -> None:
    assert not hints.for_explanation(EXPLANATION).urgent
    bad = Outcome(action="answered", status=503)
    advice = hints.for_explanation(replace(EXPLANATION, outcomes=(*EXPLANATION.outcomes, bad)))
    assert advice.urgent
    assert advice.actions[0].cmd == "findings"
    closed = replace(EXPLANATION, route="", outcomes=(Outcome(action="closed"),), suggestions=("try this",))
    advice = hints.for_explanation(closed)
    assert (advice.urgent, [each.cmd for each in advice.actions]) == (True, ["listeners", "findings", "routes list"])
    assert hints.for_explanation(replace(EXPLANATION, notes=("it expired",))).actions[0].cmd == "findings"
    assert hints.for_explanation(replace(EXPLANATION, url="https://h/")).actions[0].cmd == "findings"
    assert advice.summary.endswith("; try this")
    moved = replace(EXPLANATION, outcomes=(Outcome(action="redirected", status=301),))
    assert not hints.for_explanation(moved).urgent
