"""What a table remembers: of decisions and of Host fields, how much, and by what."""

import itertools

import pytest
from msgspec.structs import replace

from rauta_control import ir, table
from rauta_control.table import Host, Memory, SectionRoutes
from rauta_control.table_test import build, rule, site


def test_what_is_remembered_of_host_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SEEN_LIMIT", 10)
    routes = build(site(rule("r", "/"))).listeners["l"]
    for number in range(100):
        assert routes.find(b"h%d" % number) is not None
        assert len(routes.seen) <= 10 + len(routes.names)


def test_what_the_sections_of_a_listener_remember_of_host_fields_is_bounded_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "SEEN_LIMIT", 10)
    hosts = [ir.VirtualHost("l", f"{name}.example", section=name) for name in "abcde"]
    resources: list[ir.Resource] = [ir.Listener("l", "0.0.0.0", 80, 80), *hosts]
    routes = build({each.key: each for each in resources}).listeners["l"]
    sections = [SectionRoutes(routes, each.section) for each in hosts]
    for port, (host, section) in itertools.product(range(1, 100), zip(hosts, sections, strict=True)):
        assert section.find(b"%b:%d" % (host.hostname.encode(), port)) is not None
        assert sum(len(each.seen) for each in sections) <= 10 + len(routes.names)


def test_what_all_hosts_remember_is_bounded_and_recent_decisions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MEMO_LIMIT", 50)
    memory = Memory()
    paths = build(site(rule("r", "/"), rule("deep", "/a/b"))).listeners["l"].names[b"*"].paths
    hosts = [Host(paths, memory) for _ in range(7)]
    for number in range(1000):
        host = hosts[number % 7]
        path = b"/%d" % number
        assert host.decide(b"GET", path) is host.memo[b"GET" + path]
        remembered = sum(len(host.memo) + len(host.older) for host in hosts)
        assert remembered == len(memory) <= 2 * 50
        former = b"GET/%d" % (number - 7)
        assert number < 7 or former in host.memo or former in host.older
    assert memory.hosts == set(hosts)


def test_long_keys_and_misses_are_not_remembered() -> None:
    host = build(site(rule("r", "/a"), rule("deep", "/a/b/c"))).listeners["l"].names[b"*"]
    assert host.decide(b"GET", b"/a/" + b"x" * 1000) is not None
    assert host.decide(b"GET", b"/b") is None
    assert not host.memo


def test_only_as_many_segments_are_remembered_as_matter_to_a_host_or_to_those_it_falls_back_to() -> None:
    wide, narrow = ir.VirtualHost("l", "*.example.com"), ir.VirtualHost("l", "a.example.com", "l|*.example.com")
    deep = replace(rule("deep", "/a/b/c"), host="l|*.example.com")
    flat = replace(rule("flat", "/a"), host="l|a.example.com")
    names = build(site() | {each.key: each for each in (wide, narrow, deep, flat)}).listeners["l"].names
    for name in (b"*.example.com", b"a.example.com"):
        assert names[name].key(b"GET", b"/a/b/c") == b"GET/a/b/c"
        assert names[name].key(b"GET", b"/a/b/c/d/e") == b"GET/a/b/c/"
    alone = build(site(rule("flat", "/a"))).listeners["l"].names[b"*"]
    assert [alone.key(b"GET", path) for path in (b"/", b"/a", b"/a/", b"/a/b")] == [
        b"GET/",
        b"GET/a",
        b"GET/a/",
        b"GET/a/",
    ]
    expressive = build(site(replace(rule("r", "/.*"), path_type="regex"))).listeners["l"].names[b"*"]
    assert expressive.key(b"GET", b"/a/b//c/") == b"GET/a/b//c/"
