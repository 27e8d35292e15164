"""The program as a user starts it, as far as it does not serve."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rauta_control import options
from rauta_control.settings import DEFAULT_CLASS, NOTHING_TO_ROUTE_TO


def run(*args: str, **environ: str) -> tuple[int, str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_") and name != "RUST_LOG"}
    command = [sys.executable, "-m", "rauta_control.main", *args]
    done = subprocess.run(command, env=clean | environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args", [("--help",), ("-h",), ("--workers", "0", "--help")])
def test_help_explains_every_flag(args: tuple[str, ...]) -> None:
    code, out, err = run(*args)
    assert (code, err) == (0, "")
    for flag in options.FLAGS:
        assert f"\n  {flag.name}" in out
        assert flag.variable in out


def test_version() -> None:
    code, out, err = run("--version")
    assert (code, err) == (0, "")
    assert out.startswith("rauta-control 0.")


def test_wrong_settings_are_all_named_on_stderr_and_end_with_2() -> None:
    code, out, err = run("--workers", "many", RAUTA_ADMIN_PORT="x", RAUTA_BACKEND_ADDR="web")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(": expected")[0] for line in lines] == [
        "rauta-control: RAUTA_BACKEND_ADDR=web",
        "rauta-control: RAUTA_ADMIN_PORT=x",
        "rauta-control: --workers many",
    ]


def test_without_anything_it_says_what_to_do() -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err == f"rauta-control: {NOTHING_TO_ROUTE_TO}\n"


def test_check(tmp_path: Path) -> None:
    (tmp_path / "routes").write_text("--route /api=127.0.0.1:9001\n")
    assert run(f"@{tmp_path}/routes", "--check") == (0, "the settings are fine\n", "")


def test_check_looks_for_the_kubeconfig_too(tmp_path: Path) -> None:
    code, out, err = run("--kubernetes", "--check", KUBECONFIG=f"{tmp_path}/a:{tmp_path}/b")
    assert (code, out) == (2, "")
    assert f"--kubeconfig (KUBECONFIG) {tmp_path}/a:{tmp_path}/b: expected a file, and there is none" in err
    (tmp_path / "b").touch()
    assert run("--kubernetes", "--check", KUBECONFIG=f"{tmp_path}/a:{tmp_path}/b")[0] == 0


def test_a_pipe_is_no_file_that_can_be_read_again(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    assert run("--config", str(pipe), "--check") == (
        2,
        "",
        f"rauta-control: --config (RAUTA_CONFIG) {pipe}: expected a regular file or a folder\n",
    )
    assert run("--kubernetes", "--check", KUBECONFIG=f"{tmp_path}/a:{pipe}") == (
        2,
        "",
        f"rauta-control: --kubeconfig (KUBECONFIG) {pipe}: expected a regular file\n",
    )


def test_check_of_manifests_takes_the_class_of_the_settings_as_given(tmp_path: Path) -> None:
    manifest = tmp_path / "gateway.yaml"
    manifest.write_text(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: web}\n"
        "spec: {gatewayClassName: edge, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
    )
    assert "Gateway default/web: Accepted" in run("check", str(manifest), RAUTA_GATEWAY_CLASS="edge")[1]
    assert "Gateway default/web: Accepted" not in run("check", str(manifest))[1]
    manifest.write_text(manifest.read_text().replace("edge", DEFAULT_CLASS))
    assert "Gateway default/web: Accepted" in run("check", str(manifest))[1]


def test_a_file_of_arguments_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "routes").write_bytes("\ufeff--to web:80\r\n--workers 2\r\n".encode())
    assert run(f"@{tmp_path}/routes", "--check")[0] == 0


def test_certificates_that_cannot_be_used_are_named_with_their_flags(tmp_path: Path) -> None:
    code, _, err = run("--to", "web:80", "--check", RAUTA_TLS_CERT=f"{tmp_path}/a", RAUTA_TLS_KEY=f"{tmp_path}/b")
    named = "--tls-cert (RAUTA_TLS_CERT), --tls-key (RAUTA_TLS_KEY)"
    assert (code, err) == (2, f"rauta-control: {named}: {tmp_path}/a: No such file or directory\n")


CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable]


@pytest.mark.parametrize(
    ("args", "code"), [("--check --to web:80", 0), ("--version", 0), ("--to web", 2), ("check -", 1)]
)
def test_closed_standard_streams_change_nothing(args: str, code: int) -> None:
    assert subprocess.run([*CLOSED, "-m", "rauta_control.main", *args.split()], check=False).returncode == code


def test_closed_standard_streams_are_nobody_elses() -> None:
    program = "import os, sys; from rauta_control import main; main.main(); sys.exit(os.open('.', os.O_RDONLY))"
    assert subprocess.run([*CLOSED, "-c", program, "--version"], check=False).returncode > 2


def test_without_descriptors_it_does_not_start() -> None:
    command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "-m", "rauta_control.main"]
    done = subprocess.run([*command, "--to", "127.0.0.1:1"], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "the limit of open files is 64: expected at least 128" in done.stderr


def test_a_signal_during_the_start_counts_once_it_can(tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    os.mkfifo(settings)
    ports = ["--from", "127.0.0.1:0", "--admin-port", "0", "--probe-port", "0", "--workers", "1"]
    command = [sys.executable, "-m", "rauta_control.main", *ports, f"@{settings}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        with settings.open("w") as text:  # from here on it is being read
            program.send_signal(signal.SIGTERM)
            text.write("--to 127.0.0.1:1\n")
        assert "stopping signal=SIGTERM" in program.communicate(timeout=60)[1]
    assert program.returncode == 0


def test_a_state_that_cannot_be_read_does_not_start() -> None:
    code, out, err = run("--to", "web:80", RAUTA_HANDOVER="junk")
    assert (code, out) == (1, "")
    assert err.startswith("rauta-control: RAUTA_HANDOVER=junk: ")
