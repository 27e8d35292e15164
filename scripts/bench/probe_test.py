"""A probe must complain of everything that makes a proxy fast by being wrong."""

import json

import pytest

from .probe import complaint
from .setup import Route
from .wire import Head

ROUTE = Route("shop.example", "/r1", 9001)
FIELDS = {"etag": '"a1"', "x-seen-target": "/r1/x", "x-seen-for": "127.0.0.1", "x-seen-proto": "http", "x-seen-id": "7"}
BODY = {"id": "a1", "port": 9001, "pad": "xx"}


def said(
    status: int = 200, fields: dict[str, str] | None = None, body: bytes | None = None, *, proxied: bool = True
) -> str:
    head = Head(status, FIELDS if fields is None else fields)
    return complaint(ROUTE, "/r1/x", head, json.dumps(BODY).encode() if body is None else body, proxied=proxied)


def test_a_right_answer_is_right() -> None:
    assert not said()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("etag", '"b2"', "head of another"),
        ("x-seen-target", "/r1", "arrived as"),
        ("x-seen-for", "", "x-forwarded-for"),
        ("x-seen-proto", "https", "x-forwarded-proto"),
        ("x-seen-id", "", "x-request-id"),
    ],
)
def test_each_fault_is_named(name: str, value: str, words: str) -> None:
    assert words in said(fields={**FIELDS, name: value})


def test_a_wrong_route_a_wrong_body_and_an_error_are_named() -> None:
    assert "port 9002" in said(body=json.dumps({**BODY, "port": 9002}).encode())
    assert "not the backend's" in said(body=b"<html>")
    assert "status 503" in said(status=503)


def test_past_the_proxy_nothing_is_added() -> None:
    assert not said(fields={"etag": '"a1"', "x-seen-target": "/r1/x"}, proxied=False)
