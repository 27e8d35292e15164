"""Caddy is told the same routes; it is not in the benchmark's comparison, so peers_test.py does not look."""

import json
from pathlib import Path

from ..setup import many
from . import caddy
from .model import Place


def test_it_knows_every_port_and_route() -> None:
    setup = many(40, (9001, 9003))
    place = Place(Path("/scratch/x"), 8080, 9091, 9092)
    text = json.dumps(caddy.config(setup, place))
    assert all(str(port) in text for port in (place.port, *setup.ports))
    assert all(route.prefix in text and route.host in text for route in setup.routes)
