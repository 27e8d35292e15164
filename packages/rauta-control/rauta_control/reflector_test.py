"""Reflector: each thing an API server can do wrong, without a server and without a clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.discovery import Place
from rauta_control.kinds import KINDS
from rauta_control.reflector import LONGEST_WATCH, SETTLES, SHORTEST_WATCH, Ask, Edits, Reflector, Scope, Store
from rauta_control.slices import finish
from rauta_control.specimen_test import specimen
from rauta_control.world import Key

PLACES = {
    "HTTPRoute": Place("gateway.networking.k8s.io/v1", "httproutes", True),
    "Gateway": Place("gateway.networking.k8s.io/v1", "gateways", True),
    "Service": Place("v1", "services", True),
    "Secret": Place("v1", "secrets", True),
    "ConfigMap": Place("v1", "configmaps", True),
}


def made(kind: str = "HTTPRoute", store: Store | None = None, scope: Scope | None = None) -> Reflector:
    return Reflector(scope or Scope(kind), KINDS[kind], PLACES[kind], {} if store is None else store)


def stored() -> Store:
    return {}


def route(name: str, version: int, changes: dict[str, Any] | None = None, kind: str = "HTTPRoute") -> dict[str, Any]:
    changes = {"metadata.name": name, "metadata.namespace": "shop", "metadata.resourceVersion": str(version)} | (
        changes or {}
    )
    return specimen(kind, changes)


def page(version: int, *items: dict[str, Any], more: str = "") -> bytes:
    return json.dumps({"metadata": {"resourceVersion": str(version), "continue": more}, "items": items}).encode()


def event(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "HTTPRoute", "metadata": {"resourceVersion": str(version)}})


def gone(code: int = 410) -> bytes:
    return event("ERROR", {"kind": "Status", "code": code, "message": "too old resource version"})


def listed(reflector: Reflector, version: int, *items: dict[str, Any], now: float = 0.0) -> Edits:
    ask = reflector.ask(0.0)
    assert not ask.watch
    return finish(reflector.page(page(version, *items), now))


def watching(reflector: Reflector, now: float = 0.0) -> Ask:
    ask = reflector.ask(0.0)
    assert ask.watch
    reflector.opened(now)
    return ask


def names(edits: Edits) -> dict[str, bool]:
    """By name, whether the object is there."""
    return {key.name: resource is not None for key, resource in edits.items()}


def test_a_list_comes_in_pages_and_is_handed_over_when_it_is_complete() -> None:
    reflector = made()
    ask = reflector.ask(0.0)
    assert ask == ("/apis/gateway.networking.k8s.io/v1/httproutes", {"limit": "500"}, False)
    assert finish(reflector.page(page(7, route("a", 1), more="next"), 0.0)) == {}
    assert not reflector.settled
    assert reflector.ask(0.0).params == {"limit": "500", "continue": "next"}
    edits = finish(reflector.page(page(7, route("b", 2)), 0.0))
    assert names(edits) == {"a": True, "b": True}
    assert reflector.settled
    assert reflector.ask(0.0).params["resourceVersion"] == "7"


def test_a_watch_asks_for_bookmarks_and_a_random_end_of_five_to_ten_minutes() -> None:
    reflector = made()
    listed(reflector, 7)
    params = reflector.ask(0.5).params
    assert params["watch"] == params["allowWatchBookmarks"] == "true"
    assert int(params["timeoutSeconds"]) == (SHORTEST_WATCH + LONGEST_WATCH) // 2


def test_events_change_objects_and_the_version_to_go_on_from() -> None:
    reflector = made(store=(store := stored()))
    listed(reflector, 7, route("a", 1), route("b", 2))
    watching(reflector)
    changed = route("a", 9, {"spec.hostnames": ["other.example"]})
    edits = finish(
        reflector.events(
            event("MODIFIED", changed) + event("DELETED", route("b", 10)) + event("ADDED", route("c", 11)), 1
        )
    )
    assert names(edits) == {"a": True, "b": False, "c": True}
    assert sorted(key.name for key in store) == ["a", "c"]
    reflector.ended(300, 300, 0.0)
    assert reflector.due == 300
    assert watching(reflector).params["resourceVersion"] == "11"


def test_a_bookmark_moves_the_version_and_nothing_else() -> None:
    reflector = made()
    listed(reflector, 7, route("a", 1))
    watching(reflector)
    assert finish(reflector.events(bookmark(90), 1)) == {}
    reflector.ended(400, 400, 0.0)
    assert watching(reflector).params["resourceVersion"] == "90"


def test_what_translation_does_not_read_is_no_change_but_is_seen() -> None:
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    parent = {"parentRef": {"name": "gw"}, "controllerName": "rauta.io/gateway-controller", "conditions": [condition]}
    reflector = made(store=(store := stored()))
    listed(reflector, 7, route("a", 1))
    reflector.seen.clear()
    watching(reflector)
    written = route("a", 8, {"status": {"parents": [parent]}})
    assert finish(reflector.events(event("MODIFIED", written), 1)) == {}
    (key,) = reflector.seen
    assert json.loads(store[key].status) == written["status"]
    assert store[key].version == "8"


def test_addresses_in_the_status_of_a_gateway_are_a_change() -> None:
    reflector = made("Gateway")
    listed(reflector, 7, route("gw", 1, kind="Gateway"))
    watching(reflector)
    written = route("gw", 8, {"status": {"addresses": [{"value": "10.0.0.1"}]}}, kind="Gateway")
    assert names(finish(reflector.events(event("MODIFIED", written), 1))) == {"gw": True}


@pytest.mark.parametrize("as_event", [True, False])
def test_an_expired_version_is_listed_anew_and_missed_deletions_are_seen(as_event: bool) -> None:
    reflector = made(store=(store := stored()))
    listed(reflector, 7, route("a", 1), route("b", 2))
    watching(reflector)
    if as_event:
        assert finish(reflector.events(gone(), 1)) == {}
        assert not reflector.watching
        reflector.ended(0.1, 1, 0.0)
    else:
        reflector.refused(410, "410 too old", None, 1, 0.0)
    assert len(store) == 2
    assert reflector.due <= 1
    assert names(listed(reflector, 50, route("b", 2), route("c", 40))) == {"a": False, "c": True}
    assert watching(reflector).params["resourceVersion"] == "50"


def test_an_expired_page_starts_the_list_again_in_one_piece() -> None:
    reflector = made()
    reflector.ask(0.0)
    finish(reflector.page(page(7, route("gone", 1), more="next"), 0.0))
    reflector.ask(0.0)
    reflector.refused(410, "410 expired", None, 1, 0.0)
    assert reflector.ask(0.0).params == {}
    assert names(finish(reflector.page(page(9, route("a", 8)), 1))) == {"a": True}
    reflector.refused(410, "410 expired", None, 1, 0.0)
    assert "limit" in reflector.ask(0.0).params


def test_a_line_that_was_cut_off_is_forgotten_and_comes_again() -> None:
    reflector = made()
    listed(reflector, 7)
    watching(reflector)
    line = event("ADDED", route("a", 8))
    assert finish(reflector.events(line[:100], 1)) == {}
    reflector.ended(60, 61, 0.0)
    assert watching(reflector).params["resourceVersion"] == "7"
    assert names(finish(reflector.events(line, 62))) == {"a": True}


@given(st.lists(st.integers(1, 400), max_size=20))
@settings(max_examples=30)
def test_events_may_be_cut_anywhere(cuts: list[int]) -> None:
    data = b"".join(event("ADDED", route(f"r{index}", 10 + index)) for index in range(5))
    reflector = made()
    listed(reflector, 7)
    watching(reflector)
    found: Edits = {}
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        found |= finish(reflector.events(piece, 1))
    assert names(found) == {f"r{index}": True for index in range(5)}


def test_an_event_that_is_no_json_is_asked_for_again_and_then_replaced_by_a_list() -> None:
    reflector = made()
    listed(reflector, 7, route("a", 1))
    for _ in range(3):
        watching(reflector)
        assert finish(reflector.events(b'{"type":"ADDED","obj\n' + event("ADDED", route("b", 9)), 1)) == {}
        assert "cannot be read" in reflector.error
        reflector.ended(0.1, 1, 0.0)
        assert reflector.due > 1
    assert not reflector.ask(0.0).watch


def test_a_watch_that_ends_at_once_is_a_failure_and_one_that_lived_is_none() -> None:
    reflector = made()
    listed(reflector, 7)
    waits = []
    for _ in range(4):
        watching(reflector)
        reflector.ended(0.0, 100, 0.0)
        waits.append(reflector.due - 100)
    assert waits == pytest.approx([0.8, 1.6, 3.2, 6.4])
    watching(reflector)
    reflector.broken("reset by peer", 500, 600, 0.0)
    assert reflector.due == 600
    assert watching(reflector).params["resourceVersion"] == "7"


def test_429_waits_as_long_as_it_says_and_does_not_list() -> None:
    reflector = made()
    listed(reflector, 7)
    for wait, until in ((17.0, 17.0), (4000.0, 60.0)):
        reflector.ask(0.0)
        reflector.refused(429, "429 slow down", wait, 0, 0.0)
        assert reflector.due == until
    assert watching(reflector).params["resourceVersion"] == "7"


def test_a_server_that_never_had_the_version_is_asked_for_a_list() -> None:
    """After etcd was restored from a backup: "too large resource version", a 504, for ever."""
    reflector = made()
    listed(reflector, 7000)
    for _ in range(3):
        watching(reflector)
        reflector.refused(504, "504 Too large resource version", None, 0, 0.0)
    assert not reflector.ask(0.0).watch


def test_a_refusal_keeps_objects_says_what_to_grant_and_settles_what_one_can_do_without() -> None:
    secret, configmap = made("Secret"), made("ConfigMap", store := stored())
    for reflector in (secret, configmap):
        for _ in range(SETTLES):
            reflector.ask(0.0)
            reflector.refused(403, "403 forbidden", None, 0, 0.0)
    assert "grant get, list and watch on configmaps" in configmap.error
    assert (secret.settled, configmap.settled) == (False, True)
    listed(configmap, 7, route("ca", 5, kind="ConfigMap"))
    watching(configmap)
    configmap.refused(401, "401 unauthorized", None, 0, 0.0)
    assert len(store) == 1


def test_a_kind_that_is_gone_ends_and_its_objects_with_it() -> None:
    reflector = made()
    listed(reflector, 7, route("a", 1))
    reflector.ask(0.0)
    reflector.refused(404, "404 page not found", None, 0, 0.0)
    assert reflector.absent
    assert names(reflector.clear()) == {"a": False}


def test_items_of_lists_of_built_in_kinds_need_not_say_what_they_are() -> None:
    reflector = made("Service")
    item = route("web", 3, kind="Service")
    del item["kind"], item["apiVersion"]
    assert names(listed(reflector, 7, item)) == {"web": True}


def test_an_object_that_admission_does_not_take_leaves_the_last_good_one() -> None:
    reflector = made(store=(store := stored()))
    listed(reflector, 7, route("a", 1))
    bad = route("a", 9, {"spec.rules[0].matches[0].path.type": "Glob"})
    watching(reflector)
    assert finish(reflector.events(event("MODIFIED", bad), 1)) == {}
    (key,) = store
    assert "Glob" in str(reflector.faults[key][0])
    assert store[key].version == "1"
    assert finish(reflector.events(event("MODIFIED", route("a", 10)), 1)) == {}
    assert not reflector.faults
    finish(reflector.events(event("MODIFIED", bad), 1))
    reflector.refused(410, "", None, 2, 0.0)
    assert listed(reflector, 20, bad) == {}
    assert key in store


def test_a_status_that_some_controller_got_wrong_does_not_cost_the_object() -> None:
    reflector = made(store=(store := stored()))
    wrong = {"parents": [{"parentRef": {"name": "gw"}, "controllerName": "other.example/x", "conditions": []}]}
    assert names(listed(reflector, 7, route("a", 1, {"status": wrong}))) == {"a": True}
    (key,) = store
    assert json.loads(store[key].status) == wrong
    assert "status.parents[0]" in str(reflector.faults[key][0])


def test_one_namespace_and_one_name_are_asked_for_alone() -> None:
    ask = made("Secret", scope=Scope("Secret", "shop")).ask(0.0)
    assert ask.path == "/api/v1/namespaces/shop/secrets"
    assert ask.params["fieldSelector"].startswith("type!=helm.sh")
    ask = made("Secret", scope=Scope("Secret", "shop", "tls")).ask(0.0)
    assert ask.params["fieldSelector"] == "metadata.name=tls"


def a_minute(behave: Callable[[Reflector, Ask, float], None], chance: float) -> int:
    """How many requests a reflector with one object makes in a minute of `behave`; nothing is lost in it."""
    reflector = made(store=(store := stored()))
    listed(reflector, 7, route("a", 1))
    now, asked = 0.0, 0
    while now < 60:
        ask = reflector.ask(chance)
        asked += 1
        behave(reflector, ask, now)
        now = max(now, reflector.due)
    assert Key("HTTPRoute", "shop", "a") in store
    assert now <= 60 + 30
    return asked


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_minute_without_the_server_is_at_most_twelve_requests(chance: float) -> None:
    assert a_minute(lambda r, _, now: r.broken("connection refused", 0, now, chance), chance) <= 12
    assert a_minute(lambda r, _, now: r.refused(500, "500", None, now, chance), chance) <= 12
    assert a_minute(lambda r, _, now: r.broken("timeout", 5, now + 5, chance), chance) <= 12


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("as_event", [True, False])
def test_a_minute_of_410_is_at_most_ten_requests(chance: float, as_event: bool) -> None:
    def behave(reflector: Reflector, ask: Ask, now: float) -> None:
        if not ask.watch:
            finish(reflector.page(page(9, route("a", 1)), now))
        elif as_event:
            reflector.opened(now)
            finish(reflector.events(gone(), now))
            reflector.ended(0.0, now, chance)
        else:
            reflector.refused(410, "410 gone", None, now, chance)

    assert a_minute(behave, chance) <= 10
