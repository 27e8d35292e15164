"""What may have happened to requests and responses; an AssertionError says what did instead."""

from __future__ import annotations

import string

import h11

from rauta_control.policy import IDEMPOTENT

from .players import Asked, Browser
from .rules import RULES, SHADOWS

_LARGE = 1 << 20
_UPGRADE = [("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "websocket")]  # any may, so that 101 is read
_KNOWN = frozenset(
    b"host x-id x-gone x-set x-add x-odd origin access-control-request-method x-kind cookie connection content-length"
    b" transfer-encoding expect x-forwarded-for x-forwarded-proto x-forwarded-host x-request-id upgrade te".split()
)
_URI = (string.ascii_letters + string.digits + "%/:?&=+;.").encode()


def judge_answers(browser: Browser) -> None:
    data = browser.heard
    for asked in browser.asked:
        if not data:
            return
        # Who has not heard the whole head does not know that it asks for no body.
        method = b"GET" if b"x-rauta-reason: head_timeout" in data.partition(b"\r\n\r\n")[0] else asked.method
        client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGE)
        client.send(h11.Request(method=method, target="/", headers=_UPGRADE))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        event = client.next_event()
        while isinstance(event, h11.InformationalResponse):
            assert asked.upgrade or event.status_code != 101
            assert dict(event.headers).get(b"x-id", b"%d" % asked.number) == b"%d" % asked.number
            event = client.next_event()
        if not isinstance(event, h11.Response):
            return
        _judge_head(asked, event)
        own = b"x-rauta-reason" in dict(event.headers)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        told = b"%d;" % asked.number
        assert own or (told * (len(body) // len(told) + 1)).startswith(body), "somebody else's body"
        if not isinstance(event, h11.EndOfMessage):
            return
        data = client.trailing_data[0]
    assert not data, f"an answer to nothing: {data[:200]!r}"


def _judge_head(asked: Asked, head: h11.Response) -> None:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in head.headers:
        fields.setdefault(name, []).append(value)
    own = b"x-rauta-reason" in fields
    if not own:
        assert fields[b"x-id"] == [b"%d" % asked.number], f"{fields} for {asked.number}"
        answers = [copy.answered for copy in asked.copies if copy.end.port not in SHADOWS]
        assert head.status_code in (answers if asked.times > 1 else answers[-1:]), (asked, head)
    if asked.path in {"/edit", "/cors"} and not own:
        assert fields[b"x-version"] == ["é".encode()]
        assert fields[b"set-cookie"] == [b"c=3"]
        assert b"content-type" not in fields
    if own and fields[b"x-rauta-reason"] == [b"redirect"]:
        assert asked.path == "/redirect"
        (location,) = fields[b"location"]
        assert location.startswith(b"https://h%d:8443/redirect/x?id=%d" % (asked.number, asked.number))
        assert not location.translate(None, _URI)


def judge_copies(asked: Asked) -> None:
    first = [copy for copy in asked.copies if copy.end.port not in SHADOWS]
    for copy in asked.copies:
        assert copy.method == asked.method
        assert asked.body == copy.body if copy.complete else asked.body.startswith(copy.body), "another body"
        names = [name for name, _ in copy.fields]
        assert set(names) <= _KNOWN, names
        for name in (b"host", b"x-request-id", b"x-forwarded-for", b"x-forwarded-host", b"x-id"):
            assert names.count(name) == 1, copy.fields
        fields = dict(copy.fields)
        assert fields[b"host"] == (b"new.example" if asked.path == "/prefix" else b"H%d:80" % asked.number)
        assert fields[b"x-forwarded-host"] == b"h%d:80" % asked.number
        path = {"/prefix": "/new/x", "/full": "/all"}.get(asked.path, asked.path + "/x").encode()
        assert copy.target.startswith(b"%b?id=%d" % (path, asked.number))
        if asked.path in {"/edit", "/gate", "/cors"}:
            assert [value for name, value in copy.fields if name == b"x-set"] == ["ü".encode()]
            assert b"x-gone" not in names
            assert copy.fields.count((b"x-add", b"b")) == 1
    rules = [rule for rule in RULES.values() if rule.path == asked.path]
    attempts = max(rule.retry.attempts if rule.retry else 1 for rule in rules)
    codes = {code for rule in rules if rule.retry for code in rule.retry.codes}
    assert len(first) <= asked.times * (1 + attempts), f"{len(first)} copies of {asked}"
    for copy in first[:-1] if asked.times == 1 else ():
        assert copy.answered in codes or not copy.answered, copy
        assert copy.answered or asked.method in IDEMPOTENT, f"{asked.method!r} sent again: {asked.path}"
