"""What a run was asked to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    programs: Mapping[str, Path]
    crds: Path
    folder: Path  # of this run
    implementation: str  # a command line; empty: none
    apply: tuple[Path, ...]
    service_account: str  # NAMESPACE/NAME that the implementation is; empty: an administrator
    gateway_class: str
    controller: str
    tests: tuple[str, ...]  # empty: all
    profiles: tuple[str, ...]
    features: str  # empty: those of the GatewayClass
    report: Path | None
    version: str
    timeout: int  # seconds for all tests
    parallel: int
    suite_flags: tuple[str, ...]
    command: str  # to run instead of the suite; empty: the suite
