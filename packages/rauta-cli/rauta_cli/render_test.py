from textwrap import dedent

from msgspec.structs import replace

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.explanation import Explanation, ListenerTrial, Outcome, RuleTrial, Step
from rauta_agent_api.fake import EXPLANATION, FINDINGS, METRICS, OBJECTS, ROUTES, SNAPSHOT
from rauta_agent_api.snapshot import (
    CacheStats,
    FindingCounts,
    GatewaySnapshot,
    ListenerSnapshot,
    RouteSnapshot,
    WorkerSnapshot,
)
from rauta_cli import render


def text(block: str) -> str:
    return dedent(block).strip("\n")


def test_status() -> None:
    assert render.status(SNAPSHOT) == text(
        """
        Status         ok
        Version        0.1.0
        Uptime         2h 3m
        Configuration  generation 3, 1m 34s old
        Routes         2
        Route cache    97.6% hits of 10,117 lookups, 241 remembered

        LISTENER  PROTOCOL  ADDRESS       GATEWAYS       STATE
        http      HTTP      0.0.0.0:8080  default/rauta  bound

        WORKER   PID  STATE    GENERATION  CONNECTIONS  REQUESTS
        0       4711  current           3           14     5,201
        1       4712  current           3           11     4,916
        """
    )


def test_status_of_a_gateway_that_has_just_started() -> None:
    lines = render.status(GatewaySnapshot(status="starting")).splitlines()
    assert lines[0] == "Status         starting, not ready"
    assert "Configuration  none yet" in lines
    assert lines[-3:] == ["No listeners.", "", "No workers."]


def test_circuits_and_limiters_are_told_where_there_are_any() -> None:
    shown = render.status(GatewaySnapshot(status="ok", open_circuits=0, exhausted_rate_limiters=1_200))
    assert "Open circuits       0\nExhausted limiters  1,200\n" in shown


def test_problems_of_the_configuration_stand_at_the_end() -> None:
    lines = render.status(GatewaySnapshot(status="degraded", problems=("--to web:80: does not resolve",))).splitlines()
    assert lines[-2:] == ["PROBLEM", "--to web:80: does not resolve"]


def test_what_is_wrong_stands_in_its_line() -> None:
    listeners = [ListenerSnapshot(name="web", address="::", port=80, protocol="HTTP", bound=False, message="in use")]
    assert render.listeners(listeners).splitlines()[1] == "web       HTTP      [::]:80  -         not bound: in use"
    workers = [WorkerSnapshot(index=0), WorkerSnapshot(index=1, pid=7, alive=True, generation=2)]
    assert [line.split()[2] for line in render.workers(workers, 3).splitlines()[1:]] == ["not", "behind"]


def test_routes() -> None:
    assert render.routes(ROUTES) == text(
        """
        ROUTE               METHOD  HOSTS                            PATH     MATCH   LISTENER  BACKENDS  REQUESTS  5XX  FEATURES
        standalone/route-0  ALL     *                                /api     prefix  http      2            9,997    2  -
        standalone/route-1  GET     shop.example.com, *.example.org  /health  exact   http      1              120    0  -
        """  # noqa: E501
    )
    assert render.routes([]) == "No routes."


def test_a_route() -> None:
    assert render.route(ROUTES[0]) == text(
        """
        Route     standalone/route-0
        Method    ALL
        Path      /api (prefix)
        Hosts     *
        Listener  http
        Features  -
        Requests  9,997
        5xx       2 (0.02%)

        BACKEND         CLUSTER        WEIGHT  SHARE  REQUESTS  FAILURES
        127.0.0.1:9001  standalone/v1      90  90.0%     9,031         3
        [::1]:9002      standalone/v2      10  10.0%       969         0
        """
    )


def test_a_route_with_everything() -> None:
    backends = [replace(backend, weight=0, is_draining=True, health_score=0.5) for backend in ROUTES[0].backends]
    route = RouteSnapshot(pattern="/", method="GET", backends=tuple(backends), has_redirect=True, has_retry=True)
    shown = render.route(route)
    assert "Features  redirect, retry" in shown
    assert "     0      -  draining    0.50" in shown
    assert "2 (2 draining)" in render.routes([route])
    assert render.route(RouteSnapshot(pattern="/", method="GET")).endswith("\n\nNo backends.")


def test_a_match_of_a_route_that_fails_in_part() -> None:
    fault = "1 of 4 requests: Service shop/gone does not exist"
    route = replace(ROUTES[0], route="shop/web", conditions=("header x-a=1", "query v~[12]"), faults=(fault,))
    shown = render.route(route)
    assert "Conditions   header x-a=1, query v~[12]" in shown
    assert "Requests     9,997 (all of shop/web)" in shown
    assert f"Answers 500  {fault}" in shown
    assert " /api header x-a=1 query v~[12] " in render.routes([route])


def test_cache_and_metrics() -> None:
    assert render.cache(CacheStats(hits=0, misses=1, size=1, hit_rate=0)) == "0.0% hits of 1 lookup, 1 remembered"
    assert render.metrics(METRICS) == text(
        """
        METRIC                                                       TYPE        VALUE
        rauta_requests_total{route="standalone/route-0",code="200"}  counter     9,995
        rauta_requests_total{route="standalone/route-0",code="502"}  counter         2
        rauta_requests_total{route="standalone/route-1",code="200"}  counter       120
        rauta_uptime_seconds                                         gauge    7,384.25
        """
    )


def test_nothing_configured_reaches_the_terminal_as_a_control_sequence() -> None:
    route = RouteSnapshot(pattern="/\x1b[2J", method="GET", name="a\nb", hostnames=("\x9b1m",))
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in render.routes([route]).replace("\n", "", 1))
    assert "\x1b" not in render.route(route)
    assert render.error("rauta", AgentApiError("failure", "no\x07", "")) == "rauta: no\N{REPLACEMENT CHARACTER}"


def test_status_counts_objects_and_findings_where_there_are_any() -> None:
    lines = render.status(replace(SNAPSHOT, object_count=1234, findings=FindingCounts(error=1, info=2))).splitlines()
    assert lines[5:7] == ["Objects        1,234", "Findings       1 error, 2 notes"]


def test_objects() -> None:
    lines = render.objects(OBJECTS).splitlines()
    assert "\n".join(lines[:3]) == text(
        """
        KIND       NAME           AT                     ROUTES  STATE
        Gateway    default/rauta  10.0.0.1                    -  Accepted, Programmed
        Gateway    default/rauta  http                        1  Accepted
        """
    )
    assert lines[3].startswith("HTTPRoute  default/shop   Gateway default/rauta       -  Accepted, ")
    assert lines[3].endswith("ResolvedRefs=False BackendNotFound (Service default/cart does not exist)")
    assert render.objects([]) == "No objects."


def test_findings() -> None:
    lines = render.findings(FINDINGS).splitlines()
    assert lines[0].split() == ["SEVERITY", "CODE", "OBJECT", "FIELD", "WHAT", "WHAT", "TO", "DO"]
    assert lines[1].startswith("error     RAUTA-CFG-020  HTTPRoute default/shop  spec.rules[0].backendRefs[0]  Service")
    assert lines[2].startswith("warning   RAUTA-CFG-071  Deployment cart.yaml#2  kind ")


def test_explanation() -> None:
    assert render.explanation(EXPLANATION) == text(
        """
        Verdict   forwarded to standalone/v1 (1 endpoint), by standalone/route-1
        Request   GET http://shop.example.com:8080/health
        Listener  http (HTTP): port 8080
        Host      shop.example.com: the exact name
        Rule      GET exact /health of standalone/route-1: the only one that matches
        Retries   1 at most, on failures

         SHARE  ENDPOINT        CLUSTER        BALANCE  GETS
        100.0%  127.0.0.1:9001  standalone/v1  maglev   shop.example.com:8080/health
        """
    )


def test_an_explanation_tells_what_lost_and_of_other_paths_only_a_few() -> None:
    lost = [RuleTrial(name=f"r{n}", route="ns/r", method="ALL", pattern=f"/{n}", lost_by="path") for n in range(8)]
    by_method = RuleTrial(
        name="m", route="ns/m", section="two", method="PUT", pattern="/", lost_by="method", why="method is GET"
    )
    explanation = Explanation(
        verdict="answered with 404 no_route",
        method="GET",
        url="http://h/",
        listeners=(ListenerTrial(name="other", port=1, why="closed"),),
        rules=(*lost, by_method),
        rules_omitted=2,
        request_timeout_seconds=1.5,
        backend_timeout_seconds=0,
        retry_attempts=2,
        retry_codes=(502, 503),
        outcomes=(Outcome(action="answered", steps=(Step(filter="cors", effect="nothing"),)),),
        notes=("a note",),
        suggestions=("with method PUT it would go to ns/m",),
    )
    lines = render.explanation(explanation).splitlines()
    assert lines[2:7] == [
        "Or        other: closed",
        "Timeouts  request 1.5 s, backend none",
        "Retries   2 at most, on failures and on 502, 503",
        "Note      a note",
        "Try       with method PUT it would go to ns/m",
    ]
    assert lines[9:10] == ["100.0%  cors    nothing"]
    assert len([line for line in lines if line.startswith("ns/r ")]) == render.OTHER_PATHS
    assert lines[-2].split() == ["ns/m/two", "PUT", "/", "method", "is", "GET"]
    assert lines[-1] == "... and 5 rules more whose path does not match"
