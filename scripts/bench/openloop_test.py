"""The pure parts of the fixed-rate load."""

import pytest

from .openloop import instants, whole
from .wire import WrongAnswerError

ANSWER = b'HTTP/1.1 200 OK\r\nETag: "ab"\r\nContent-Length: 11\r\n\r\n{"id":"ab"}'


def test_instants_are_ordered_and_keep_the_rate() -> None:
    found = instants(5000, 2, seed=1)
    assert found == sorted(found)
    assert len(found) == pytest.approx(10_000, rel=0.05)
    assert found == instants(5000, 2, seed=1)
    assert found != instants(5000, 2, seed=2)


def test_an_answer_is_whole_only_at_its_last_byte() -> None:
    assert whole(ANSWER)
    assert not any(whole(ANSWER[:cut]) for cut in range(len(ANSWER)))


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER + b"x",
        ANSWER.replace(b"200", b"502"),
        ANSWER.replace(b'"id":"ab"', b'"id":"cd"'),
        ANSWER.replace(b"Content-Length", b"X-Content"),
    ],
)
def test_a_wrong_answer_breaks(answer: bytes) -> None:
    with pytest.raises(WrongAnswerError):
        whole(answer)
