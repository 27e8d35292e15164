"""Settings that are routes: flags, variables and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rauta_control.routespec import BackendSpec, RouteSpec
from rauta_control.settings import NOTHING_TO_ROUTE_TO, Settings, parse
from rauta_control.settings_test import CATCH_ALL, problems, settings


def test_backends_in_one_line() -> None:
    parsed = parse([], {"RAUTA_BACKEND_ADDR": "127.0.0.1:9090, web:80"}, 1.0)
    assert isinstance(parsed, Settings)
    assert parsed.routes == (RouteSpec("", "/", (BackendSpec("127.0.0.1", 9090), BackendSpec("web", 80))),)


def test_to_is_repeatable_and_makes_one_route() -> None:
    [route] = settings("--to", "b:2*3,c:3").routes
    assert route == RouteSpec("", "/", (BackendSpec("web", 80, 1), BackendSpec("b", 2, 3), BackendSpec("c", 3, 1)))


def test_routes_beside_to() -> None:
    routes = settings("--route", "/api=a:1", "--route", "shop.example/=b:2").routes
    assert [(route.host, route.path) for route in routes] == [("", "/"), ("", "/api"), ("shop.example", "/")]


def test_route_leaves_the_variable_of_to_alone() -> None:
    parsed = parse(["--route", "/api=a:1"], {"RAUTA_BACKEND_ADDR": "web:80"}, 1.0)
    assert isinstance(parsed, Settings)
    assert parsed.routes[0] == CATCH_ALL


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--to", "web:80"], "--to web:80,web:80: expected each backend once, and web:80 is there twice"),
        (["--route", "/=x:1"], "--route /=x:1: expected one route for /, with all its backends in it"),
        (
            ["--route", "a.b/x=x:1", "--route", "A.B/x/=y:1"],
            "--route A.B/x/=y:1: expected one route for a.b/x, with all its backends in it",
        ),
        (["--route", "/a=x:1*0"], "--route /a=x:1*0: expected at least one weight above 0"),
    ],
)
def test_routes_that_contradict_each_other(argv: list[str], expected: str) -> None:
    assert problems(*argv) == [expected]


def test_nothing_to_route_to_shows_what_to_do() -> None:
    assert parse([], {}, 1.0) == [NOTHING_TO_ROUTE_TO]
    assert parse(["--from", ":80"], {"RAUTA_BACKEND_ADDR": ""}, 1.0) == [NOTHING_TO_ROUTE_TO]
    for way in ("--to", "--route", "RAUTA_BACKEND_ADDR=", "--demo"):
        assert way in NOTHING_TO_ROUTE_TO
    assert NOTHING_TO_ROUTE_TO not in problems("--tu", "a:1")
    demo = parse(["--demo"], {}, 1.0)
    assert isinstance(demo, Settings)
    assert demo.demo


def test_ten_thousand_routes_from_a_file() -> None:
    lines = [f"--route host{number}.example/path/{number}=10.0.0.1:{number + 1}" for number in range(10_000)]
    parsed = parse(["@routes"], {}, 1.0, {"routes": "\n".join(lines)}.__getitem__)
    assert isinstance(parsed, Settings)
    assert len(parsed.routes) == 10_000
    assert parsed.argv == ("@routes",)


def test_files_are_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("--workers 7\n")
    assert settings(f"@{tmp_path}/settings").workers == 7
    [problem] = problems(f"@{tmp_path}/nothing")
    assert problem.startswith(f"@{tmp_path}/nothing: expected a readable text file: ")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    [problem] = problems(f"@{tmp_path}/binary")
    assert "can't decode" in problem
