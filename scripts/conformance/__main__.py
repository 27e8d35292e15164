"""`python -m scripts.conformance`: the Gateway API conformance suite against RAUTA. See docs/conformance.md."""

import argparse
import asyncio
import difflib
import importlib.metadata
import sys
import tempfile
from pathlib import Path

from . import cache, gobuild, network, run, tally, trial
from .plan import Plan
from .problem import ConformanceError

HTTP = "GATEWAY-HTTP"
# Addresses for Gateways, each of which wants its own: local in the run's network, the last is the suite's usable one.
POOL = ",".join([*(f"10.245.0.{number}" for number in range(1, 25)), "10.245.255.1"])
VERSION = f"v{importlib.metadata.version('rauta-control')}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="conformance",
        description="The official Gateway API conformance suite, on an API server made for the run.",
    )
    _implementation(found)
    _suite(found)
    found.add_argument("--report", metavar="FILE", type=Path, help="where to write the official report")
    found.add_argument("--version", metavar="V", default=VERSION, help="of the implementation, for the report")
    found.add_argument(
        "--kubeconfig", metavar="FILE", type=Path, help="test what runs in this cluster instead; nothing is made"
    )
    found.add_argument("--list", action="store_true", help="name the tests of the profile, and end")
    found.add_argument("--build", action="store_true", help="only build, and end")
    found.add_argument(
        "--exec", metavar="COMMAND", default="", help="run this instead of the suite, with KUBECONFIG set"
    )
    return found


def _implementation(found: argparse.ArgumentParser) -> None:
    """What is tested."""
    found.add_argument(
        "--implementation",
        metavar="COMMAND",
        default=f"rauta-control --kubernetes --addresses {POOL}",
        help="what to test; it finds KUBECONFIG in its environment (default: %(default)s; empty: nothing)",
    )
    found.add_argument(
        "--apply", metavar="FILE", type=Path, action="append", default=[], help="manifests to apply first"
    )
    found.add_argument(
        "--service-account", metavar="NAMESPACE/NAME", default="", help="whom KUBECONFIG makes of the implementation"
    )
    found.add_argument("--gateway-class", metavar="NAME", default="rauta", help="made if no manifest has it")
    found.add_argument("--controller", metavar="NAME", default="rauta.io/gateway-controller", help="of that class")


def _suite(found: argparse.ArgumentParser) -> None:
    """By which tests."""
    suites = list(gobuild.SUITES)
    found.add_argument("--run", metavar="A,B", default="", help="only these tests, by name; no report is written")
    found.add_argument("--profile", metavar="A,B", default=HTTP, help=f"conformance profiles (default {HTTP})")
    found.add_argument(
        "--supported-features", metavar="A,B", default="", help="instead of those in the GatewayClass's status"
    )
    found.add_argument("--suite", choices=suites, default=suites[0], help="release of suite and CRDs (%(default)s)")
    found.add_argument("--channel", choices=gobuild.CHANNELS, default=gobuild.CHANNELS[0], help="of the CRDs")
    found.add_argument("--timeout", metavar="SECONDS", type=int, default=3600, help="for all tests (%(default)s)")
    found.add_argument("--parallel", metavar="N", type=int, default=4, help="parallel tests at a time (%(default)s)")
    found.add_argument(
        "--suite-flag",
        metavar="FLAG",
        action="append",
        default=[],
        help="one more for the suite itself, e.g. --suite-flag=-timeout-config-overrides=RequestTimeout:5",
    )


def plan(options: argparse.Namespace, programs: dict[str, Path], kept: cache.Cache) -> Plan:
    """What the options ask for."""
    return Plan(
        programs=programs,
        crds=kept.crds(options.suite, options.channel),
        folder=kept.new_run(),
        implementation=options.implementation,
        apply=tuple(options.apply),
        service_account=options.service_account,
        gateway_class=options.gateway_class,
        controller=options.controller,
        tests=names(options.run),
        profiles=names(options.profile),
        features=options.supported_features,
        report=options.report,
        version=options.version,
        timeout=options.timeout,
        parallel=options.parallel,
        suite_flags=tuple(options.suite_flag),
        command=options.exec,
    )


def names(value: str) -> tuple[str, ...]:
    """The parts of a comma-separated option."""
    return tuple(filter(None, value.split(",")))


def check(options: argparse.Namespace, tests: dict[str, tally.Entry]) -> None:
    """ConformanceError that names what the suite does not have."""
    profiles = sorted({profile for test in tests.values() for profile in test.levels})
    for given, known in ((options.run, list(tests)), (options.profile, profiles)):
        for name in names(given):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:8]
                raise ConformanceError(f"the suite {options.suite} has no {name}; is it one of {', '.join(near)}?")


def outer(options: argparse.Namespace, kept: cache.Cache) -> int:
    """Everything before the namespaces, and all that needs none; the exit status."""
    suite_only = bool(options.list or options.kubeconfig)
    if sys.platform != "linux" and not suite_only:
        raise ConformanceError("a cluster is made of network namespaces: Linux only. --kubeconfig works anywhere")
    gobuild.build(kept, options.suite, trial.say, suite_only=suite_only)
    programs = gobuild.paths(kept, options.suite)
    with tempfile.TemporaryDirectory() as folder:
        tests = trial.catalogue(programs["suite"], Path(folder))
    check(options, tests)
    if options.list:
        print("\n".join(tally.listing(tests.values(), names(options.profile))))
        return 0
    if options.kubeconfig:
        return asyncio.run(trial.run_suite(plan(options, programs, kept), options.kubeconfig.resolve()))
    return 0 if options.build else network.enter("scripts.conformance", sys.argv[1:])


def main() -> int:
    """The exit status: 0, 1 for failed tests, 2 if it could not be run, 130 if it was interrupted."""
    options = parser().parse_args()
    kept = cache.Cache(cache.default())

    async def inner() -> int:
        return await run.run(plan(options, gobuild.paths(kept, options.suite), kept))

    return network.run("conformance", lambda: outer(options, kept), inner)


if __name__ == "__main__":
    sys.exit(main())
