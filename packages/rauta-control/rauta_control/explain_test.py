"""What an explanation says of listeners, hosts, rules and outcomes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.explanation import Explanation
from rauta_control import ir
from rauta_control.action import Filters, Redirect, Retry
from rauta_control.explain import explain
from rauta_control.fakewire_test import cluster
from rauta_control.finding import finding
from rauta_control.limits import Limits
from rauta_control.messages import Bound
from rauta_control.question import question
from rauta_control.trials import KEPT
from rauta_control.world import Key

ONE = (ir.ClusterWeight("c"),)


def ask(
    resources: dict[str, ir.Resource], url: str, *headers: str, method: str = "GET", listener: str = ""
) -> Explanation:
    return explain(resources, question(method, url, headers), listener=listener)


def reasons(told: Explanation) -> list[tuple[float, str]]:
    return [(each.share, each.reason) for each in told.outcomes]


def site(*rules: ir.Rule, hostname: str = "*", **listener: object) -> dict[str, ir.Resource]:
    """One listener `ns/gw/x:80`, one host, a cluster with an endpoint and one without, and these rules."""
    made = replace(ir.Listener("ns/gw/x:80", "0.0.0.0", 10_080, 80, gateways=("ns/gw",)), **listener)
    host = ir.VirtualHost(made.name, hostname, section="ns/gw/a")
    placed = [replace(rule, host=host.name) for rule in rules]
    found: list[ir.Resource] = [made, host, cluster("c", 8001), cluster("empty"), *placed]
    return {resource.key: resource for resource in found}


def rule(name: str, at: str, **more: object) -> ir.Rule:
    return replace(ir.Rule(name, f"ns/{name}", "", at, "prefix", ONE), **more)


CART = site(
    rule("cart", "/cart"),
    rule("items", "/cart/items", method="POST", order=1),
    rule("canary", "/cart", headers=(ir.Predicate("x-env", "canary"),), order=-1),
    rule("search", "/cart", query=(ir.Predicate("q", "[a-z]+", True),), order=-1),
    rule("exact", "/cart/items/1", path_type="exact"),
    hostname="shop.example",
)


def test_each_rule_says_why_it_lost() -> None:
    told = ask(CART, "http://shop.example/cart/items?q=1", "X-Env: prod")
    assert (told.route, told.rule, told.hosts[0].why) == ("ns/cart", "cart", "the exact name")
    assert [(each.name, each.matches, each.lost_by, each.why) for each in told.rules] == [
        ("exact", False, "path", "path is not /cart/items/1"),
        ("items", False, "method", "method is GET, it wants POST"),
        ("canary", False, "header", "header x-env is 'prod', it wants 'canary'"),
        ("search", False, "query", "query q is '1', it wants a match of [a-z]+"),
        ("cart", True, "", "the only one that matches"),
    ]
    told = ask(CART, "http://shop.example/cart/items?q=a", "X-Env: canary", method="POST")
    assert [(each.name, each.why) for each in told.rules if each.matches] == [
        ("items", "the first of 4 that match"),
        ("canary", "matches, but ns/items comes first: its prefix is longer"),
        ("search", "matches, but ns/items comes first: its prefix is longer"),
        ("cart", "matches, but ns/items comes first: its prefix is longer"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"path_type": "exact"}, {}, "an exact path comes before a prefix"),
        ({"path": "/.*", "path_type": "regex"}, {}, "an expression comes before a prefix"),
        ({"method": "GET", "order": ir.order("GET", 0, 0)}, {"order": ir.order("", 0, 0)}, "it asks for a method"),
        ({"created": 1}, {"created": 2}, "its route is older"),
        ({"route": "ns/a"}, {"route": "ns/b"}, "its route comes first by name"),
        ({"order": 1}, {"order": 2}, "it stands first in the configuration"),
    ],
)
def test_why_one_of_two_that_match_comes_first(one: dict[str, object], other: dict[str, object], why: str) -> None:
    told = ask(site(rule("b", "/x", **other), rule("a", "/x", **one)), "http://h/x")
    assert told.rule == "a"
    assert told.rules[1].why == f"matches, but {told.route} comes first: {why}"


def test_of_one_route_the_match_that_comes_first_is_named() -> None:
    told = ask(site(rule("a", "/x", index=1), rule("b", "/x", route="ns/a", index=0, method="GET")), "http://h/x")
    assert told.rules[1].why == "matches, but GET prefix /x comes first: it stands first in the route"


def test_a_wider_host_is_asked_only_where_the_configuration_says_so() -> None:
    resources = CART | {
        each.key: each
        for each in (
            ir.VirtualHost("ns/gw/x:80", "*.example"),
            ir.VirtualHost("ns/gw/x:80", "*"),
            rule("wild", "/", host="ns/gw/x:80|*.example"),
        )
    }
    told = ask(resources, "http://shop.example/other")
    assert reasons(told) == [(1, "no_route")]
    assert [(each.hostname, each.why) for each in told.hosts][1:] == [
        ("*.example", "not asked: shop.example is more specific"),
        ("*", "not asked: shop.example is more specific"),
    ]
    host = ir.VirtualHost("ns/gw/x:80", "shop.example", "ns/gw/x:80|*.example")
    told = ask(resources | {host.key: host}, "http://shop.example/other")
    assert told.rule == "wild"
    assert told.hosts[1].why == "asked where no rule of shop.example matches"
    assert ask(resources, "http://a.example/").hosts[0].why == "the longest wildcard that covers the name"


def test_what_nearly_matches_is_suggested() -> None:
    told = ask(
        site(*(each for each in CART.values() if isinstance(each, ir.Rule) and each.name != "cart")),
        "http://h/cart/items?q=1",
    )
    assert told.suggestions == (
        "with method POST it would go to ns/items",
        "with header x-env=canary it would go to ns/canary",
        "with query q~[a-z]+ it would go to ns/search",
    )
    assert ask(CART, "http://shop.example/crat").suggestions == ("the nearest path is prefix /cart of ns/cart",)
    assert ask(CART, "http://sohp.example/cart").suggestions == ("host shop.example is served here",)
    anyhow = {"host/ns/gw/x:80|*": ir.VirtualHost("ns/gw/x:80", "*")}
    assert ask(CART | anyhow, "http://sohp.example/cart").suggestions == ("host shop.example is served here",)


def test_a_host_that_is_no_text_is_refused_like_any_other() -> None:
    told = ask(CART, "http://h/", "Host: \udcff")
    assert (told.host, reasons(told)) == ("\\xff", [(1, "bad_host")])


def test_what_the_path_becomes_is_said() -> None:
    told = ask(CART, "http://shop.example/%63art/./x")
    assert (told.path, told.rule) == ("/cart/x", "cart")
    assert told.notes == ("path /%63art/./x is /cart/x in normal form, which is matched and sent on",)


def test_rules_with_other_paths_give_way_where_there_are_many() -> None:
    told = ask(site(rule("r", "/"), *(rule(f"r{n}", f"/{n}/x") for n in range(KEPT + 50))), "http://h/")
    assert (len(told.rules), told.rules_omitted, told.rule) == (KEPT, 51, "r")
    assert told.rules[-1].chosen


def test_shares_of_a_rule_get_what_they_get() -> None:
    shares = (
        ir.ClusterWeight("c", 6),
        ir.ClusterWeight("empty", 1),
        ir.ClusterWeight("", 3, fault="BackendNotFound: Service ns/x does not exist"),
        ir.ClusterWeight("c", 0),
    )
    told = ask(site(rule("r", "/", clusters=shares, backend_timeout=0, retry=Retry(2, (503, 502)))), "http://h/")
    assert reasons(told) == [(0.6, ""), (0.1, "no_endpoints"), (0.3, "backend_invalid")]
    assert told.outcomes[2].detail == "BackendNotFound: Service ns/x does not exist"
    assert told.outcomes[0].endpoints[0].share == pytest.approx(0.6)
    assert told.verdict == (
        "60.0% forwarded to c (1 endpoint); 10.0% answered with 503 no_endpoints: the service behind the route has no "
        "endpoints; 30.0% answered with 500 backend_invalid: BackendNotFound: Service ns/x does not exist, by ns/r"
    )
    assert (told.request_timeout_seconds, told.backend_timeout_seconds) == (None, 0)
    assert (told.retry_attempts, told.retry_codes) == (2, (502, 503))


def test_what_a_redirect_answers_is_one_answer_whatever_is_drawn() -> None:
    shares = (ir.ClusterWeight("c", 1, Filters()), ir.ClusterWeight("empty", 3))
    go = Filters(redirect=Redirect(302, "http", 0, "new.example"))
    told = ask(site(rule("r", "/", clusters=shares, filters=go)), "http://h/a?b")
    assert told.verdict == "redirected with 302 to http://new.example/a?b, by ns/r"
    assert told.retry_attempts is None


def test_fields_that_the_gateway_states_are_matched_as_it_states_them() -> None:
    wants = rule("r", "/", headers=(ir.Predicate("x-forwarded-host", "h"), ir.Predicate("x-forwarded-for", ".*", True)))
    told = ask(site(wants), "http://h/", "X-Forwarded-Host: other")
    assert told.rule == "r"
    assert "x-forwarded-for" in told.notes[0]

    assert ask(site(wants), "http://i/", "X-Forwarded-Host: h").rules[0].why == (
        "header x-forwarded-host is 'i', it wants 'h'"
    )


def test_a_request_id_that_is_yet_to_be_made_is_told() -> None:
    wants = rule("r", "/", headers=(ir.Predicate("x-request-id", "[a-z]+", True),))
    assert "x-request-id" in ask(site(wants), "http://h/").notes[0]
    told = ask(site(wants), "http://h/", "X-Request-Id: one")
    assert (told.rule, tuple(told.notes)) == ("r", ())
    assert ask(site(wants), "http://h/", "X-Request-Id: one", "X-Request-Id: two").notes


@pytest.mark.parametrize(("token", "said"), [("websocket", "becomes a tunnel"), ("irc", "does not offer that")])
def test_an_upgrade_is_told(token: str, said: str) -> None:
    told = ask(site(rule("r", "/")), "http://h/", "Connection: upgrade", f"Upgrade: {token}")
    assert said in told.notes[0]


SECRET = ir.Secret("s", b"x", b"x")
TLS = {
    "protocol": "HTTPS",
    "spec_port": 443,
    "tls": (
        ir.ServerName("shop.example", ("s",)),
        ir.ServerName("api.example", ("s",), ("s",), "required"),
    ),
}


def test_tls_listeners_serve_the_section_that_the_server_name_selects() -> None:
    resources = site(rule("r", "/"), hostname="shop.example", **TLS)
    resources |= {each.key: each for each in (SECRET, ir.VirtualHost("ns/gw/x:80", "api.example", "", "ns/gw/b"))}
    assert ask(resources, "https://shop.example/").rule == "r"
    told = ask(resources, "https://api.example/", "Host: shop.example")
    assert reasons(told) == [(1, "misdirected")]
    assert told.notes == ("the TLS handshake needs a client certificate",)
    assert told.hosts[0].why == "belongs to another listener than the TLS server name selected"
    told = ask(resources, "https://other.example/")
    assert told.verdict == "no answer: no listener serves the server name: other.example"
    assert reasons(ask(resources, "http://shop.example:443/")) == [(1, "plain_http")]
    told = ask(site(rule("r", "/")), "https://shop.example:80/")
    assert told.verdict == "no answer: this port takes HTTP without TLS, and the URL is one of https"


def test_what_is_known_of_the_route_and_the_certificates_is_noted() -> None:
    resources = site(rule("r", "/"), hostname="shop.example", **TLS)
    resources["secret/ns/s"] = ir.Secret("ns/s", b"x", b"x")
    resources["listener/ns/gw/x:80"] = replace(
        resources["listener/ns/gw/x:80"], tls=(ir.ServerName("shop.example", ("ns/s",)),)
    )
    late, weightless, other = (
        finding(58, Key("Secret", "ns", "s"), "data[tls.crt]", "the certificate has expired"),
        finding(28, Key("HTTPRoute", "ns", "r"), "spec.rules[1]", "its weights are all 0"),
        finding(28, Key("HTTPRoute", "ns", "other"), "spec.rules[0]", "its weights are all 0"),
    )
    asked = question("GET", "https://shop.example/")
    told = explain(resources, asked, findings=[late, other, weightless])
    assert told.rule == "r"
    assert told.notes == (str(weightless), str(late))
    assert explain(resources, question("GET", "http://shop.example:443/"), findings=[late, weightless]).notes == ()


@pytest.mark.parametrize(
    ("names", "noted"), [((), False), (("shop.example",), False), (("*.example",), False), (("a.example", "b"), True)]
)
def test_a_certificate_for_other_names_is_noted(names: tuple[str, ...], noted: bool) -> None:
    resources = site(rule("r", "/"), hostname="shop.example", **TLS)
    resources["secret/s"] = replace(SECRET, hostnames=names)
    told = ask(resources, "https://shop.example/")
    said = "the certificate is for a.example, b, not for shop.example: clients refuse it"
    assert told.notes == ((said,) if noted else ())


def test_a_refusal_names_the_limit_that_was_met() -> None:
    told = explain(site(rule("r", "/")), question("GET", "http://h/" + "x" * 300), limits=Limits(max_target_bytes=256))
    assert reasons(told) == [(1, "target_too_long")]
    assert told.outcomes[0].detail == "the request target is too long (--max-target-bytes is 256)"


def test_the_port_of_the_url_says_which_listeners() -> None:
    other = ir.Listener("ns/other/x:81", "192.0.2.1", 81, 81, gateways=("ns/other",))
    resources = site(rule("r", "/")) | {other.key: other}
    assert [each.name for each in ask(resources, "http://h/").listeners] == ["ns/gw/x:80"]
    assert [each.name for each in ask(resources, "http://h:10080/").listeners] == ["ns/gw/x:80"]
    told = ask(resources, "http://h:82/")
    assert told.verdict == "no answer: nothing listens on port 82; there is 81, 10080"
    assert (told.listeners, told.outcomes[0].action) == ((), "closed")
    told = ask(resources, "http://h/", listener="ns/other")
    assert [(each.name, each.chosen, each.why) for each in told.listeners] == [
        ("ns/other/x:81", True, "asked for by name")
    ]
    assert ask(resources, "http://h/", listener="ns/gw/x:80").rule == "r"
    assert ask(resources, "https://h/").verdict == "no answer: nothing listens on port 443; there is 81, 10080"
    moved = replace(resources["listener/ns/gw/x:80"], port=8080, spec_port=8080)
    told = ask({**resources, moved.key: moved}, "http://h/")
    assert told.rule == "r"
    assert [each.why for each in told.listeners if each.chosen] == [
        "nothing listens on port 80, and the URL names no other"
    ]
    with pytest.raises(AgentApiError) as caught:
        ask(resources, "http://h/", listener="no")
    assert (caught.value.code, caught.value.fix) == ("not_found", "listeners: ns/gw/x:80, ns/other/x:81")


def test_of_several_listeners_the_one_that_serves_it_is_told_and_the_others_in_a_line() -> None:
    other = ir.Listener("ns/a/x:80", "192.0.2.1", 80, 80)
    resources = {other.key: other, **site(rule("r", "/"))}
    told = ask(resources, "http://h/")
    assert told.rule == "r"
    assert [(each.name, each.chosen, each.why) for each in told.listeners] == [
        ("ns/a/x:80", False, "answered with 404 no_host: no route is attached for this host name"),
        ("ns/gw/x:80", True, "port 80"),
    ]
    assert ask({**site(), other.key: other}, "http://192.0.2.1/").listeners[0].name == "ns/a/x:80"


def test_a_listener_is_where_it_is_bound() -> None:
    bound = {"ns/gw/x:80": Bound("ns/gw/x:80", "::1", 49152)}
    told = explain(site(rule("r", "/")), question("GET", "http://h:49152/"), bound=bound, generation=7)
    assert (told.rule, told.generation) == ("r", 7)
    assert (told.listeners[0].address, told.listeners[0].port) == ("::1", 49152)
    bound = {"ns/gw/x:80": Bound("ns/gw/x:80", "::1", 80, "address in use")}
    told = explain(site(rule("r", "/")), question("GET", "http://h/"), bound=bound)
    assert told.verdict == "no answer: the listener is not bound: address in use"
