"""Demo: backends that say who they are, routes that lead to them, and instructions that can be typed in."""

import asyncio
import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from rauta_agent_api import DEFAULT_URL
from rauta_control.demo import Demo, announcement
from rauta_control.routespec import Address
from rauta_control.settings import Settings
from rauta_control.slices import finish
from rauta_control.standalone import plan


def test_backends_answer_who_they_are_and_what_they_were_sent() -> None:
    async def main() -> None:
        demo = Demo()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        serving = asyncio.create_task(demo.serve(theirs))
        found: list[str] = []
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            for route in demo.routes:
                for backend in route.backends:
                    url = f"http://{backend.host}:{backend.port}/hello?x=1"
                    async with session.post(url, data=b"12345", headers={"X-Forwarded-For": "10.0.0.1"}) as response:
                        seen = await response.json()
                    assert (seen["method"], seen["path"], seen["body_bytes"]) == ("POST", "/hello?x=1", 5)
                    assert seen["headers"]["X-Forwarded-For"] == "10.0.0.1"
                    found.append(seen["backend"])
        assert found == ["web-1", "web-2", "web-3", "api-stable", "api-canary"]
        ours.close()
        await serving
        theirs.close()

    asyncio.run(main())


def test_the_routes_are_a_pool_and_a_split() -> None:
    demo = Demo()
    pool, split = demo.routes
    assert (pool.path, [backend.weight for backend in pool.backends]) == ("/", [None, None, None])
    assert (split.path, [backend.weight for backend in split.backends]) == ("/api", [90, 10])
    assert len(finish(plan(Settings(routes=demo.routes))).clusters) == 3
    for sock in demo._sockets.values():
        sock.close()


def test_the_announcement_names_addresses_that_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    text = announcement([Address("0.0.0.0", 8080), Address("::1", 81)], Address("127.0.0.1", 9091))
    assert DEFAULT_URL == "http://127.0.0.1:9091"
    assert "ready at http://127.0.0.1:8080 and http://[::1]:81, its admin API at http://127.0.0.1:9091." in text
    assert "\n  curl http://127.0.0.1:8080/hello\n" in text
    assert "\n  env/bin/rauta status\n" in text
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    text = announcement([Address("::", 8080)], Address("::", 9999))
    assert "\n  rauta status --endpoint http://127.0.0.1:9999\n" in text


def test_the_program_with_the_demo_as_a_user_runs_it(tmp_path: Path) -> None:
    """`rauta-control --demo`: it says what to try, and that works."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    flags = ["--demo", "--from", "127.0.0.1:0", "--admin-port", "0", "--probe-port", "0", "--workers", "2"]
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        program = subprocess.Popen(
            [sys.executable, "-m", "rauta_control.main", *flags, "--access-log", "off"],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert program.stdout is not None
        said = "".join(program.stdout.readline() for _ in range(7))
        curl, split, status = said.splitlines()[3:6]
        with urllib.request.urlopen(curl.removeprefix("  curl "), timeout=30) as response:  # noqa: S310
            hello = json.loads(response.read())
        assert (hello["backend"][:4], hello["path"]) == ("web-", "/hello")
        assert hello["headers"]["X-Forwarded-For"] == "127.0.0.1"
        found: collections.Counter[str] = collections.Counter()
        (url,) = re.findall(r"http://\S+/api", split)
        for _ in range(200):
            with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310
                found[json.loads(response.read())["backend"]] += 1
        assert found.keys() == {"api-stable", "api-canary"}
        assert found["api-canary"] < found["api-stable"]
        shown = subprocess.run(status, shell=True, capture_output=True, text=True, timeout=60, check=True)  # noqa: S602
        assert "ok" in shown.stdout
    finally:
        program.send_signal(signal.SIGINT)
        code = program.wait(30)
    assert code == 0, log.read_text()
    assert program.stdout.read() == ""
    program.stdout.close()
