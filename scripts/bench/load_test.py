"""What wrk is given and what it says."""

import pytest

from .load import Load, parse, script
from .process import BenchError
from .setup import Route, many

SAID = (
    'RESULT {"us": 2000000, "requests": 10, "bytes": 9000, "connect": 0, "read": 1, "write": 0, "status": 2, '
    '"timeout": 0, "p50": 100, "p99": 900}'
)


def test_the_script_has_a_host_and_a_prefix_for_each_route() -> None:
    text = script(Load(many(4, (9001, 9002)).routes, seed=7))
    assert 'local HOSTS = {"shop.example","shop.example","h2.example","h3.example"}' in text
    assert 'local PREFIXES = {"/r0/","/r1/","/","/"}' in text
    assert "local SEED = 7\nlocal DISTINCT = true\nlocal BODY = 0\n" in text


def test_any_host_becomes_one() -> None:
    assert 'local HOSTS = {"shop.example"}' in script(Load((Route("", "/", 9001),), seed=1, distinct=False))


def test_failed_requests_are_a_complaint() -> None:
    assert parse(f"Running 2s test\n{SAID}\n").complaint() == "1 read errors, 2 status errors"
    assert parse(SAID.replace('"read": 1', '"read": 0').replace('"status": 2', '"status": 0')).complaint() == ""


def test_something_else_is_trouble() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1")
