"""The client's side of the proxy, over fake transports: requests, heads, HTTP/1.0, the log."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rauta_control import claim, clientstate, ledger
from rauta_control.fakewire_test import CONFIGURATION, GET, LIMITS, MISSING, OK, OK_CLOSE, Wire, get, reason, status
from rauta_control.reasons import Reason
from rauta_control.sharedmem import RouteWord, Vital

# -- one request


def test_a_request_is_relayed_counted_and_logged(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    assert wire.backend.heard() == (
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: h\r\nX-Request-Id: %b%012x\r\n\r\n" % (wire.worker.request_prefix, 1)
    )
    wire.backend.say(OK)
    assert client.heard() == OK
    assert client.open
    (line,) = wire.log()
    assert line["route"] == "app"
    assert line["endpoint"] == "192.0.2.1:8001"
    assert (line["method"], line["host"], line["path"], line["status"]) == ("GET", "h", "/", 200)
    assert (line["client"], line["bytes_in"], line["bytes_out"], line["reason"]) == ("198.51.100.7", 0, len(OK), "")
    assert line["request_id"] == wire.worker.request_prefix.decode() + f"{1:012x}"
    words = wire.worker.recorder.route(0, 1).words
    assert (words[RouteWord.STATUS_1XX + 1], words[RouteWord.BYTES_OUT]) == (1, len(OK))


def test_each_connection_takes_one_request_after_the_other_over_one_pooled_connection(wire: Wire) -> None:
    client = wire.client()
    for number in range(5):
        client.say(get(f"/{number}"))
        assert wire.backend.heard().startswith(b"GET /%d " % number)
        wire.backend.say(OK)
        assert client.heard() == OK
    assert len(wire.backends) == 1
    assert wire.vital(Vital.UPSTREAM_CONNECTS) == 1
    assert wire.vital(Vital.UPSTREAM_REUSES) == 4


def test_what_only_the_gateway_may_say_is_overwritten(wire: Wire) -> None:
    client = wire.client("::ffff:203.0.113.9")
    client.say(
        get("/", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "Forwarded: for=x")
    )
    request = wire.backend.heard().lower()
    assert request.count(b"forwarded") == 3
    assert b"x-forwarded-for: 203.0.113.9\r\n" in request
    assert b"x-forwarded-host: h\r\n" in request
    assert b"x-forwarded-proto: http\r\n" in request


def test_a_request_id_of_the_client_is_kept_if_it_is_usable(wire: Wire) -> None:
    client = wire.client()
    for sent, kept in (("abc-1", True), ('a"b', False), ("x" * 129, False)):
        client.say(get("/", f"X-Request-Id: {sent}"))
        request = wire.backend.heard()
        assert request.count(b"X-Request-Id: ") == 1
        assert (f"X-Request-Id: {sent}\r\n".encode() in request) is kept
        wire.backend.say(OK)
        assert (wire.log()[-1]["request_id"] == sent) is kept


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: nothing.example\r\n\r\n", Reason.NO_HOST),
        (get("/none"), Reason.NO_BACKENDS),
        (get("/empty"), Reason.NO_ENDPOINTS),
    ],
)
def test_answers_of_its_own_keep_the_connection(wire: Wire, request_head: bytes, expected: Reason) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(request_head)
        answer = client.heard()
        assert (status(answer), reason(answer)) == (expected.status, expected.code)
    assert client.open
    assert not wire.backends
    assert wire.vital(Vital.REASONS + expected.number) == 3


def test_the_whole_server_is_asked_where_everything_goes(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(get("*").replace(b"GET", b"OPTIONS"))
        assert wire.backend.heard().startswith(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n")
        wire.backend.say(OK)
        assert client.heard() == OK
    wire.publish(*(r for r in CONFIGURATION if r.name != "r"))
    client.say(get("*").replace(b"GET", b"OPTIONS"))
    assert reason(client.heard()) == "no_route"


def test_no_host_is_no_host(wire: Wire) -> None:
    wire.publish(*(r for r in CONFIGURATION if r.name not in ("l|*", "r", "none", "empty")))
    client = wire.client()
    client.say(GET)
    assert reason(client.heard()) == "no_host"


def test_a_connection_per_request_up_to_the_limit(wire: Wire) -> None:
    wire.limit(max_endpoint_connections=2)
    clients = [wire.client() for _ in range(3)]
    for client in clients:
        client.say(GET)
    assert len(wire.backends) == 2
    assert reason(clients[2].heard()) == "upstream_overflow"
    wire.backends[0].say(OK)
    assert clients[0].heard() == OK
    clients[2].say(GET)
    assert wire.backends[0].heard().count(b"GET") == 2


def test_a_refused_connection_is_502_and_a_hanging_one_504(wire: Wire) -> None:
    client = wire.client()
    wire.loop.refuse = ConnectionRefusedError()
    client.say(GET)
    assert reason(client.heard()) == "upstream_connect"
    wire.loop.refuse = None
    wire.loop.hang = True
    client.say(GET)
    wire.wait(7)
    assert reason(client.heard()) == "upstream_connect_timeout"
    assert client.open
    wire.loop.hang = False
    wire.loop.connecting.clear()
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_an_address_that_is_none_is_502(wire: Wire) -> None:
    wire.loop.refuse = ValueError("embedded null byte")
    client = wire.client()
    client.say(GET)
    assert reason(client.heard()) == "upstream_connect"


# -- heads


def test_a_head_may_arrive_byte_by_byte(wire: Wire) -> None:
    client = wire.client()
    for byte in get("/slow", "Cookie: a=b"):
        assert not wire.backends
        client.say(bytes((byte,)))
    assert wire.backend.heard().startswith(b"GET /slow HTTP/1.1\r\n")


def test_a_head_has_ten_seconds_however_it_drips(wire: Wire) -> None:
    client = wire.client()
    for _ in range(9):
        client.say(b"G" if client.open else b"")
        wire.wait(1)
        assert client.heard() == b""
    client.say(b"E")
    wire.wait(2)
    assert reason(client.heard()) == "head_timeout"
    assert client.ended
    assert wire.statuses() == [(408, "head_timeout")]


def test_a_connection_that_never_says_anything_is_closed_without_a_word(wire: Wire) -> None:
    client = wire.client()
    wire.wait(LIMITS.head_timeout + 1)
    assert client.ended
    assert client.heard() == b""
    assert wire.log() == []


def test_an_idle_connection_is_closed_after_keep_alive(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    wire.wait(LIMITS.keep_alive_timeout - 2)
    assert client.open
    wire.wait(4)
    assert client.heard() == OK
    assert client.lost


def test_empty_lines_that_drip_hold_no_connection(wire: Wire) -> None:
    client = wire.client()
    for _ in range(int(LIMITS.head_timeout)):
        client.say(*((b"\r", b"\n") if client.open else ()))
        wire.wait(1)
    wire.wait(1)
    assert client.lost


def test_empty_lines_before_a_request_are_ignored(wire: Wire) -> None:
    client = wire.client()
    client.say(b"\r\n\r\n" + GET)
    wire.backend.say(OK)
    client.say(b"\r\n")  # some clients end a body with it
    wire.wait(LIMITS.head_timeout + 2)
    assert client.open  # that was no beginning of a head
    client.say(b"\r", b"\n")
    assert wire.downstream(client).phase == clientstate.IDLE
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == 2 * OK
    client.say(b"\r\n" * 100_000 + GET)
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("junk", [b"\r", b"\r\r", b"\rG", b"\r\n\r"])
def test_a_carriage_return_alone_is_a_bad_request(wire: Wire, junk: bytes) -> None:
    client = wire.client()
    client.say(junk + GET)
    assert reason(client.heard()) == "bad_request_line"
    assert client.ended


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * LIMITS.max_head_bytes, Reason.HEAD_TOO_LARGE),
        (b"GET /" + b"x" * LIMITS.max_head_bytes, Reason.TARGET_TOO_LONG),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * LIMITS.max_head_bytes + b"\r\n\r\n", Reason.HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 101 + b"\r\n", Reason.TOO_MANY_FIELDS),
        (b"GET / HTTP/1.1\r\n\r\n", Reason.BAD_HOST),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Reason.BAD_HOST),
        (b"nonsense\r\n\r\n", Reason.BAD_REQUEST_LINE),
    ],
)
def test_what_is_no_request_is_refused_and_nothing_after_it_is_read_as_one(
    wire: Wire, head: bytes, expected: Reason
) -> None:
    client = wire.client()
    client.say(head, GET)
    answer = client.heard()
    assert (status(answer), reason(answer)) == (expected.status, expected.code)
    assert b"Connection: close\r\n" in answer
    assert client.ended
    assert not wire.backends
    assert wire.statuses() == [(expected.status, expected.code)]


@pytest.mark.parametrize("beginning", [b"GET /\r\n", b"GET / HTTP/1.1\nHost: h\n", b"GET / HTTP/1.1\r\nHost: h\n"])
def test_what_can_no_longer_become_a_head_is_refused_at_once(wire: Wire, beginning: bytes) -> None:
    client = wire.client()
    client.say(beginning)
    assert status(client.heard()) == 400


def test_a_dripped_head_is_limited_too(wire: Wire) -> None:
    client = wire.client()
    client.say(b"GET / HTTP/1.1\r\n", *[b"X: %b\r\n" % (b"x" * 1000)] * 80)
    assert reason(client.heard()) == "head_too_large"


def test_what_is_refused_with_its_first_bytes_took_no_time(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    wire.downstream(client).started -= 3600  # the last request was long ago
    client.say(b"nonsense\n")
    other = wire.client()
    other.say(b"\x16\x03\x01")  # a ClientHello
    assert [line["reason"] for line in wire.log()] == ["", "bad_request_line", "bad_request_line"]
    assert all(line["duration_us"] < 3_600_000_000 for line in wire.log()[1:])


def test_a_refusal_has_a_body_whatever_others_asked_for(wire: Wire) -> None:
    first, second = wire.client(), wire.client()
    first.say(b"HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n")
    assert first.heard().endswith(b"\r\n\r\n")
    second.say(b"nonsense\r\n\r\n")
    assert reason(second.heard()) == "bad_request_line"
    assert wire.log()[-1]["method"] == ""


def test_an_endless_method_is_not_logged_whole(wire: Wire) -> None:
    client = wire.client()
    client.say(b"A" * 10_000 + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status(client.heard()) >= 400
    assert len(wire.log()[-1]["method"]) <= claim.MAX_METHOD


# -- HTTP/1.0


def test_a_client_of_1_0_gets_a_close(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/", version="1.0"))
    assert wire.backend.heard().startswith(b"GET / HTTP/1.1\r\n")
    wire.backend.say(OK)
    assert client.heard() == OK_CLOSE
    assert client.lost


def test_a_client_of_1_0_may_ask_to_keep_the_connection(wire: Wire) -> None:
    client = wire.client()
    for _ in range(2):
        client.say(get("/", "Connection: keep-alive", version="1.0"))
        wire.backend.say(OK)
        assert client.heard() == OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    client.say(get("/none", "Connection: keep-alive", version="1.0"))
    assert b"Connection: close\r\n" in client.heard()
    assert client.lost


@pytest.mark.parametrize("host", [b"example.com", b"example.com:8080", b"example.com."])
def test_the_host_field_is_passed_on_as_sent(wire: Wire, host: bytes) -> None:
    wire.client().say(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
    request = wire.backend.heard()
    assert b"\r\nHost: %b\r\n" % host in request
    assert b"\r\nX-Forwarded-Host: %b\r\n" % host in request


def test_a_client_of_1_0_needs_no_host(wire: Wire) -> None:
    client = wire.client()
    client.say(b"GET / HTTP/1.0\r\n\r\n")
    request = wire.backend.heard()
    assert b"\r\nHost:" in request
    assert b"X-Forwarded-Host" not in request


# -- the worker's clock and log


def test_a_machine_that_slept_expires_nobody(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    client = wire.client()
    client.say(GET)
    wire.worker._ticked -= 3600
    before = wire.worker.now
    wire.worker.tick()
    assert wire.worker.now <= before + 1.0
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("target", ['/"', "/?a=\\", '/"?a="\\"&b=\\'])
def test_quotes_and_backslashes_of_a_target_are_escaped_in_the_log(wire: Wire, target: str) -> None:
    client = wire.client()
    client.say(b"GET %b HTTP/1.1\r\nHost: nothing.example\r\n\r\n" % target.encode())
    assert wire.log()[0]["path"] == target


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    target=st.binary(max_size=40).map(lambda junk: b"/" + junk)
    | st.text(max_size=2000).map(lambda t: ("/" + t).encode()),
    host=st.sampled_from([b"h", b"a.example:80", b"[::1]", b'"', b"\\", b"a\x7fb", b"h\x00"]),
    request_id=st.binary(max_size=20),
    method=st.sampled_from([b"GET", b"M-SEARCH", b'G"T', b"G\\T", b"FOO"]),
)
def test_a_log_line_is_json_whatever_was_asked(
    wire: Wire, target: bytes, host: bytes, request_id: bytes, method: bytes
) -> None:
    client = wire.client()
    client.say(b"%b %b HTTP/1.1\r\nHost: %b\r\nX-Request-Id: %b\r\n\r\n" % (method, target, host, request_id))
    for backend in wire.backends:
        if not backend.lost and wire.upstream(backend).downstream is not None:
            backend.say(OK)
    client.half_close()
    line = wire.log()[-1]  # decoding it is the test
    if line["status"] == 200 and len(target) <= ledger.MAX_PATH and b"%" not in target and b"/." not in target:
        assert line["path"] == target.decode()


def test_the_log_names_the_second_in_which_a_request_ended(wire: Wire) -> None:
    client = wire.client()
    wire.worker.wall = 0.25 - time.monotonic()  # the epoch, a quarter of a second ago
    client.say(MISSING)
    assert wire.log()[0]["time"].startswith("1970-01-01T00:00:00.2")
