"""What the text of a flag or variable means. Each raises ValueError, which says what is expected. Pure."""

from __future__ import annotations

import re

from rauta_control import routespec
from rauta_control.parameters import TYPES
from rauta_control.routespec import Address
from rauta_control.serviceterms import ServiceType
from rauta_control.sharedmem import MAX_WORKERS

LEVELS = ("error", "warn", "info", "debug")  # of the log, the most important first
MAX_PATH = 4_095  # bytes: Linux takes no longer ones
MAX_DRAIN = 86_400.0  # seconds; longer is a slip of the pen


def addresses(text: str) -> tuple[Address, ...]:
    """Where to listen, separated by commas."""
    return tuple(routespec.address(part.strip()) for part in text.split(","))


def ips(text: str) -> tuple[str, ...]:
    """IP addresses, separated by commas."""
    found = tuple(routespec.ip(part.strip()) for part in text.split(","))
    if len(set(found)) != len(found):
        raise ValueError("each address once")
    return found


def class_name(text: str) -> str:
    """The name of a GatewayClass."""
    if not routespec.is_name(text):
        raise ValueError("the name of a GatewayClass: lower-case letters, digits, '-' and '.'")
    return text


def path(text: str) -> str:
    """The path of a file or folder."""
    if not text:
        raise ValueError("the path of a file or folder")
    return text


def level(text: str) -> str:
    """A level of the log."""
    if text.lower() not in LEVELS:
        raise ValueError("error, warn, info or debug")
    return text.lower()


def rust_level(text: str) -> str:
    """RUST_LOG is a list of directives, a bare level among them is for everything: `info,hyper=warn`."""
    bare = [part.strip().lower().replace("trace", "debug") for part in text.split(",")]
    levels = [level for level in bare if level in LEVELS]
    if not levels:
        raise ValueError("a plain level in it (error, warn, info or debug); RAUTA_LOG=LEVEL overrides it for RAUTA")
    return levels[-1]


def access_log(text: str) -> str:
    """Where access log lines go."""
    if text not in ("stdout", "off") and not re.search(r"[/.]", text):
        raise ValueError("stdout, off, or the path of a file (with a '/' or a '.' in it)")
    if len(text.encode(errors="replace")) > MAX_PATH:
        raise ValueError(f"a path of at most {MAX_PATH} bytes")
    return text


def worker_count(text: str) -> int:
    """How many workers."""
    return routespec.whole(text, 1, MAX_WORKERS, f"a whole number from 1 to {MAX_WORKERS}")


def seconds(text: str) -> float:
    """A time of a drain."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > MAX_DRAIN:
        raise ValueError(f"seconds from 0 to {MAX_DRAIN:.0f}, for example 2.5")
    return float(text)


def yes(text: str) -> bool:
    """`true` or `false`, or what else people write for it."""
    said = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if said is None:
        raise ValueError("true or false")
    return said


def namespaces(text: str) -> tuple[str, ...]:
    """Names of namespaces, separated by commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(map(routespec.is_label, names)):
        raise ValueError("names of namespaces, separated by commas")
    return tuple(dict.fromkeys(names))


def service_type(text: str) -> ServiceType:
    """A type of Service."""
    if text not in TYPES:
        raise ValueError("LoadBalancer, NodePort or ClusterIP")
    return TYPES[TYPES.index(text)]
