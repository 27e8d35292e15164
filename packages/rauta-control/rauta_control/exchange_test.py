"""Treated requests over fake transports: what backend and client get, what is logged, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import format_datetime, parsedate_to_datetime
from typing import TypeAlias

import h11
import pytest

from rauta_control import exchange, ir
from rauta_control.action import Cors, Filters, HeaderEdit, PathEdit, Redirect, Rewrite
from rauta_control.fakewire_test import OK, MakeWire, Wire, cluster, get, post, reason, status

CORS = Cors(("https://a.example",), ("PUT",), ("x-one",), ("x-two",), True, 60)
PREFLIGHT = (
    b"OPTIONS /x HTTP/1.1\r\nHost: h\r\nOrigin: %b\r\nAccess-Control-Request-Method: PUT\r\n"
    b"Access-Control-Request-Headers: x-one\r\n\r\n"
)

Make: TypeAlias = Callable[..., Wire]


@pytest.fixture
def made(make_wire: MakeWire) -> Make:
    """Make a worker with one rule for everything."""

    def make(
        filters: Filters | None = None, *shares: ir.ClusterWeight, path: str = "/", kind: str = "prefix", port: int = 80
    ) -> Wire:
        to = shares or (ir.ClusterWeight("c"),)
        rule = ir.Rule("r", "app", "l|*", path, kind, to, slot=0, epoch=1, filters=filters)  # type: ignore[arg-type]
        return make_wire(
            (
                ir.Listener("l", "0.0.0.0", port, port),
                ir.VirtualHost("l", "*"),
                cluster("c", 8001),
                cluster("d", 8002),
                cluster("empty"),
                rule,
            )
        )

    return make


def parse(request: bytes) -> tuple[str, dict[str, list[str]]]:
    """Target and fields (lower case, in order) of the one request that a backend got, as h11 reads it."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(request)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    found: dict[str, list[str]] = {}
    for name, value in event.headers:
        found.setdefault(name.decode(), []).append(value.decode())
    return event.target.decode(), found


def answer(response: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields of the one response that a client got; it has no body and no field twice."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = [line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:]]
    found = {name.lower(): value for name, value in lines}
    assert len(found) == len(lines)
    assert body == b""
    assert found["content-length"] == "0"
    return status(response), found


# -- fields


def test_fields_of_requests_are_edited(made: Make) -> None:
    edit = HeaderEdit((("X-Set", "new"), ("X-Forwarded-Proto", "https")), (("X-Add", "b"),), ("x-gone",))
    wire = made(Filters(request=edit))
    client = wire.client()
    client.say(get("/x?y", "x-set: old", "X_Set: oldest", "X-Add: a", "X-Gone: 1", "Content-Length: 2") + b"ok")
    target, fields = parse(wire.backend.heard())
    assert target == "/x?y"
    assert fields["x-set"] == ["new"]
    assert "x_set" not in fields
    assert fields["x-add"] == ["a", "b"]
    assert "x-gone" not in fields
    assert fields["x-forwarded-proto"] == ["https"]
    assert fields["content-length"] == ["2"]
    wire.backend.say(OK)
    assert client.heard() == OK  # nobody asked for another response: it went on as it came


def test_fields_of_responses_are_edited_and_framing_is_not(made: Make) -> None:
    wire = made(Filters(response=HeaderEdit((("X-Set", "new"),), (("X-Add", "b"),), ("X-Gone",))))
    client = wire.client()
    client.say(get("/"))
    wire.backend.say(
        b"HTTP/1.1 200 OK\r\nDate: x\r\nx-set: old\r\nX-Add: a\r\nX-Gone: 1\r\nContent-Length: 2\r\n\r\n", b"ok"
    )
    assert client.heard() == (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nX-Add: a\r\nContent-Length: 2\r\nX-Set: new\r\nX-Add: b\r\n\r\nok"
    )
    client.say(get("/"))  # both connections live on
    wire.backend.say(
        b"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\nX-Gone: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    assert client.heard() == (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nX-Set: new\r\nX-Add: b\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    assert len(wire.backends) == 1


@pytest.mark.parametrize(
    ("edit", "said"), [(HeaderEdit((("date", "y"),)), b"date: y\r\n"), (HeaderEdit((), (), ("Date",)), b"")]
)
@pytest.mark.parametrize("date", [b"Date: x\r\n", b""])
def test_a_date_of_ours_is_edited_like_one_of_the_backend(
    made: Make, edit: HeaderEdit, said: bytes, date: bytes
) -> None:
    wire = made(Filters(response=edit))
    client = wire.client()
    client.say(get("/"))
    wire.backend.say(b"HTTP/1.1 204 No Content\r\n%b\r\n" % date)
    assert client.heard() == b"HTTP/1.1 204 No Content\r\n%b\r\n" % said


@pytest.mark.parametrize("hop", [b"", b"Connection: x\r\nX: 1\r\n"], ids=["plain", "rebuilt"])
def test_interim_responses_lose_what_is_edited_and_errors_of_our_own_nothing(made: Make, hop: bytes) -> None:
    wire = made(Filters(response=HeaderEdit((("Cache-Control", "max-age=9"),), (("A", "b"),), ("x-gone",)), cors=CORS))
    client = wire.client()
    client.say(get("/"))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nA: a\r\n"
    wire.backend.say(hints + hop + b"cache-control: x\r\nX-Gone: 1\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
    assert client.heard() == hints + b"\r\n"
    wire.backend.break_off()
    response = client.heard()
    assert reason(response) == "upstream_reset"
    assert b"Cache-Control: no-store\r\n" in response
    assert b"max-age" not in response


# -- rewrites


@pytest.mark.parametrize("fields", [(), ("X-Request-Id: 1",)], ids=["plain", "rebuilt"])
def test_host_and_path_are_rewritten(made: Make, fields: tuple[str, ...]) -> None:
    wire = made(Filters(rewrite=Rewrite("new.example", PathEdit("/new", prefix=True))), path="/old")
    client = wire.client()
    client.say(get("/old/a?b", *fields))
    target, found = parse(wire.backend.heard())
    assert target == "/new/a?b"
    assert found["host"] == ["new.example"]
    assert found["x-forwarded-host"] == ["h"]
    wire.backend.say(OK)
    assert client.heard() == OK
    (line,) = wire.log()
    assert (line["path"], line["host"], line["route"]) == ("/old/a?b", "h", "app")


def test_a_whole_path_is_replaced(made: Make) -> None:
    wire = made(Filters(rewrite=Rewrite("", PathEdit("/one"))), path="/old", kind="exact")
    wire.client().say(get("/old?b"))
    assert parse(wire.backend.heard())[0] == "/one?b"


def test_a_host_can_be_given_to_who_has_none(made: Make) -> None:
    wire = made(Filters(rewrite=Rewrite("new.example")))
    wire.client().say(b"GET / HTTP/1.0\r\n\r\n")
    _, found = parse(wire.backend.heard())
    assert found["host"] == ["new.example"]
    assert "x-forwarded-host" not in found


def test_a_body_goes_along(made: Make) -> None:
    wire = made(Filters(rewrite=Rewrite("", PathEdit("/one"))))
    client = wire.client()
    client.say(post("Content-Length: 6", body=b"abc"))
    client.say(b"def")
    heard = wire.backend.heard()
    assert heard.startswith(b"POST /one HTTP/1.1\r\n")
    assert heard.endswith(b"\r\n\r\nabcdef")
    wire.backend.say(OK)
    assert client.heard() == OK


# -- redirects


@pytest.mark.parametrize("code", ir.REDIRECTS)
def test_redirects(made: Make, code: int) -> None:
    wire = made(Filters(redirect=Redirect(code, "https", 0)))
    client = wire.client()
    client.say(b"GET /x?y HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n")
    found, fields = answer(client.heard())
    assert found == code
    assert format_datetime(parsedate_to_datetime(fields["date"]), usegmt=True) == fields.pop("date")
    assert fields == {
        "location": "https://[2001:db8::1]/x?y",
        "content-length": "0",
        "x-rauta-reason": "redirect",
    }
    client.say(b"HEAD /z HTTP/1.1\r\nHost: h\r\n\r\n")  # the connection lives
    assert answer(client.heard())[1]["location"] == "https://h/z"
    assert not wire.backends
    assert [(line["status"], line["reason"], line["route"]) for line in wire.log()] == [(code, "redirect", "app")] * 2


def test_an_answer_has_one_date(made: Make) -> None:
    edit = HeaderEdit((("date", "Mon, 23 Nov 2026 00:00:00 GMT"),))
    wire = made(Filters(response=edit, redirect=Redirect(302, "http", 0)))
    client = wire.client()
    client.say(get("/"))
    response = client.heard()
    assert answer(response)[1]["date"] == "Mon, 23 Nov 2026 00:00:00 GMT"
    assert response.lower().count(b"\ndate:") == 1


def test_a_redirect_has_the_fields_its_rule_adds(made: Make) -> None:
    wire = made(Filters(response=HeaderEdit((("X-A", "1"),)), redirect=Redirect(302, "http", 8080), cors=CORS))
    client = wire.client()
    client.say(get("/", "Origin: https://a.example"))
    found, fields = answer(client.heard())
    assert found == 302
    assert fields["location"] == "http://h:8080/"
    assert fields["x-a"] == "1"
    assert fields["access-control-allow-origin"] == "https://a.example"


def test_a_body_that_has_come_does_not_matter_to_a_redirect(made: Make) -> None:
    wire = made(Filters(redirect=Redirect(307, "https", 0)))
    client = wire.client()
    client.say(post("Content-Length: 2", body=b"ok") + get("/next"))
    first, second = client.heard().split(b"HTTP/1.1 307 ")[1:]
    assert b"https://h/\r\n" in first
    assert b"https://h/next\r\n" in second
    assert client.open


def test_a_body_that_is_still_to_come_ends_the_connection(made: Make) -> None:
    wire = made(Filters(redirect=Redirect(307, "https", 0)))
    client = wire.client()
    client.say(post("Content-Length: 5", "Expect: 100-continue"))
    assert answer(client.heard())[1]["connection"] == "close"
    assert client.ended
    client.say(b"12345", get("/"))  # discarded
    assert client.heard() == b""


def test_a_redirect_without_any_host_is_refused(made: Make) -> None:
    wire = made(Filters(redirect=Redirect(302, "https", 0)))
    client = wire.client()
    client.say(b"GET //evil.example/ HTTP/1.0\r\n\r\n")
    assert reason(client.heard()) == "bad_host"


# -- CORS


@pytest.mark.parametrize("end", ["", "empty"])
def test_preflights_are_answered_whatever_the_backend_does(made: Make, end: str) -> None:
    wire = made(Filters(cors=CORS, response=HeaderEdit(append=(("X-A", "1"),))), ir.ClusterWeight(end or "c"))
    client = wire.client()
    client.say(PREFLIGHT % b"https://a.example")
    found, fields = answer(client.heard())
    assert found == 200
    del fields["date"]
    assert fields == {
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-two",
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "x-one",
        "access-control-max-age": "60",
        "vary": "Origin",
        "x-a": "1",
        "content-length": "0",
        "x-rauta-reason": "cors_preflight",
    }
    assert not wire.backends
    assert client.open


def test_preflights_of_others_are_refused(made: Make) -> None:
    wire = made(Filters(cors=CORS))
    client = wire.client()
    client.say(PREFLIGHT % b"https://b.example")
    response = client.heard()
    assert (status(response), reason(response)) == (403, "cors_origin")
    assert b"Access-Control" not in response
    assert b"Vary: Origin\r\n" in response
    assert client.open
    assert not wire.backends


@pytest.mark.parametrize(
    ("origin", "granted"),
    [
        (
            "https://a.example",
            b"Access-Control-Allow-Origin: https://a.example\r\nAccess-Control-Allow-Credentials: true\r\n"
            b"Access-Control-Expose-Headers: x-two\r\n",
        ),
        ("https://b.example", b""),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "OPTIONS"])
def test_responses_are_shared_as_the_rule_says(made: Make, origin: str, granted: bytes, method: str) -> None:
    wire = made(Filters(cors=CORS))
    client = wire.client()
    client.say(f"{method} / HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n\r\n".encode())
    assert f"origin: {origin}\r\n".encode() in wire.backend.heard().lower()
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\nok")
    assert (
        client.heard() == b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n" + granted + b"Vary: Origin\r\n\r\nok"
    )


def test_browsers_may_read_our_errors(made: Make) -> None:
    wire = made(Filters(cors=CORS), ir.ClusterWeight("empty"))
    client = wire.client()
    client.say(get("/", "Origin: https://a.example"))
    response = client.heard()
    assert reason(response) == "no_endpoints"
    assert b"Access-Control-Allow-Origin: https://a.example\r\n" in response
    client.say(get("/", "Origin: https://b.example"))
    assert b"Access-Control" not in client.heard()


# -- shares


def shares(monkeypatch: pytest.MonkeyPatch, *chances: float) -> None:
    left = list(chances)
    monkeypatch.setattr(exchange, "random", lambda: left.pop(0))


def test_each_share_has_its_own_filters_after_those_of_the_rule(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Filters(
        request=HeaderEdit((("X-A", "share"),), (("X-B", "share"),)),
        response=HeaderEdit((("X-C", "share"),)),
        rewrite=Rewrite("share.example"),
    )
    rule = Filters(
        request=HeaderEdit((("X-A", "rule"),), (("X-B", "rule"),)),
        response=HeaderEdit((("X-C", "rule"), ("X-D", "rule"))),
        rewrite=Rewrite("rule.example", PathEdit("/rule")),
    )
    wire = made(rule, ir.ClusterWeight("c", 3, own), ir.ClusterWeight("d", 1))
    shares(monkeypatch, 0.0, 0.74, 0.75, 0.999)
    client = wire.client()
    seen = []
    for _ in range(4):
        client.say(get("/"))
        (backend,) = [end for end in wire.backends if end.received]
        target, fields = parse(backend.heard())
        backend.say(OK)
        response = client.heard()
        assert response.count(b"X-C:") == 1
        assert b"X-D: rule\r\n" in response
        assert target == "/rule"
        port = wire.log()[-1]["endpoint"].rpartition(":")[2]
        seen.append((port, fields["x-a"], fields["x-b"], fields["host"], b"X-C: share" in response))
    first = ("8001", ["share"], ["rule", "share"], ["share.example"], True)
    second = ("8002", ["rule"], ["rule"], ["rule.example"], False)
    assert seen == [first, first, second, second]


def test_a_share_that_is_invalid_is_answered_with_500(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Filters(request=HeaderEdit((("X-A", "1"),)))
    wire = made(None, ir.ClusterWeight("", 1, fault="gone"), ir.ClusterWeight("d", 1, own), ir.ClusterWeight("c", 0))
    shares(monkeypatch, 0.4, 0.5)
    client = wire.client()
    client.say(get("/"))
    assert reason(client.heard()) == "backend_invalid"
    client.say(get("/"))
    assert parse(wire.backend.heard())[1]["x-a"] == ["1"]


def test_where_no_share_is_left_there_is_no_backend(made: Make) -> None:
    wire = made(None, ir.ClusterWeight("c", 0, Filters(rewrite=Rewrite("x"))))
    client = wire.client()
    client.say(get("/"))
    assert reason(client.heard()) == "no_backends"


def test_a_treatment_ends_with_its_request(made: Make) -> None:
    """The next request on the connection goes where nothing is to be done."""
    wire = made(Filters(response=HeaderEdit((("X-A", "1"),)), cors=CORS), path="/treated")
    plain = ir.Rule("p", "plain", "l|*", "/plain", "prefix", (ir.ClusterWeight("c"),), slot=1, epoch=1)
    wire.publish(*wire.worker.follower.table.resources.values(), plain)
    client = wire.client()
    client.say(get("/treated"))
    wire.backend.say(OK)
    assert b"X-A: 1" in client.heard()
    client.say(get("/plain"))
    wire.backend.say(OK)
    assert client.heard() == OK
