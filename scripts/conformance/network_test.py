import ipaddress

import pytest

from . import network


def test_pods_have_addresses_of_their_own_and_none_is_the_hosts() -> None:
    found = [network.pod_address(number) for number in range(1000)]
    assert len(set(found)) == 1000
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("10.244.0.0/16") for each in found)
    assert network.HOST not in found


def test_addresses_come_again_in_the_end() -> None:
    assert network.pod_address(254 * 250) == network.pod_address(0)


def test_the_lifeline_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network.LIFELINE, "7")
    assert network.lifeline() == 7
    assert network.lifeline() is None
