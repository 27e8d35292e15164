import pytest

from . import podlogs
from .transcript import Transcript


@pytest.fixture
def printed() -> Transcript:
    found = Transcript()
    found.add(b"old\n", 1_000.0)
    found.add(b"new\n", 2_000.0)
    return found


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, b"old\nnew\n"),
        ({"follow": "false", "container": ""}, b"old\nnew\n"),
        ({"sinceTime": "1970-01-01T00:30:00Z"}, b"new\n"),
        ({"sinceSeconds": "500"}, b"new\n"),
        ({"tailLines": "1"}, b"new\n"),
        ({"limitBytes": "2"}, b"ol"),
    ],
)
def test_parameters_select(printed: Transcript, query: dict[str, str], text: bytes) -> None:
    assert podlogs.answer(printed, query, 2_100.0) == text


@pytest.mark.parametrize("query", [{"follow": "true"}, {"previous": "true"}, {"sinceTime": "yesterday"}])
def test_what_is_not_supported_or_valid_is_refused(printed: Transcript, query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not supported|Invalid isoformat"):
        podlogs.answer(printed, query, 0.0)
