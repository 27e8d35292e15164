"""Gates over fake transports: what they are asked, what they may say, and who waits for them meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from rauta_control import ir
from rauta_control.action import Cors, Filters, HeaderEdit
from rauta_control.fakewire_test import CONFIGURATION, GET, OK, MakeWire, Wire, get, post, reason
from rauta_control.gate import Answer, Inquiry, Verdict
from rauta_control.table import Rule


class Waiting:
    """A gate that decides when it is told."""

    timeout = 5.0

    def __init__(self) -> None:
        self.asked: list[Inquiry] = []
        self.verdicts: list[asyncio.Future[Verdict]] = []

    async def ask(self, inquiry: Inquiry) -> Verdict:
        self.asked.append(inquiry)
        self.verdicts.append(asyncio.get_running_loop().create_future())
        return await self.verdicts[-1]


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    gated = ir.Rule("g", "gated", "l|*", "/gated", "prefix", (ir.ClusterWeight("c"),), request_timeout=9_000, slot=3)
    return make_wire((*CONFIGURATION, gated))


@pytest.fixture
def gate(wire: Wire) -> Waiting:
    return gates(wire, 1)[0]


def gates(wire: Wire, count: int) -> list[Waiting]:
    """Give the rule so many gates."""
    rule = wire.worker.follower.table.listeners["l"].names[b"*"].decide(b"GET", b"/gated")
    assert isinstance(rule, Rule)
    assert rule.treatment is not None
    made = [Waiting() for _ in range(count)]
    rule.treatment.gates = tuple(made)
    return made


def decide(wire: Wire, gate: Waiting, verdict: Verdict | Exception) -> None:
    if isinstance(verdict, Exception):
        gate.verdicts[-1].set_exception(verdict)
    else:
        gate.verdicts[-1].set_result(verdict)
    wire.loop.settle()


def test_a_request_waits_for_its_gate_and_others_do_not(wire: Wire, gate: Waiting) -> None:
    client, other = wire.client(), wire.client()
    client.say(get("/gated?a", "X-User: me"))
    assert not wire.backends
    other.say(get("/", "X-Other: 1"))  # the worker's one parsed head is of this request now
    wire.backend.say(OK)
    wire.backend.heard()
    (inquiry,) = gate.asked
    assert (inquiry.method, inquiry.target, inquiry.client) == (b"GET", b"/gated?a", b"198.51.100.7")
    assert (inquiry.host, inquiry.fields) == (b"h", b"Host: h\r\nX-User: me\r\n")
    decide(wire, gate, None)
    head = wire.backend.heard()
    assert head.startswith(b"GET /gated?a HTTP/1.1\r\nHost: h\r\nX-User: me\r\n")
    assert b"X-Other" not in head
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        (("Origin: https://a.example", "Access-Control-Request-Method: PUT"), False),
        (("Origin: https://evil.example", "Access-Control-Request-Method: PUT"), False),  # 403 by the policy itself
        (("Origin: https://a.example",), True),
        # What ends with this hop makes no preflight: this would be sent on.
        (("Connection: origin", "Origin: https://a.example", "Access-Control-Request-Method: PUT"), True),
    ],
)
def test_a_preflight_is_answered_without_asking(wire: Wire, fields: tuple[str, ...], asks: bool) -> None:
    filters = Filters(cors=Cors(("https://a.example",)))
    gated = ir.Rule("g", "gated", "l|*", "/gated", "prefix", (ir.ClusterWeight("c"),), filters=filters, slot=3)
    wire.publish(*CONFIGURATION, gated)
    gate = gates(wire, 1)[0]
    client = wire.client()
    client.say(get("/gated", *fields).replace(b"GET", b"OPTIONS"))
    assert len(gate.asked) == asks
    assert bool(client.heard()) != asks
    assert not wire.backends


def test_a_gate_may_change_fields(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(get("/gated", "X-User: root", "X_User: root", "Cookie: secret"))
    decide(wire, gate, HeaderEdit(replace=(("X-User", "me"),), drop=("cookie",)))
    head = wire.backend.heard()
    assert head.startswith(b"GET /gated HTTP/1.1\r\nHost: h\r\nX-User: me\r\n")
    assert b"root" not in head
    assert b"secret" not in head
    wire.backend.say(OK)


@pytest.mark.parametrize("split", [0, 12])
def test_no_trailer_gets_past_what_a_gate_changes(wire: Wire, gate: Waiting, split: int) -> None:
    client = wire.client()
    body = b"0\r\nX-User: root\r\nX-Sum: 1\r\n\r\n"
    request = post("TE: trailers", "Connection: TE", "Transfer-Encoding: chunked", body=body).replace(
        b"/", b"/gated", 1
    )
    client.say(request[: len(request) - split])
    decide(wire, gate, HeaderEdit(replace=(("X-User", "me"),)))
    client.say(request[len(request) - split :])
    assert wire.backend.heard().endswith(b"\r\n\r\n0\r\nX-Sum: 1\r\n\r\n")
    wire.backend.say(OK)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_gate_may_answer(wire: Wire, gate: Waiting, method: bytes) -> None:
    client = wire.client()
    client.say(get("/gated").replace(b"GET", method))
    decide(wire, gate, Answer(403, (("WWW-Authenticate", "Bearer"),), b"no"))
    head, _, body = client.heard().partition(b"\r\n\r\n")
    *lines, date = head.split(b"\r\n")
    assert date.startswith(b"Date: ")
    assert lines == [
        b"HTTP/1.1 403 Forbidden",
        b"WWW-Authenticate: Bearer",
        b"x-rauta-reason: gate_answered",
        b"Content-Length: 2",
    ]
    assert body == (b"" if method == b"HEAD" else b"no")
    assert not wire.backends
    assert wire.statuses() == [(403, "gate_answered")]
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_gate_may_answer_without_a_body(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(get("/gated"))
    decide(wire, gate, Answer(204, body=b"none"))
    assert client.heard().startswith(b"HTTP/1.1 204 No Content\r\nx-rauta-reason: gate_answered\r\nDate: ")


def test_gates_are_asked_in_turn_and_see_what_those_before_did(wire: Wire) -> None:
    first, second = gates(wire, 2)
    client = wire.client()
    client.say(get("/gated"))
    assert not second.asked
    decide(wire, first, HeaderEdit(append=(("X-Seen", "1"),)))
    assert second.asked[0].fields == b"Host: h\r\nX-Seen: 1\r\n"
    decide(wire, second, Answer(401))
    assert client.heard().startswith(b"HTTP/1.1 401 ")


def test_reading_stops_and_the_body_follows(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(b"POST /gated HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab", b"cd", b"ef")
    assert not client.reading
    assert len(client.inbox) == 2
    decide(wire, gate, None)
    assert wire.backend.heard().endswith(b"\r\n\r\nabcdef")
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_body_goes_on_over_a_pooled_connection(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    wire.backend.heard()
    client.heard()
    client.say(b"POST /gated HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab", b"cd")
    decide(wire, gate, None)
    assert wire.backend.heard().endswith(b"\r\n\r\nabcd")
    wire.backend.say(OK)
    assert client.heard() == OK
    assert len(wire.backends) == 1


def test_a_client_that_leaves_cancels_it(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(get("/gated"))
    client.break_off()
    assert gate.verdicts[0].cancelled()
    assert wire.statuses() == [(499, "client_closed")]


def test_its_own_time_is_limited(wire: Wire, gate: Waiting) -> None:
    client = wire.client()
    client.say(get("/gated"))
    wire.wait(4.9, 0.1)
    assert not client.heard()
    wire.wait(0.2, 0.1)
    answer = client.heard()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert reason(answer) == "gate_timeout"
    assert gate.verdicts[0].cancelled()


def test_the_request_has_its_deadline_all_the_while(wire: Wire, gate: Waiting) -> None:
    gate.timeout = 60
    client = wire.client()
    client.say(get("/gated"))
    wire.wait(8.9, 0.1)
    assert not client.heard()
    wire.wait(0.2, 0.1)
    assert reason(client.heard()) == "request_timeout"
    assert gate.verdicts[0].cancelled()


def test_one_that_breaks_lets_nothing_pass(wire: Wire, gate: Waiting, caplog: pytest.LogCaptureFixture) -> None:
    client = wire.client()
    client.say(get("/gated"))
    decide(wire, gate, RuntimeError("broken"))
    answer = client.heard()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert reason(answer) == "gate_failed"
    assert "broken" in caplog.text
    assert not wire.backends


@pytest.mark.parametrize(
    "verdict",
    [
        HeaderEdit(replace=(("X-User", "me\r\nX-Admin: 1"),)),
        HeaderEdit(append=(("X User", "me"),)),
        HeaderEdit(append=(("Transfer-Encoding", "chunked"),)),
        HeaderEdit(drop=("Host",)),
        Answer(302, (("Location", "/\r\n\r\nHTTP/1.1 200 OK"),)),
        Answer(200, (("Content-Length", "0"),)),
        Answer(200, (("", "a"),)),
        Answer(101),
        Answer(0),
        Answer(600),
    ],
)
def test_what_no_message_can_have_is_not_said(wire: Wire, gate: Waiting, verdict: Verdict) -> None:
    client = wire.client()
    client.say(get("/gated"))
    decide(wire, gate, verdict)
    assert reason(client.heard()) == "gate_failed"
    assert not wire.backends
