import asyncio
import ipaddress
import os
import signal
from collections.abc import Iterator

import pytest

from . import network
from .problem import ConformanceError


def test_pods_have_addresses_of_their_own_and_none_is_the_hosts() -> None:
    found = [network.pod_address(number) for number in range(1000)]
    assert len(set(found)) == 1000
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("10.244.0.0/16") for each in found)
    assert network.HOST not in found


def test_addresses_come_again_in_the_end() -> None:
    assert network.pod_address(254 * 250) == network.pod_address(0)


@pytest.fixture
def lifeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end that the outer process holds."""
    reading, writing = os.pipe()
    monkeypatch.setenv(network.LIFELINE, str(reading))
    before = signal.getsignal(signal.SIGINT)
    yield writing
    signal.signal(signal.SIGINT, before)
    os.close(reading)


async def never() -> int:
    raise AssertionError("this is not the process that works")


def test_without_a_lifeline_it_is_the_outer_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(network.LIFELINE, raising=False)
    assert network.run("name", lambda: 7, never) == 7


def test_with_one_it_works_and_children_do_not_inherit_it(lifeline: int) -> None:
    async def work() -> int:
        assert network.LIFELINE not in os.environ
        return 3

    assert network.run("name", lambda: 7, work) == 3
    os.close(lifeline)


def test_the_work_is_cancelled_in_order_when_the_outer_process_is_gone(lifeline: int) -> None:
    ended: list[str] = []

    async def work() -> int:
        try:
            os.close(lifeline)
            await asyncio.Event().wait()
        finally:
            ended.append("ended")
        return 0

    assert network.run("name", lambda: 7, work) == 130
    assert ended == ["ended"]


def test_trouble_is_told_by_the_name_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(network.LIFELINE, raising=False)

    def outer() -> int:
        raise ConformanceError("no such thing")

    assert network.run("name", outer, never) == 2
    assert capsys.readouterr().err == "name: no such thing\n"
