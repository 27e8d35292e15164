"""How Services of Gateways are made, as the settings say. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from rauta_common.hashing import digest
from rauta_control.routespec import is_label

ServiceType: TypeAlias = Literal["LoadBalancer", "NodePort", "ClusterIP"]
MAX_LABEL = 63


class Range(msgspec.Struct, frozen=True):
    """Ports from `first` to `last`."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class ServiceTerms(msgspec.Struct, frozen=True):
    """The type of the Services, the Service that selects RAUTA's own pods, and the ports to bind behind them."""

    type: ServiceType
    namespace: str  # of RAUTA's own Service
    name: str
    targets: Range

    @property
    def installation(self) -> str:
        """Which RAUTA this is, among several in a cluster: the value of a label."""
        return label_value(f"{self.namespace}.{self.name}")


def label_value(text: str) -> str:
    """The text as the value of a label, which is at most 63 characters."""
    return text if len(text) <= MAX_LABEL else f"{text[:46].rstrip('.-')}-{digest(text.encode()):016x}"


def own_service(text: str) -> tuple[str, str]:
    """Read NAMESPACE/NAME. Raises ValueError, which says what is expected."""
    namespace, _, name = text.partition("/")
    if not (is_label(namespace) and is_label(name)):
        raise ValueError("the namespace of a Service and its name, as in rauta-system/rauta")
    return namespace, name


def port_range(text: str) -> Range:
    """Read FROM-TO. Raises ValueError, which says what is expected."""
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    if not found or not 1024 <= int(found[1]) <= int(found[2]) <= 65535:
        raise ValueError("the first and the last port, 1024 to 65535, as in 10000-19999")
    return Range(int(found[1]), int(found[2]))
