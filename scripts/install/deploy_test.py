"""`deploy/` and `docker/`: what they name exists, and what they set is what RAUTA takes."""

import configparser
import re
from pathlib import Path

import yaml

from rauta_control.children import Patience
from rauta_control.settings import Settings, parse

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def variables() -> dict[str, str]:
    lines = (DEPLOY / "rauta.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def settings() -> Settings:
    found = parse([f"@{DEPLOY / 'gateway.args'}"], variables(), 1.0)
    assert isinstance(found, Settings), found
    return found


def unit() -> configparser.SectionProxy:
    """The service's section; of a name that is there twice the last value."""
    found = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes="#")
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((DEPLOY / "rauta.service").read_text())
    return found["Service"]


def dockerfile() -> str:
    return (ROOT / "docker/Dockerfile").read_text()


def test_the_unit_starts_what_it_checks_with_the_files_beside_it() -> None:
    assert settings().routes
    assert unit()["ExecStart"] == "/opt/rauta/bin/rauta-control @/etc/rauta/gateway.args"
    assert unit()["ExecStartPre"] == unit()["ExecStart"].replace("rauta-control ", "rauta-control --check ")
    assert unit()["EnvironmentFile"] == "-/etc/rauta/rauta.env"


def test_systemd_waits_until_a_drain_has_ended() -> None:
    patience = Patience()
    needed = settings().drain_delay + settings().drain_timeout + patience.overtime + patience.farewell
    assert needed < float(unit()["TimeoutStopSec"]) < needed + 10
    assert unit()["KillMode"] == "mixed"


def test_the_unit_has_one_capability_and_no_way_to_more() -> None:
    assert unit()["CapabilityBoundingSet"] == unit()["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    assert unit()["NoNewPrivileges"] == "yes"
    assert unit()["ProtectSystem"] == "strict"
    assert "@resources" not in unit()["SystemCallFilter"], (
        "RAUTA sets its limit of files, and nices its control process"
    )


def test_the_image_is_made_of_all_packages_and_files_that_exist() -> None:
    named = set(re.findall(r"packages/([\w-]+)", dockerfile()))
    assert named == {path.name for path in (ROOT / "packages").iterdir() if path.is_dir()}
    copied = re.findall(r"^COPY (?!--from)(\S+)", dockerfile(), re.MULTILINE)
    ignored = (ROOT / "docker/Dockerfile.dockerignore").read_text()
    assert all((ROOT / name).exists() and f"!{name}\n" in ignored for name in copied)


def test_the_image_runs_as_the_pod_says_and_has_the_programs_it_names() -> None:
    pod = yaml.safe_load((ROOT / "manifests/pod/pod.yaml").read_text())["spec"]["template"]["spec"]
    security = pod["securityContext"]
    assert f"\nUSER {security['runAsUser']}:{security['runAsGroup']}\n" in dockerfile()
    assert '\nENTRYPOINT ["rauta-control"]\n' in dockerfile()
    daemonset = yaml.safe_load((ROOT / "manifests/daemonset/daemonset.yaml").read_text())
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]
    interpreter, program = container["command"]
    assert f" {interpreter} " in dockerfile()
    assert Path(program).parent == Path(interpreter).parent
