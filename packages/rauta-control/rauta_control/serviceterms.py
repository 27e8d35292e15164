"""How Services of Gateways are made, as the settings say. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from rauta_common.hashing import digest

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


class Terms(msgspec.Struct, frozen=True):
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
