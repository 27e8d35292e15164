"""Troubles are told of once when they begin, and once when they are over."""

from __future__ import annotations

import pytest

from rauta_control.log import Log
from rauta_control.troubles import Troubles


def test_what_is_wrong_is_logged_when_that_changes(capfd: pytest.CaptureFixture[str]) -> None:
    troubles = Troubles(Log("control"), "configuration problem", "configuration problem solved")

    def said() -> list[str]:
        return [line.partition(" ")[2] for line in capfd.readouterr().err.splitlines()]

    troubles.report(["a"], ["b"])
    assert troubles.present == ["a", "b"]
    assert said() == [
        "error control configuration problem problem=a",
        "warn control configuration problem problem=b",
    ]
    troubles.report(["a"], ["b", "c"])
    assert said() == ["warn control configuration problem problem=c"]
    troubles.report([], ["c"])
    assert said() == [
        "info control configuration problem solved problem=a",
        "info control configuration problem solved problem=b",
    ]
    troubles.report([], [])
    assert troubles.present == []
    assert said() == ["info control configuration problem solved problem=c"]
