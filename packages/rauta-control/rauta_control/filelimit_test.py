"""The limit of open files: what is asked of the system, and what is counted on."""

import resource

import pytest

from rauta_control import filelimit


@pytest.mark.parametrize(("hard", "counted"), [(200, 200), (resource.RLIM_INFINITY, filelimit.COUNTED_ON)])
def test_the_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch, hard: int, counted: int) -> None:
    asked: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append((which, limits)))
    assert filelimit.raised() == counted
    assert asked == [(resource.RLIMIT_NOFILE, (hard, hard))]
