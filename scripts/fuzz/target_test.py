"""The targets, by what has broken other proxies, whole and in pieces; and the judge itself."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.fakewire_test import CONFIGURATION

from ..peers.requests import REQUESTS
from ..peers.responses import RESPONSES
from .rules import CHANGED
from .target import Request, Rig, read, requests, responses

LARGE = 20_000  # bytes; what is larger is about sizes, and slow in pieces
KNOWN_REQUESTS = [case.sent for case in REQUESTS if len(case.sent) < LARGE]
KNOWN_RESPONSES = [case.sent for case in RESPONSES if len(case.sent) < LARGE]


@pytest.fixture(scope="module", params=[CONFIGURATION, CHANGED], ids=["plain", "changed"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, 7])
def test_known_requests(rig: Rig, size: int) -> None:
    for sent in KNOWN_REQUESTS:
        requests(rig, bytes((size,)) + sent)


@pytest.mark.parametrize("size", [0, 1, 7, 128])
def test_known_responses(rig: Rig, size: int) -> None:
    for sent in KNOWN_RESPONSES:
        responses(rig, bytes((size,)) + sent)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b" ",
        b"0",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"chunked",
        b"Transfer-Encoding: ",
        b"Content-Length: 3",
    ]
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_requests(rig: Rig, data: st.DataObject) -> None:
    requests(rig, _changed(data, KNOWN_REQUESTS))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_responses(rig: Rig, data: st.DataObject) -> None:
    responses(rig, _changed(data, KNOWN_RESPONSES))


def _changed(data: st.DataObject, known: list[bytes]) -> bytes:
    """One or two of the known, with pieces put in, taken out or replaced."""
    made = b"".join(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=2)))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(made)))
        gone = data.draw(st.integers(0, 4))
        made = made[:at] + data.draw(st.one_of(PIECES, st.binary(max_size=2))) + made[at + gone :]
    return bytes((data.draw(st.integers(0, 255)),)) + made


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2, [Request(b"GET", b"")] * 2),
        (b"\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET", [Request(b"POST", b"abc")]),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            [Request(b"POST", b"a")],
        ),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.0\r\n\r\n", [Request(b"GET", b"")] * 2),
        (b"nonsense\r\n\r\n", []),
    ],
)
def test_the_judge(data: bytes, found: list[Request]) -> None:
    assert list(read(data)) == found
