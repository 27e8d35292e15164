from pathlib import Path

import pytest

from . import cache


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    assert cache.default() == tmp_path


def test_else_it_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default() == tmp_path / "rauta" / "conformance"


def test_only_the_last_runs_are_kept(tmp_path: Path) -> None:
    kept = cache.Cache(tmp_path)
    made = []
    for _ in range(cache.KEPT + 2):
        made.append(kept.new_run())
        (made[-1] / cache.LOCK).unlink()  # as if the process had ended
    assert [each.exists() for each in made[-cache.KEPT :]] == [True] * cache.KEPT
    assert len(list((tmp_path / "runs").iterdir())) == cache.KEPT


def test_a_run_that_goes_on_keeps_its_folder(tmp_path: Path) -> None:
    kept = cache.Cache(tmp_path)
    first = kept.new_run()
    for _ in range(cache.KEPT + 2):
        (kept.new_run() / cache.LOCK).unlink()
    assert first.exists()
