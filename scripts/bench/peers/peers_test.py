"""Every proxy is told the same routes.

That the configurations work is shown by each run, which asks and checks.
"""

import json
from pathlib import Path

import pytest

from ..setup import Setup, many, plain
from . import envoy, haproxy, nginx, rauta
from .model import Place

PLACE = Place(Path("/scratch/x"), 8080, 9091, 9092)
PLAIN, MANY = plain(9001, 9002), many(40, (9001, 9003))


def told(setup: Setup) -> dict[str, str]:
    return {
        "nginx": nginx.config(setup, PLACE),
        "haproxy": haproxy.config(setup, PLACE) + haproxy.routes_map(setup),
        "envoy": json.dumps(envoy.config(setup, PLACE)),
        "rauta": "\n".join(rauta.arguments(setup, PLACE)),
    }


@pytest.mark.parametrize("name", ["nginx", "haproxy", "envoy", "rauta"])
def test_each_knows_every_port_and_route(name: str) -> None:
    text = told(MANY)[name]
    assert all(str(port) in text for port in (PLACE.port, *MANY.ports))
    assert all(route.prefix in text and route.host in text for route in MANY.routes)
    assert "/py" in told(PLAIN)[name]


def test_rauta_takes_routes_by_host_and_path() -> None:
    assert "--route=/=127.0.0.1:9001" in told(PLAIN)["rauta"]
    assert "--route=shop.example/r0=127.0.0.1:9001" in told(MANY)["rauta"]
    assert "--route=h39.example/=127.0.0.1:9003" in told(MANY)["rauta"]


def test_envoy_gets_a_tree_for_many_routes_of_a_host_and_a_list_for_few() -> None:
    many_hosts = envoy.config(MANY, PLACE)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    hosts = many_hosts["typed_config"]["route_config"]["virtual_hosts"]
    assert len(hosts) == 21
    assert len(hosts[0]["matcher"]["matcher_tree"]["prefix_match_map"]["map"]) == 20
    assert all("routes" in host for host in hosts[1:])
