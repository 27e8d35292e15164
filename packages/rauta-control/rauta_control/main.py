"""The program `rauta-control`: settings in, a supervised gateway out."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

from rauta_control import accesslog, cpus, flags, handover, options, signals
from rauta_control.flags import Flag
from rauta_control.inherit import Role, Run
from rauta_control.regularfile import is_special
from rauta_control.settings import DEFAULT_CLASS, Settings, parse

HELP = """usage: rauta-control [FLAG [VALUE] | @FILE]...
       rauta-control check PATH      say what is wrong with manifests (file, folder or -); 1 if requests would fail
       rauta-control translate PATH  print what they mean to the data plane

RAUTA, an API gateway: accepts HTTP and HTTPS requests and passes them to backends.

  rauta-control --to 127.0.0.1:9001 --to web:8080
  rauta-control --route /api=127.0.0.1:9001,127.0.0.1:9002 --route 'shop.example/=blue:80*9,green:80*1'
  RAUTA_BACKEND_ADDR=127.0.0.1:9001 rauta-control
  rauta-control --config gateway.yaml
  rauta-control @routes.txt        a file with a flag and its value a line; # starts a comment
  rauta-control --demo

Each flag has the variable in brackets. A flag wins over its variable, an empty variable is as good as none.

{flags}
  --version
      Print the version and exit.
  --help
      Print this and exit.

Signals: SIGTERM drains and ends, SIGINT (Ctrl-C) too but sooner, a second one ends at once. SIGHUP reads @FILEs,
certificates and manifests again, and opens the access log anew; SIGUSR1 does only the latter.
SIGUSR2 starts the program anew in place, after an upgrade: sockets and children stay, each child in the version that
it was started in until it ends.
Exit status: 0 ended as told, 1 could not start, 2 wrong settings, 128 + signal if ended at once.
"""


def main() -> int:
    """Run the program; return its exit status."""
    _open_streams()
    argv = sys.argv[1:]
    if "--help" in argv or "-h" in argv:
        sys.stdout.write(HELP.format(flags=flags.usage(options.FLAGS)))
        return 0
    if "--version" in argv:
        sys.stdout.write(f"rauta-control {version('rauta-control')}\n")
        return 0
    if argv[:1] == ["check"]:
        return _check(argv[1:])
    if argv[:1] == ["translate"]:
        return _translate(argv[1:])
    return _run(argv)


def _open_streams() -> None:
    """Open standard streams that were closed, of nothing: else a socket gets their number, and lines of a log."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdin = sys.stdin or os.fdopen(0)  # Python has none for what was closed
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _run(argv: list[str]) -> int:
    """Be the gateway, or only check its settings."""
    signals.hold()
    try:
        state = handover.take(os.environ)
    except handover.HandoverError as error:
        return _fail(1, [str(error)])
    settings = parse(argv, os.environ, cpus.available())
    if isinstance(settings, list):
        return _fail(2, settings)
    if state is None and (problems := _unusable(settings)):
        return _fail(2, problems)
    # Everything the children need is imported here, once, so that a fork of this process is ready to serve.
    from rauta_control import admission, control, worker  # noqa: PLC0415
    from rauta_control.demo import Demo  # noqa: PLC0415
    from rauta_control.supervisor import Supervisor  # noqa: PLC0415

    if settings.check:
        sys.stdout.write("the settings are fine\n")
        return 0
    if settings.config:
        admission.prepare()
    roles: dict[Role, Run] = {"worker": worker.run, "control": control.run}
    if not settings.demo:
        return Supervisor(settings, roles, state=state).run()
    demo = Demo()
    roles |= {"control": partial(control.run, demo=demo), "demo": demo.run}
    # The program started anew would have other demo ports than the children it takes over: no command, no re-exec.
    return Supervisor(settings, roles, command=()).run()


def _unusable(settings: Settings) -> list[str]:
    """What is wrong with the files that settings name."""
    problems = []
    if settings.config and not Path(settings.config).exists():
        problems.append(f"{_named(options.CONFIG)} {settings.config}: expected a file or folder, and there is none")
    if settings.config and is_special(settings.config):
        problems.append(f"{_named(options.CONFIG)} {settings.config}: expected a regular file or a folder")
    problems += [
        f"{_named(options.KUBECONFIG)} {path}: expected a regular file"
        for path in filter(is_special, settings.kubeconfig.split(os.pathsep))
    ]
    if settings.kubeconfig and not any(map(os.path.exists, settings.kubeconfig.split(os.pathsep))):
        problems.append(f"{_named(options.KUBECONFIG)} {settings.kubeconfig}: expected a file, and there is none")
    if fault := accesslog.unusable(settings.access_log):
        problems.append(f"{_named(options.ACCESS_LOG)} {settings.access_log}: cannot be written: {fault}")
    if settings.tls_pairs:
        from rauta_control import certificatefiles  # noqa: PLC0415 - costs a start without them

        named = f"{_named(options.TLS_CERT)}, {_named(options.TLS_KEY)}"
        problems += [f"{named}: {problem}" for problem in certificatefiles.unusable(settings.tls_pairs)]
    return problems


def _named(flag: Flag) -> str:
    return f"{flag.name} ({flag.variable})"


def _check(argv: list[str]) -> int:
    if len(argv) != 1:
        return _fail(2, ["check takes one PATH: a file or folder of manifests, or - for the standard input"])
    from rauta_control.manifests import run_check  # noqa: PLC0415 - only this command translates here
    from rauta_control.terms import Terms  # noqa: PLC0415

    return run_check(Path(argv[0]), Terms(class_name=_class_name()))


def _translate(argv: list[str]) -> int:
    if len(argv) != 1:
        return _fail(2, ["translate takes one PATH: a file or folder of manifests, or - for the standard input"])
    from rauta_agent_api.errors import AgentApiError  # noqa: PLC0415 - only this command translates here
    from rauta_control import offline  # noqa: PLC0415

    try:
        sys.stdout.write(offline.readable(offline.translate(argv[0], _class_name())) + "\n")
    except AgentApiError as error:
        return _fail(1, [str(error)])
    return 0


def _class_name() -> str:
    """The class that manifests need not define, as for the gateway itself."""
    return os.environ.get(options.GATEWAY_CLASS.variable) or DEFAULT_CLASS


def _fail(code: int, problems: list[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"rauta-control: {problem}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
