"""RAUTA as it is installed: every feature on, one worker; its supervisor and control process count too.

`rauta-10` is the same with 10 of the routes that the others have. It takes part in the rows of many: what routes cost
is less than how the machine drifts from row to row.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..setup import Setup
from .model import Place, Proxy, Start


def arguments(setup: Setup, place: Place) -> list[str]:
    """The file of arguments, a line each: 10,000 routes do not fit a command line everywhere."""
    at = f"127.0.0.1:{place.port}"
    secure = (
        "--from=127.0.0.1:0",
        f"--tls-bind={at}",
        f"--tls-cert={place.certificate}",
        f"--tls-key={place.certificate}",
    )
    return [
        *(secure if setup.secure else (f"--from={at}",)),
        *(f"--route={route.host}{route.prefix}=127.0.0.1:{route.port}" for route in setup.routes),
        f"--admin-port={place.admin}",
        f"--probe-port={place.probe}",
        f"--access-log={place.log}",
    ]


def _find(given: Mapping[str, Path]) -> Path | None:
    if "rauta" in given:
        return given["rauta"]
    beside = Path(sys.executable).with_name("rauta-control")
    if beside.exists():
        return beside
    found = shutil.which("rauta-control")
    return Path(found) if found else None


def _version(_: Path) -> str:
    try:
        return version("rauta-control")
    except PackageNotFoundError:
        return "unknown"


def _prepare(binary: Path, setup: Setup, place: Place) -> Start:
    path = place.folder / "arguments"
    path.write_text("".join(f"{line}\n" for line in arguments(setup, place)))
    return Start([str(binary), f"@{path}", "--workers", "1"])


def _ready(place: Place) -> bool:
    connection = HTTPConnection("127.0.0.1", place.probe, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except HTTPException:
        return False
    finally:
        connection.close()


RAUTA = Proxy("rauta", "rauta-control", _find, _version, _prepare, _ready)
RAUTA_FEW = replace(RAUTA, name="rauta-10", routes=10, rows=frozenset({"routes1000", "routes10000"}))
