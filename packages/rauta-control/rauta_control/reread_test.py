"""Settings that are read again, for SIGHUP."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rauta_control.settings import Settings, reread
from rauta_control.settings_test import settings


def test_arguments_out_of_a_pipe_are_not_waited_for_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = f"@{pipe}: expected a readable text file: it is no file that could be read again"
    assert reread(replace(settings(), argv=(f"@{pipe}", "--to", "web:1")), {}, 1.0) == [said]


def test_where_objects_come_from_is_settled_at_the_start(tmp_path: Path) -> None:
    args = tmp_path / "gateway.args"
    args.write_text("--kubernetes\n--watch-namespaces a")
    running = settings(f"@{args}")
    args.write_text("--kubernetes\n--watch-namespaces a\n--workers 7")
    taken = reread(running, {}, 4.0)
    assert isinstance(taken, Settings)
    assert taken.workers == 7
    args.write_text("--config routes\n--demo")
    assert reread(running, {}, 4.0) == [
        f"{flag}: expected what it was at the start; restart the gateway to change it"
        for flag in ("--demo", "--kubernetes", "--watch-namespaces")
    ]
    args.write_text("--kubernetes\n--workers 0")
    refused = reread(running, {}, 4.0)
    assert isinstance(refused, list)
    assert refused[0].startswith("--workers 0: expected")
