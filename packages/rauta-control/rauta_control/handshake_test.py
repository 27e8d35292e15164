"""Asking for another protocol: which lists of protocols are valid, and what a request asks for."""

import pytest

from rauta_control import handshake


def test_a_list_is_lower_case_and_has_each_protocol_once() -> None:
    assert handshake.upgrades("SPDY/3.1, tcp,TCP") == ("spdy/3.1", "tcp")


@pytest.mark.parametrize(
    "text", ["", "a,,b", "a b", "a/b/c", "h2c", "trailers", "x" * 65, "\xe9", ",".join("abcdefghijklmnopq")]
)
def test_what_is_no_list_of_protocols_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"protocols|no (h2c|trailers)"):
        handshake.upgrades(text)


@pytest.mark.parametrize(
    ("values", "options", "token"),
    [
        ([b"websocket"], {b"upgrade"}, b"websocket"),
        ([b" websocket , h2c"], {b"upgrade", b"keep-alive"}, b"websocket"),
        ([b"h2c", b"websocket"], {b"upgrade"}, b"websocket"),
        ([b"websocket"], set(), b""),
        ([b"h2c"], {b"upgrade"}, b""),
        ([b"websocket, tcp"], {b"upgrade"}, b""),
        ([b"websocket", b"tcp"], {b"upgrade"}, b""),
        ([b""], {b"upgrade"}, b""),
    ],
)
def test_exactly_one_protocol_can_be_asked_for(values: list[bytes], options: set[bytes], token: bytes) -> None:
    assert handshake.asked(values, options) == token


def test_every_route_offers_websocket() -> None:
    assert handshake.offered(()) == {b"websocket"}
    assert handshake.offered(("tcp",)) == {b"websocket", b"tcp"}
