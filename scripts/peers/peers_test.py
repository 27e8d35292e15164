"""The cases, and RAUTA judged by all of them: a real process, nothing else installed."""

import pytest

from ..bench.peers import PROXIES
from .__main__ import chosen, column, table
from .case import Case, Seen, wrong
from .client import statuses

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_rauta_does_everything_right() -> None:
    rauta = PROXIES["rauta"]
    binary = rauta.find({})
    assert binary is not None
    cases = chosen("")
    seen = column(rauta, binary, cases)
    assert [
        (case.name, wrong(case, each)) for (case, _), each in zip(cases, seen, strict=True) if wrong(case, each)
    ] == []


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case, response in chosen("") if not response]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (OK, (200,)),
        (OK + OK, (200, 200)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200,)),
        (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n" + OK, (204, 200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK, (200, 200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok", (200,)),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ()),
    ],
)
def test_statuses_of_what_came_back(data: bytes, found: tuple[int, ...]) -> None:
    assert statuses(data) == found


REFUSED = Case("x", b"", (frozenset((400,)),))
PASSED = Case("y", b"", (frozenset((200,)),), 1, saw=b"kept", hidden=b"dropped")


@pytest.mark.parametrize(
    ("case", "seen", "fault"),
    [
        (REFUSED, Seen((400,), True), ""),
        (REFUSED, Seen((200,), False, b"GET", 1), "200 instead of 400"),
        (REFUSED, Seen((400,), True, b"GET"), "refused, but forwarded"),
        (REFUSED, Seen((400,), True, unharmed=False), "the next request was harmed"),
        (REFUSED, Seen((), True), "close instead of 400"),
        (REFUSED, Seen((), False), "wait instead of 400"),
        (PASSED, Seen((200,), False, b"Kept", 1), ""),
        (PASSED, Seen((200, 200), False, b"kept", 1), "200/200 instead of 200"),
        (PASSED, Seen((200,), False, b"kept", 2), "the backend saw 2 requests instead of 1"),
        (PASSED, Seen((200,), False, b"", 1), "the backend did not see b'kept'"),
        (PASSED, Seen((200,), False, b"kept dropped", 1), "the backend saw b'dropped'"),
    ],
)
def test_what_is_wrong(case: Case, seen: Seen, fault: str) -> None:
    assert wrong(case, seen) == fault


def test_a_row_for_each_case() -> None:
    lines = list(table(["rauta"], [(REFUSED, False), (PASSED, True)], [[Seen((400,), True, b"G"), Seen((), False)]]))
    assert lines[2:] == ["| x | 400+fwd |", "| response: y | wait |"]
