"""The commands: each asks a GatewayQuery one question, and the answer comes back as text that `run` writes.

A shell of thin parts: arguments.py reads the command line, session.py keeps what it said, render.py, hints.py and
agent.py write the answer.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rauta_agent_api import DEFAULT_TIMEOUT, DEFAULT_URL
from rauta_agent_api.errors import CODES, AgentApiError
from rauta_cli import __version__, hints, offline, render
from rauta_cli.arguments import GLOBAL_OPTIONS, Format, Severity, format_of, global_first
from rauta_cli.hints import Hints
from rauta_cli.session import Connect, Session, connect_rest

if TYPE_CHECKING:  # the protocol's types need msgspec, `rauta --help` does not
    from rauta_agent_api.query import GatewayQuery
    from rauta_agent_api.snapshot import FindingSnapshot

T = TypeVar("T")

_EXIT_CODES = ["0 ok", *(f"{each.exit_code} {code.replace('_', ' ')}" for code, each in CODES.items())]

_CODE = re.compile(r"(?:RAUTA-)?CFG-[0-9]+|[a-z]+(?:_[a-z]+)*", re.IGNORECASE)  # what may be one, and is no URL

_KNOWN_ELSEWHERE = {"-o": "--format", "--output": "--format", "--url": "--endpoint", "--server": "--endpoint"}

DEFAULT_CLASS = "rauta"
Request = Annotated[
    list[str], typer.Argument(metavar="[METHOD] URL|CODE", help="As a client would send it; GET by default.")
]
Fields = Annotated[
    list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header field; repeatable.")
]
ListenerName = Annotated[
    str, typer.Option(metavar="NAME", help="A listener, or a Gateway as NAMESPACE/NAME. Default: by the URL's port.")
]
AskedManifests = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="PATH", help="Ask manifests instead of a gateway; - is the standard input."),
]
Manifests = Annotated[
    str, typer.Option("--file", "-f", metavar="PATH", help="A file or folder of manifests; - is the standard input.")
]
GatewayClass = Annotated[
    str,
    typer.Option(envvar="RAUTA_GATEWAY_CLASS", metavar="NAME", help="The GatewayClass that need not be among them."),
]

app = typer.Typer(
    name="rauta",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # rich is slow to import
    pretty_exceptions_enable=False,
    epilog=f"These options may also follow the command. Exit codes: {', '.join(_EXIT_CODES)}.",
)
routes_app = typer.Typer(help="The configured routes.", rich_markup_mode=None)
app.add_typer(routes_app, name="routes")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rauta {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    endpoint: Annotated[
        str, typer.Option(envvar="RAUTA_ADMIN_ENDPOINT", metavar="URL", help="The gateway's admin port.")
    ] = DEFAULT_URL,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            envvar="RAUTA_FORMAT",
            show_default="table on a terminal, json elsewhere",
            help="How to answer; agent is JSON that explains itself and suggests what to do next.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the gateway.")
    ] = DEFAULT_TIMEOUT,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Ask a RAUTA gateway how it is and what it does."""
    session: Session = context.obj
    session.endpoint, session.timeout, session.format = endpoint, timeout, form or session.format


@app.command()
def status(context: typer.Context) -> str:
    """Show the gateway: readiness, configuration, listeners, workers."""
    return _answer(context, lambda gateway: gateway.snapshot(), render.status, hints.for_status)


@routes_app.command("list")
def routes_list(
    context: typer.Context,
    method: Annotated[str | None, typer.Option(help="Only routes that take this method.")] = None,
    path_prefix: Annotated[str | None, typer.Option(help="Only routes whose path starts like this.")] = None,
) -> str:
    """List the routes with their traffic."""
    return _answer(context, lambda gateway: gateway.list_routes(method, path_prefix), render.routes, hints.for_routes)


@routes_app.command("get")
def routes_get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME_OR_PATTERN", help="As in `rauta routes list`.")],
) -> str:
    """Show one route and its backends."""
    return _answer(context, lambda gateway: gateway.get_route(name), render.route, hints.for_route)


@app.command()
def listeners(context: typer.Context) -> str:
    """Show the listeners, and why one is not bound."""
    return _answer(context, lambda gateway: gateway.list_listeners(), render.listeners, hints.for_listeners)


@app.command()
def objects(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only objects of this kind, such as Gateway.")] = None,
    name: Annotated[str | None, typer.Option(metavar="[NAMESPACE/]NAME", help="Only objects of this name.")] = None,
) -> str:
    """Show Gateways, routes and other objects, and how they are."""
    return _answer(context, lambda gateway: gateway.list_objects(kind, name), render.objects, hints.for_objects)


@app.command()
def findings(
    context: typer.Context,
    severity: Annotated[Severity | None, typer.Option(help="Only what is at least as bad.")] = None,
    fail_on: Annotated[Severity | None, typer.Option(help="Exit with 6 if anything is at least as bad.")] = None,
) -> str:
    """Show what is wrong with objects and documents, and the mend."""

    def ask(gateway: GatewayQuery) -> list[FindingSnapshot]:
        found = gateway.list_findings(None if severity is None else severity.value)
        _judge(_session(context), found, fail_on)
        return found

    return _answer(context, ask, render.findings, hints.for_findings)


@app.command()
def validate(
    context: typer.Context,
    file: Manifests,
    gateway_class: GatewayClass = DEFAULT_CLASS,
    fail_on: Annotated[
        Severity | None, typer.Option(help="Exit with 6 if anything is at least as bad. Default: with 1 on errors.")
    ] = None,
) -> str:
    """Say what is wrong with manifests, without a gateway. Needs rauta-control."""
    session = _session(context)
    data = offline.load().validate(file, gateway_class)
    if fail_on is not None:
        _judge(session, data.findings, fail_on)
    elif any(each.severity == "error" for each in data.findings):
        session.exit_code = 1
    return session.answer(data, render.validation, hints.for_validation(data))


@app.command()
def translate(
    context: typer.Context,
    file: Manifests,
    gateway_class: GatewayClass = DEFAULT_CLASS,
) -> str:
    """Print what manifests mean to the data plane, without a gateway. Needs rauta-control."""
    session, core = _session(context), offline.load()
    data = core.translate(file, gateway_class)
    return session.answer(data, core.readable, hints.for_translation(data))


@app.command()
def explain(
    context: typer.Context,
    request: Request,
    header: Fields = None,
    listener: ListenerName = "",
    file: AskedManifests = None,
    gateway_class: GatewayClass = DEFAULT_CLASS,
) -> str:
    """Say what a request would get, and why; nothing is sent.

    Or what a code such as RAUTA-CFG-020 or no_route means. That, and --file, needs rauta-control.
    """
    session = _session(context)
    if len(request) == 1 and file is None and _CODE.fullmatch(request[0]):
        found = offline.load().explain_code(request[0])
        return session.answer(found, render.meanings, hints.for_meanings(found))
    if len(request) > 2:
        raise AgentApiError("usage", f"[METHOD] URL: {len(request)} words", "quote a URL that has blanks or `&`")
    method, url = ("GET", *request)[-2:]
    headers = header or []
    if file is not None:
        data = offline.load().explain(file, gateway_class, method, url, headers, listener)
        return session.answer(data, render.explanation, hints.for_explanation(data))
    source = context.get_parameter_source("gateway_class")
    if source is not None and source.name == "COMMANDLINE":
        raise AgentApiError("usage", "--gateway-class: a running gateway has its own", "leave it out, or give --file")
    return _answer(
        context,
        lambda gateway: gateway.explain(method, url, headers, listener),
        render.explanation,
        hints.for_explanation,
    )


@app.command()
def cache(context: typer.Context) -> str:
    """Show how often the route cache helps."""
    return _answer(context, lambda gateway: gateway.cache_stats(), render.cache, hints.for_cache)


@app.command()
def metrics(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only metrics with this in their name.")] = None,
) -> str:
    """Show the gateway's metrics."""
    return _answer(context, lambda gateway: gateway.metrics_snapshot(name), render.metrics, hints.for_metrics)


@app.command()
def version(context: typer.Context) -> str:
    """Show the version of this program; status shows the gateway's."""
    data = {"version": __version__}
    return _session(context).answer(data, render.version, hints.for_version(data))


for _command in (*app.registered_commands, *routes_app.registered_commands):
    _command.epilog = f"Also {', '.join(GLOBAL_OPTIONS)}: see rauta --help."


def run(arguments: Sequence[str], program: str, connect: Connect = connect_rest) -> int:
    """Run one command line (without the program's name) and return its exit code.

    `program` is what the user called us, `connect` how to reach the gateway.
    """
    words = global_first(arguments) or ["--help"]
    form = format_of(words, os.environ.get("RAUTA_FORMAT", ""), sys.stdout.isatty())
    session = Session(program, connect, form)
    try:
        outcome = app(args=words, prog_name=program, obj=session, standalone_mode=False)
    except AgentApiError as error:
        return _fail(session, error)
    except typer.TyperException as error:  # what typer says of wrong arguments
        context: typer.Context | None = getattr(error, "ctx", None)
        path = context.command_path if context else program
        session.begin(path)
        known = _KNOWN_ELSEWHERE.get(getattr(error, "option_name", ""))
        fix = f"see `{path} --help`" if known is None else f"say {known}; see `{program} --help`"
        return _fail(session, AgentApiError("usage", error.format_message().rstrip("."), fix))
    if isinstance(outcome, str):
        _print(outcome)
        return session.exit_code
    return int(outcome or 0)  # --help and --version have printed; Ctrl-C is 130


def _session(context: typer.Context) -> Session:
    session: Session = context.obj
    session.begin(context.command_path)
    return session


def _answer(
    context: typer.Context, ask: Callable[[GatewayQuery], T], table: Callable[[T], str], advise: Callable[[T], Hints]
) -> str:
    session = _session(context)
    gateway = session.gateway()
    data = ask(gateway)
    generation = _generation(gateway, data) if session.format is Format.AGENT else None
    return session.answer(data, table, advise(data), generation)


def _judge(session: Session, findings: Sequence[FindingSnapshot], fail_on: Severity | None) -> None:
    """Let the program fail if one of the findings is as bad as that."""
    from rauta_agent_api.selection import filter_findings  # noqa: PLC0415 - needs msgspec

    if fail_on is not None and filter_findings(findings, fail_on.value):
        session.exit_code = CODES["findings"].exit_code


def _generation(gateway: GatewayQuery, data: object) -> int:
    from rauta_agent_api.explanation import Explanation  # noqa: PLC0415 - needs msgspec
    from rauta_agent_api.snapshot import GatewaySnapshot  # noqa: PLC0415 - needs msgspec

    said = data.generation if isinstance(data, GatewaySnapshot | Explanation) else None
    return gateway.snapshot().generation if said is None else said


def _fail(session: Session, error: AgentApiError) -> int:
    """Write the error where its reader looks: people on stderr, programs and agents on stdout."""
    text = session.complaint(error)
    if session.format is Format.TABLE:
        sys.stderr.write(text + "\n")
    else:
        _print(text)
    return error.exit_code


def _print(text: str) -> None:
    """Write to stdout in UTF-8 whatever the locale: JSON has no other encoding (RFC 8259 8.1)."""
    rest = memoryview(text.encode(errors="replace") + b"\n")
    while rest:  # under PYTHONUNBUFFERED a write may be a part of it, and only the next one fails
        rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.buffer.flush()
