"""The program as a process of its own, against a real port."""

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from rauta_agent_api.fake import ROUTES, FakeGateway
from rauta_agent_api.fakeserver import serve
from rauta_cli import __version__
from rauta_cli.main import program_name

PROGRAM = "import sys; from rauta_cli.main import main; sys.argv[0] = 'rauta'; sys.exit(main())"
TELL_IMPORTS = "import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules)); "
NOWHERE = "http://127.0.0.1:1"  # no admin port is ever there


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway with enough routes that their listing overfills a pipe."""
    more = [replace(ROUTES[0], name=f"more/route-{number}") for number in range(500)]
    with serve(FakeGateway(routes=[*ROUTES, *more])) as url:
        yield url


def start(
    url: str, line: str, stdout: int = subprocess.PIPE, before: str = "", unbuffered: str = ""
) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, *line.split()],
        env=environment | {"RAUTA_ADMIN_ENDPOINT": url, "PYTHONUNBUFFERED": unbuffered},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return its exit code, stdout (empty when that is not a pipe of ours) and stderr."""
    with process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out or "", err


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "routes list",
        "routes get standalone/route-1",
        "listeners",
        "objects",
        "findings",
        "cache",
        "metrics uptime",
        "version",
    ],
)
def test_off_a_terminal_stdout_is_json_and_nothing_else(url: str, line: str) -> None:
    code, out, err = finish(start(url, line))
    assert (code, err) == (0, "")
    assert json.loads(out)


@pytest.mark.parametrize(
    ("line", "exit_code", "error"),
    [
        ("routes get nope", 3, "not_found"),
        ("routes get /api", 5, "conflict"),
        (f"status --endpoint {NOWHERE}", 7, "unreachable"),
        ("status --endpoint 127.0.0.1:9091", 2, "usage"),
    ],
)
def test_errors_have_exit_codes(url: str, line: str, exit_code: int, error: str) -> None:
    code, out, err = finish(start(url, line))
    assert (code, err) == (exit_code, "")
    assert json.loads(out)["error"]["code"] == error


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_ends_the_program_in_silence(url: str, unbuffered: str) -> None:
    process = start(url, "routes list", unbuffered=unbuffered)
    assert process.stdout is not None
    assert process.stdout.readline() == "[\n"
    process.stdout.close()
    process.stdout = None
    assert finish(process) == (141, "", "")


def test_an_interrupt_ends_the_program_in_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(f"http://127.0.0.1:{server.getsockname()[1]}", "status")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(65536)  # it has asked, and waits
            process.send_signal(signal.SIGINT)
            assert finish(process) == (130, "", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_answer_that_cannot_be_written_is_a_failure(url: str) -> None:
    with open("/dev/full", "w") as full:
        assert finish(start(url, "status", full.fileno())) == (1, "", "rauta: [Errno 28] No space left on device\n")


def test_the_version_comes_before_any_import() -> None:
    assert finish(start("", "--version")) == (0, f"rauta {__version__}\n", "")
    _, out, _ = finish(start("", "--version", before=TELL_IMPORTS))
    assert not {"typer", "typing", "msgspec", "http.client", "json"} & set(out.split())


def test_no_command_imports_what_slows_the_start() -> None:
    """Rich comes with typer's markup, pydantic with the options of typer 0.29: each would double the time to start."""
    code, out, _ = finish(start(NOWHERE, "status", before=TELL_IMPORTS))
    assert code == 7
    assert {"typer", "http.client"} <= set(out.split())
    assert not {"rich", "pydantic", "asyncio", "aiohttp", "urllib.request"} & set(out.split())


def test_the_version_is_the_packages() -> None:
    assert importlib.metadata.version("rauta-cli") == __version__


@pytest.mark.parametrize(
    ("argv0", "name"),
    [
        ("/usr/bin/rauta", "rauta"),
        ("kubectl-rauta", "kubectl rauta"),
        ("/bin/kubectl-rauta.exe", "kubectl rauta"),
        ("-c", "rauta"),
    ],
)
def test_the_program_is_called_what_the_user_typed(argv0: str, name: str) -> None:
    assert program_name(argv0) == name
