"""The table of limits: what is said of a value, what workers share, and that the page says the same."""

from dataclasses import fields
from pathlib import Path

import pytest

from rauta_control import limits
from rauta_control.limits import FLAGS, Limits
from rauta_control.settings import Settings, parse

FIELDS = fields(Limits)


@pytest.mark.parametrize("limit", FIELDS, ids=lambda limit: limit.name)
def test_a_limit_has_bounds_that_hold_its_default_and_takes_what_is_within_them(limit) -> None:  # type: ignore[no-untyped-def]
    low, high = limit.metadata["low"], limit.metadata["high"]
    assert low <= limit.default <= high
    for value in (low, high, limit.default):
        assert limits.read(limit.name, str(value)) == value
    for text in (str(low - 1), str(high + 1), "", "x", "+1", "1e3x", "nan", "-1"):
        with pytest.raises(ValueError, match=f"from {low} to {high}"):
            limits.read(limit.name, text)
    assert limit.metadata["text"].endswith(".")


@pytest.mark.parametrize("text", ["40_96", "４096", "4096B", "4k", " 4096", "0x1000"])  # noqa: RUF001 - a digit of Japan
@pytest.mark.parametrize("name", ["max_head_bytes", "head_timeout"])
def test_numbers_are_plain(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="from "):
        limits.read(name, text)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("--max-field-bytes 65537", "--max-field-bytes 65537: expected no more than --max-head-bytes, which is 65536"),
        (
            "--max-head-bytes 1024 --max-target-bytes 2000",
            "--max-target-bytes 2000: expected no more than --max-head-bytes, which is 1024",
        ),
        (
            "--max-connections 10 --max-listener-connections 11",
            "--max-listener-connections 11: expected no more than --max-connections, which is 10",
        ),
        ("--max-field-bytes 65536", ""),
        ("--max-head-bytes 1024", ""),  # defaults contradict nobody
        ("--max-listener-connections 11", ""),
    ],
)
def test_a_limit_that_could_never_be_met_is_refused(args: str, said: str) -> None:
    read = parse(["--to", "a:1", *args.split()], {}, 1)
    assert read == [said] if said else isinstance(read, Settings)


def test_a_variable_that_could_never_be_met_is_refused_by_its_name() -> None:
    said = "RAUTA_MAX_FIELD_BYTES=65537: expected no more than --max-head-bytes, which is 65536"
    assert parse(["--to", "a:1"], {"RAUTA_MAX_FIELD_BYTES": "65537"}, 1) == [said]


def test_only_times_have_fractions() -> None:
    assert limits.read("head_timeout", "2.5") == 2.5
    with pytest.raises(ValueError, match="a whole number of bytes"):
        limits.read("max_head_bytes", "2048.5")


def test_each_has_a_flag_and_a_variable() -> None:
    read = parse(
        ["--to", "a:1", "--max-head-bytes", "32768"], {"RAUTA_TUNNEL_TIMEOUT": "60", "RAUTA_MAX_PIPELINED": "7"}, 1
    )
    assert isinstance(read, Settings)
    assert read.limits == Limits(max_head_bytes=32_768, tunnel_timeout=60, max_pipelined=7)
    problems = parse(
        ["--to", "a:1", "--max-head-bytes", "5", "--head-timeout=soon"], {"RAUTA_MAX_CONNECTIONS": "-1"}, 1
    )
    assert problems == [
        "--max-head-bytes 5: expected a whole number of bytes from 1024 to 1048576",
        "--head-timeout soon: expected seconds from 1 to 3600",
        "RAUTA_MAX_CONNECTIONS=-1: expected a whole number from 0 to 16777216",
    ]
    assert len({flag.variable for flag in FLAGS.values()}) == len(FIELDS)


def test_workers_share_the_connections_of_clients() -> None:
    shared = limits.share(Limits(max_connections=10, max_endpoint_connections=10), 4)
    assert shared == Limits(max_connections=3, max_endpoint_connections=10)
    assert limits.share(Limits(), 4) == Limits()


def test_the_limits_are_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "limits.md"
    assert page.read_text() == limits.table(), "write limits.table() to docs/limits.md"
