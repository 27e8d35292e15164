"""Every code that RAUTA writes has a meaning that can be asked for."""

import pytest

from rauta_control.finding import CODES
from rauta_control.meanings import meanings
from rauta_control.reasons import HandshakeFailure, Reason


@pytest.mark.parametrize("number", CODES)
def test_findings(number: int) -> None:
    (found,) = meanings(f"RAUTA-CFG-{number:03}")
    assert (found.kind, found.text, found.advice) == ("finding", CODES[number].title, CODES[number].advice)
    assert meanings(f"cfg-{number}") == [found]


@pytest.mark.parametrize("reason", Reason)
def test_reasons(reason: Reason) -> None:
    found = meanings(reason.code)[0]
    assert (found.kind, found.code, found.status, found.text) == ("reason", reason.code, reason.status, reason.detail)


@pytest.mark.parametrize("failure", HandshakeFailure)
def test_handshakes(failure: HandshakeFailure) -> None:
    assert [each.text for each in meanings(failure.code) if each.kind == "handshake"] == [failure.detail]


def test_a_limit_is_named() -> None:
    (found,) = meanings("too_many_fields")
    assert found.advice == (
        "raise the limit if what met it is as it should be. --max-head-fields (default 100): Fields of a request head."
    )
    assert found.page == "docs/limits.md"
    assert "--max-connections (default 0): Connections of clients in all. 0: for" in meanings("overloaded")[0].advice


@pytest.mark.parametrize("word", ["", "CFG-999", "RAUTA-CFG-", "no", "__class__", "name"])
def test_others_mean_nothing(word: str) -> None:
    assert meanings(word) == []
