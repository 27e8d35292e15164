"""No proxy at all: load and backend alone.

Not a peer but the ceiling; a row whose figures come near to it measures the load, not the proxy.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from ..setup import Setup
from .model import Place, Proxy, Start


def _find(_: Mapping[str, Path]) -> Path | None:
    return Path(sys.executable)


def _version(_: Path) -> str:
    return "-"


def _prepare(_: Path, __: Setup, ___: Place) -> Start:
    return Start([])


DIRECT = Proxy("direct", "", _find, _version, _prepare)
