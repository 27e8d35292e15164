"""No two heads alike, and each one a head that a browser could have sent."""

from hypothesis import given, settings
from hypothesis import strategies as st

from .heads import head, path
from .setup import Route
from .wire import parse_head

ROUTE = Route("", "/r1", 9001)
NUMBERS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_a_head_is_well_formed_and_of_usual_size(seed: int, n: int) -> None:
    text = head(seed, n, ROUTE)
    fields = parse_head(text[:-4]).fields
    assert text.startswith(f"GET {path(seed, n, ROUTE)} HTTP/1.1\r\n".encode())
    assert text.endswith(b"\r\n\r\n")
    assert len(fields) == 8
    assert fields["host"] == "shop.example"
    assert len(fields["traceparent"].split("-")[1]) == 32
    assert 500 < len(text) < 1024


def test_no_two_are_alike() -> None:
    assert len({head(seed, n, ROUTE) for seed in (1, 2) for n in range(1000)}) == 2000
