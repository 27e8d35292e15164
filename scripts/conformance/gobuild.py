"""Builds the Go programs of a run, from the two modules beside this file and the Go module proxy; once, then cached."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache
from .problem import ConformanceError

HERE = Path(__file__).resolve().parent
KUBERNETES = "v1.36.3"  # as in cluster/go.mod: a binary built without this says v0.0.0 of itself
SUITES = {"v1.6.1": "go.mod", "v1.6.3": "v1.6.3.mod"}  # release of the suite: its module file in suite/
CHANNELS = ("experimental", "standard")
USUAL = Path("/usr/local/go/bin/go")


@dataclass(frozen=True, slots=True)
class Program:
    """One executable: `package` of the module in `folder`, or its tests."""

    name: str
    folder: str
    package: str
    modfile: str = "go.mod"
    flags: tuple[str, ...] = ()
    test: bool = False

    def stamp(self, go_version: str) -> str:
        """Changes whenever what would be built does."""
        digest = hashlib.sha256(repr((go_version, self)).encode())
        folder = HERE / self.folder
        sums = self.modfile.removesuffix(".mod") + ".sum"
        for path in (folder / self.modfile, folder / sums, *sorted(folder.glob("*.go"))):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def command(self, go: str, target: Path) -> list[str]:
        """Builds it to `target`. At lower priority: this takes minutes, and somebody may be working."""
        verb = ["test", "-c"] if self.test else ["build"]
        flags = ["-trimpath", "-buildvcs=false", f"-modfile={self.modfile}", *self.flags]
        return ["nice", go, *verb, *flags, "-o", str(target), self.package]


def programs(suite: str) -> list[Program]:
    """Everything a run with this release of the suite needs."""
    kubernetes = ("-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}")
    small = ("-ldflags", "-s -w")
    modfile = SUITES[suite]
    return [
        Program("etcd", "cluster", "go.etcd.io/etcd/server/v3", flags=small),
        Program("kube-apiserver", "cluster", "k8s.io/kubernetes/cmd/kube-apiserver", flags=kubernetes),
        Program(
            "kube-controller-manager", "cluster", "k8s.io/kubernetes/cmd/kube-controller-manager", flags=kubernetes
        ),
        Program(f"echo-{suite}", "suite", "sigs.k8s.io/gateway-api/conformance/echo-basic", modfile, small),
        Program(f"suite-{suite}", "suite", ".", modfile, test=True),
        Program("test2json", "suite", "cmd/test2json", flags=small),
    ]


def find_go() -> str:
    """The go command; ConformanceError if there is none."""
    found = shutil.which("go") or (str(USUAL) if USUAL.exists() else None)
    if not found:
        raise ConformanceError("Go is not installed (or not in PATH): the suite needs Go >= 1.26, https://go.dev/dl")
    return found


def build(cache: Cache, suite: str, say: Callable[[str], None], *, suite_only: bool = False) -> None:
    """Build what is missing or out of date, and keep the manifests. Needs the network the first time."""
    go = find_go()
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}

    def run(command: list[str], folder: str) -> str:
        done = subprocess.run(command, cwd=HERE / folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConformanceError(f"{' '.join(command)} failed in {HERE / folder}:\n{done.stderr[-4000:]}")
        return done.stdout.strip()

    version = run([go, "version"], "suite")
    cache.bin.mkdir(parents=True, exist_ok=True)
    for program in programs(suite):
        if suite_only and program.folder != "suite":
            continue
        target, mark = cache.bin / program.name, cache.bin / f"{program.name}.stamp"
        stamp = program.stamp(version)
        if target.exists() and mark.exists() and mark.read_text() == stamp:
            continue
        say(f"building {program.name} (once; the API server takes some minutes)")
        made = cache.bin / f"{program.name}.{os.getpid()}"
        run(program.command(go, made), program.folder)
        made.replace(target)  # a run that still uses the old one keeps it
        mark.write_text(stamp)
    _copy_crds(cache, suite, run)


def paths(cache: Cache, suite: str) -> dict[str, Path]:
    """The executables that `build` has made: etcd, kube-apiserver, kube-controller-manager, echo, suite, test2json."""
    return {program.name.removesuffix(f"-{suite}"): cache.bin / program.name for program in programs(suite)}


def _copy_crds(cache: Cache, suite: str, run: Callable[[list[str], str], str]) -> None:
    """The manifests come with the Go module: the release that the suite expects, by construction."""
    if all(cache.crds(suite, channel).exists() for channel in CHANNELS):
        return
    command = [find_go(), "list", "-m", f"-modfile={SUITES[suite]}", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"]
    source = Path(run(command, "suite")) / "config" / "crd"
    for channel in CHANNELS:
        target = cache.crds(suite, channel)
        made = target.with_name(f"{channel}.{os.getpid()}")
        made.mkdir(parents=True)
        for path in source.joinpath(channel).glob("gateway.networking*.yaml"):
            made.joinpath(path.name).write_bytes(path.read_bytes())
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
