"""EndpointSlice: the API server's rules, and the two that files are spared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rauta_control.admission import FILES
from rauta_control.specimen_test import ABSENT, admitted, complaints

STRICT = msgspec.structs.replace(FILES, cluster="error")
ADDRESS = "endpoints[0].addresses[0]"


def test_the_service_is_named_by_a_label() -> None:
    assert admitted("EndpointSlice").service == "cart"
    assert admitted("EndpointSlice", {"metadata.labels": ABSENT}).service == ""


def test_unknown_conditions_are_unknown() -> None:
    endpoint = admitted("EndpointSlice", {"endpoints[0].conditions": ABSENT}).endpoints[0]
    assert (endpoint.conditions.ready, endpoint.conditions.serving, endpoint.conditions.terminating) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("family", "address", "why"),
    [
        ("IPv4", "127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("IPv6", "::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("FQDN", "localhost", "must be a domain of at least two labels"),
    ],
)
def test_files_may_say_where_a_laptop_listens(family: str, address: str, why: str) -> None:
    change = {"addressType": family, ADDRESS: address}
    assert complaints("EndpointSlice", change) == []
    assert complaints("EndpointSlice", change, STRICT) == [f'{ADDRESS}: Invalid value: "{address}": {why}']


BROKEN: list[tuple[dict[str, Any], list[str]]] = [
    (
        {ADDRESS: "0.0.0.0"},
        [f'{ADDRESS}: Invalid value: "0.0.0.0": may not be unspecified, link-local or link-local multicast'],
    ),
    (
        {ADDRESS: "169.254.1.1"},
        [f'{ADDRESS}: Invalid value: "169.254.1.1": may not be unspecified, link-local or link-local multicast'],
    ),
    (
        {ADDRESS: "224.0.0.1"},
        [f'{ADDRESS}: Invalid value: "224.0.0.1": may not be unspecified, link-local or link-local multicast'],
    ),
    ({ADDRESS: "fd00::1"}, [f'{ADDRESS}: Invalid value: "fd00::1": must be an IPv4 address, as addressType says']),
    (
        {ADDRESS: "cart"},
        [f'{ADDRESS}: Invalid value: "cart": must be an IPv4 address; host names need addressType FQDN'],
    ),
    (
        {"addressType": "IPv6", ADDRESS: "fd00::1%eth0"},
        [f'{ADDRESS}: Invalid value: "fd00::1%eth0": must be an IPv6 address; host names need addressType FQDN'],
    ),
    (
        {"addressType": "FQDN", ADDRESS: "a_b"},
        [
            (
                f'{ADDRESS}: Invalid value: "a_b": '
                "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
            )
        ],
    ),
    ({"addressType": ABSENT}, ["addressType: Required value"]),
    ({"endpoints[0].addresses": []}, ["endpoints[0].addresses: Invalid value: 0: must have at least 1 items"]),
    ({"endpoints[0].addresses": ["10.0.0.1", "10.0.0.1", "239.1.1.1"]}, []),
    ({"ports": [{"port": 1}, {"port": 2}]}, ['ports[1].name: Duplicate value: ""']),
    (
        {"ports": [{"name": "A", "port": 1}]},
        ["ports[0].name: Invalid value: \"A\": must be a port name: lower-case letters, digits and '-'"],
    ),
    ({"ports[0].port": 0}, ["ports[0].port: Invalid value: 0: must be between 1 and 65535"]),
    (
        {"ports[0].appProtocol": "/"},
        [
            (
                'ports[0].appProtocol: Invalid value: "/": an appProtocol must be NAME or PREFIX/NAME: '
                "a DNS name, '/', then letters, digits, '-', '_' and '.'"
            )
        ],
    ),
    (
        {"endpoints[0].condition": {}},
        [
            (
                "warning: endpoints[0].condition: "
                'unknown field "endpoints[0].condition", ignored; did you mean "conditions"?'
            )
        ],
    ),
    ({"endpoints[0].nodeName": "a", "endpoints[0].hints": {}}, []),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_broken(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("EndpointSlice", changes) == said
