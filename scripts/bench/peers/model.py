"""What the benchmark needs to know of a proxy: its binary, how it is configured and started, when it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..setup import Setup


@dataclass(frozen=True, slots=True)
class Place:
    """What one instance of a proxy was given: an empty folder for its files, and loopback ports."""

    folder: Path
    port: int  # where it listens for requests
    admin: int
    probe: int

    @property
    def log(self) -> Path:
        """Its access log: every proxy writes one, a line a request."""
        return self.folder / "access.log"

    @property
    def certificate(self) -> Path:
        """Its certificate and its key in one PEM file, where the setup is `secure`: the same for every proxy."""
        return self.folder / "tls.pem"


@dataclass(frozen=True, slots=True)
class Start:
    """How to start it. `logs_to_stdout`: its access log is what it prints."""

    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    logs_to_stdout: bool = False


@dataclass(frozen=True, slots=True)
class Proxy:
    """One entry of the table. `prepare` writes the configuration and returns how to start."""

    name: str
    package: str
    find: Callable[[Mapping[str, Path]], Path | None]
    version: Callable[[Path], str]
    prepare: Callable[[Path, Setup, Place], Start]
    ready: Callable[[Place], bool] = lambda _: True  # beyond answering a first request, which all must
    optional: bool = False  # left out of a run, without a word, where it is not installed
    routes: int = 0  # is told, and asked for, only so many of the setup's; 0: all
    rows: frozenset[str] = frozenset()  # takes part in these only, unless it is asked for; empty: in all
