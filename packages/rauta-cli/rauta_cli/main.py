"""The entry point of `rauta` and `kubectl-rauta`: an exit code out of a command line, without a traceback or a delay.

`rauta --version` is answered before anything is imported.
"""

from __future__ import annotations

import os
import sys

from rauta_cli import __version__

FAILED = 1  # as `rauta_agent_api.errors.CODES` has it, which is not imported here for the sake of `--version`
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for Ctrl-C
PIPE_CLOSED = 141  # 128 + SIGPIPE, the same for a reader that has seen enough


def main() -> int:
    """Run the command line of this process and return its exit code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"rauta {__version__}\n")
        return 0
    try:
        from rauta_cli.app import run  # noqa: PLC0415 - brings typer

        return run(sys.argv[1:], program_name(sys.argv[0]))
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # the answer cannot be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries once more when it exits
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED
        sys.stderr.write(f"{program_name(sys.argv[0])}: {error}\n")
        return FAILED


def program_name(argv0: str) -> str:
    """What the user typed: kubectl runs the file `kubectl-rauta` for `kubectl rauta`."""
    return "kubectl rauta" if os.path.basename(argv0).startswith("kubectl-rauta") else "rauta"
