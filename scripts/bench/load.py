"""The load of the request rows: wrk, one thread, with heads from `heads.lua`."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .machine import output, pinned
from .process import BenchError
from .setup import SHARED_HOST, Route

SCRIPT = Path(__file__).with_name("heads.lua")
CONNECTIONS = 64
MARK = "RESULT "


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk is to send: over which routes, all heads different or all the same, with how large a body."""

    routes: tuple[Route, ...]
    seed: int
    distinct: bool = True
    body: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What wrk saw. Latencies in microseconds, from the write of a request to the end of its answer, at full load."""

    us: int
    requests: int
    bytes: int
    connect: int
    read: int
    write: int
    status: int  # answers of 400 and above
    timeout: int
    p50: float
    p99: float

    def complaint(self) -> str:
        """What went wrong, or nothing. One failed request in a slice is one too many: on loopback none is expected."""
        counts = {name: getattr(self, name) for name in ("connect", "read", "write", "status", "timeout")}
        wrong = [f"{count} {name} errors" for name, count in counts.items() if count]
        if not self.requests:
            wrong.append("no answer at all")
        return ", ".join(wrong)


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def version() -> str:
    """As wrk says it."""
    words = output("wrk", "--version").split()
    return words[1] if len(words) > 1 else "unknown"


def script(load: Load) -> str:
    """The Lua text for one run. Pure."""
    hosts = [route.host or SHARED_HOST for route in load.routes]
    prefixes = [route.slashed for route in load.routes]
    constants = {
        "SEED": str(load.seed),
        "DISTINCT": "true" if load.distinct else "false",
        "BODY": str(load.body),
        "HOSTS": "{" + ",".join(json.dumps(host) for host in hosts) + "}",
        "PREFIXES": "{" + ",".join(json.dumps(prefix) for prefix in prefixes) + "}",
    }
    return "".join(f"local {name} = {value}\n" for name, value in constants.items()) + SCRIPT.read_text()


def parse(printed: str) -> Outcome:
    """The line that `done` in the script writes."""
    for line in printed.splitlines():
        if line.startswith(MARK):
            return Outcome(**json.loads(line.removeprefix(MARK)))
    raise BenchError(f"wrk said nothing we know:\n{printed.strip()}")


def run(load: Load, port: int, seconds: float, core: int, folder: Path, *, secure: bool = False) -> Outcome:
    """Load the port, `secure` with TLS, for about so many seconds (wrk takes whole ones, at least 1)."""
    lua = folder / "load.lua"
    lua.write_text(script(load))
    duration = max(1, round(seconds))
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        f"{duration}s",
        "--timeout",
        "5s",
        "--script",
        str(lua),
    ]
    with pinned(core):
        process = subprocess.Popen(
            [*command, f"{'https' if secure else 'http'}://127.0.0.1:{port}/"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        printed, _ = process.communicate(timeout=duration + 30)
    except subprocess.TimeoutExpired:
        raise BenchError("wrk did not end in time") from None
    finally:
        process.kill()
        process.wait()
    return parse(printed)
