"""RAUTA's own answers: HTTP that others understand, and codes that keep their meaning."""

import re
from pathlib import Path

import h11
import msgspec
import pytest

from rauta_control.reasons import CAPACITY, Reason, Refused, answer, table

ANSWERED = [reason for reason in Reason if reason.status != 499]


def exchange(wire: bytes, method: str) -> tuple[h11.Response, bytes, bool]:
    """(head, body, whether the connection stays) as h11 reads an answer to `method`."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(wire)
    client.receive_data(b"")
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", True)
    return response, body, client.our_state is h11.DONE


@pytest.mark.parametrize("reason", ANSWERED, ids=lambda reason: reason.code)
@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answer(reason: Reason, close: bool, method: str) -> None:
    wire = answer(reason, b"id-1", close=close, head_only=method == "HEAD")
    response, body, stays = exchange(wire, method)
    fields = dict(response.headers)
    whole = answer(reason, b"id-1", close=close).partition(b"\r\n\r\n")[2]
    assert response.status_code == reason.status
    assert response.reason
    assert stays is not close
    assert body == (b"" if method == "HEAD" else whole)
    assert fields[b"content-length"] == b"%d" % len(whole)
    assert fields[b"x-rauta-reason"] == reason.code.encode()
    assert fields[b"content-type"] == b"application/problem+json"
    assert fields[b"cache-control"] == b"no-store"
    assert (b"allow" in fields) == (reason in {Reason.CONNECT_REFUSED, Reason.MAX_FORWARDS})
    problem = msgspec.json.decode(whole)
    assert problem["status"] == reason.status
    assert problem["reason"] == reason.code
    assert problem["detail"] == reason.detail
    assert problem["request_id"] == "id-1"


def test_answer_without_request_id_has_none() -> None:
    body = answer(Reason.NO_ROUTE, close=False).partition(b"\r\n\r\n")[2]
    assert "request_id" not in msgspec.json.decode(body)


def test_request_id_cannot_break_the_body() -> None:
    body = answer(Reason.NO_ROUTE, b'"}\\</script>', close=False).partition(b"\r\n\r\n")[2]
    assert msgspec.json.decode(body)["request_id"] == '"}\\</script>'


def test_refused_keeps_its_note_from_users() -> None:
    refused = Refused(Reason.BAD_HOST, "b'\\x00'")
    assert (refused.reason, refused.note) == (Reason.BAD_HOST, "b'\\x00'")
    assert b"x00" not in answer(refused.reason, close=True)


def test_numbers_and_codes() -> None:
    numbers = [reason.number for reason in Reason]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) > 0
    assert max(numbers) < CAPACITY
    assert len({reason.code for reason in Reason}) == len(numbers)
    assert all(re.fullmatch("[a-z_]+", reason.code) and reason.code_bytes == reason.code.encode() for reason in Reason)
    # Values of counters in shared memory and of dashboards: never change these, only add.
    assert (Reason.BAD_REQUEST_LINE.number, Reason.NO_HOST.number, Reason.NO_ENDPOINTS.number) == (1, 20, 30)
    assert (Reason.OVERLOADED.number, Reason.CLIENT_CLOSED.number) == (40, 41)


def test_the_documentation_has_them_all() -> None:
    page = Path(__file__).parents[3] / "docs" / "reasons.md"
    assert page.read_text() == table(), "write reasons.table() to docs/reasons.md"
