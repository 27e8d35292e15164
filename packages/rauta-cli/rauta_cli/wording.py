"""How things are called in text for people and for agents: numbers of them, endpoints, findings, times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # only names in annotations: `rauta --help` need not load msgspec
    from rauta_agent_api.snapshot import FindingCounts, FindingSnapshot


def count(number: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def endpoint(address: str, port: int) -> str:
    """`192.0.2.1:80`, `[2001:db8::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def about(finding: FindingSnapshot) -> str:
    """`HTTPRoute default/shop`, with the document where that is what is wrong."""
    name = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    place = f" in {finding.place}" if finding.place and finding.place != finding.name else ""
    return f"{finding.kind} {name}{place}"


def severities(counts: FindingCounts) -> str:
    """`1 error, 2 warnings`; empty when there are none."""
    named = ((counts.error, "error"), (counts.warning, "warning"), (counts.info, "note"))
    return ", ".join(count(number, noun) for number, noun in named if number)


def duration(seconds: float) -> str:
    """The two largest units: `2d 3h`, `13m 5s`, `40s`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts or unit == "s":
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])
