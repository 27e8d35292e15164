"""A gateway that follows manifests, with real processes: what is edited is served, what is broken changes nothing."""

import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0  # seconds until a test gives up; nothing here takes long unless it is broken
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec: {{gatewayClassName: rauta, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec: {{parentRefs: [{{name: {gateway}}}], rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = str(self.connection.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def backends() -> Iterator[tuple[int, int]]:
    """Two backends that answer their port."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(2):
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            ports.append(server.server_address[1])
        yield ports[0], ports[1]


class Running:
    """rauta-control on manifests."""

    def __init__(self, folder: Path, config: Path, *flags: str) -> None:
        self.log_file = folder / "log"
        command = [sys.executable, "-m", "rauta_control.main", "--config", str(config), "--addresses", "127.0.0.1"]
        command += ["--workers", "2", "--access-log", "off", "--probe-host", "127.0.0.1"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--admin-port", "0", "--probe-port", "0", *flags], env=environ, stderr=log
            )
        self.admin = int(self.logged(r"admin listening address=.*:(\d+)"))
        self.probe = int(self.logged(r"probe listening address=.*:(\d+)"))

    def log(self) -> str:
        return self.log_file.read_text()

    def logged(self, pattern: str, times: int = 1) -> str:
        found = self.until(lambda: re.findall(pattern, self.log())[times - 1 :], pattern)
        return str(found[0])

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := condition():
                return result
            assert self.process.poll() is None, self.log()
            time.sleep(0.005)
        pytest.fail(f"never: {what}\n{self.log()}")

    def until_ready(self) -> None:
        self.until(lambda: get(self.probe, "/readyz")[0] == 200, "ready")

    def until_served(self, port: int, expected: tuple[int, str]) -> None:
        """Every worker answers so: both have the generation, and a few new connections agree."""
        self.until(lambda: all(get(port) == expected for _ in range(8)), f"{expected}")

    def ask(self, path: str) -> Any:
        return json.loads(get(self.admin, f"/api/v1/{path}")[1])

    def conditions(self, kind: str, name: str) -> dict[str, tuple[str, str]]:
        (found,) = self.ask(f"objects?kind={kind}&name={name}")
        return {each["type"]: (each["status"], each["reason"]) for each in found["conditions"]}

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()


def get(port: int, path: str = "/") -> tuple[int, str]:
    """Status and body on a connection of its own; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


_KEPT: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else gets while the tests run: it stays bound, which does not hinder who sets SO_REUSEADDR."""
    sock = socket.socket()
    _KEPT.append(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return int(sock.getsockname()[1])


def put(path: Path, text: str) -> None:
    """Replace a file by renaming over it."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.rename(path)


def put_services(folder: Path, backends: tuple[int, int]) -> None:
    """Put down the Services `a` and `b`."""
    services = (SERVICE.format(name=name, port=port) for name, port in zip("ab", backends, strict=True))
    put(folder / "services.yaml", "---".join(services))


def lay_out(folder: Path, port: int, backends: tuple[int, int]) -> None:
    """Put down a Gateway on `port`, a route to the Service `a`, and both Services."""
    put(folder / "gateway.yaml", GATEWAY.format(name="gw", port=port))
    put(folder / "route.yaml", ROUTE.format(name="web", gateway="gw", service="a"))
    put_services(folder, backends)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manifests"
    made.mkdir()
    return made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(config: Path, *flags: str) -> Running:
        running.append(Running(tmp_path, config, *flags))
        return running[-1]

    yield begin
    for each in running:
        each.end()


def test_edits_are_served_and_broken_files_change_nothing(
    folder: Path, start: Callable[..., Running], backends: tuple[int, int]
) -> None:
    port = free_port()
    first, second = ((200, str(each)) for each in backends)
    lay_out(folder, port, backends)
    gateway = start(folder)
    gateway.until_ready()
    gateway.until_served(port, first)
    gateway.until(lambda: gateway.conditions("Gateway", "gw")["Programmed"] == ("True", "Programmed"), "Programmed")
    assert gateway.ask("findings") == []

    put(folder / "route.yaml", ROUTE.format(name="web", gateway="gw", service="b"))
    gateway.until_served(port, second)

    put(folder / "route.yaml", ROUTE.format(name="web", gateway="gw", service="a").replace("port: 80", "port: many"))
    gateway.until(lambda: gateway.ask("findings"), "a finding")
    (found,) = gateway.ask("findings")
    assert (found["code"], found["place"], found["path"]) == (
        "RAUTA-CFG-070",
        "route.yaml#1",
        "spec.rules[0].backendRefs[0].port",
    )
    assert gateway.ask("status")["findings"] == {"error": 1, "warning": 0, "info": 0}
    assert any("route.yaml#1" in problem for problem in gateway.ask("status")["problems"])
    gateway.logged(r"manifest document=route.yaml#1 object=\"HTTPRoute default/web\" field=spec")
    gateway.until_served(port, second)

    (folder / "route.yaml").write_text("")  # in place, as an editor that is not done
    gateway.until(lambda: "half-written" in gateway.ask("findings")[0]["message"], "taken for half-written")
    gateway.until_served(port, second)

    put(folder / "route.yaml", ROUTE.format(name="web", gateway="gw", service="a"))
    gateway.until_served(port, first)
    assert gateway.ask("findings") == []

    (folder / "route.yaml").unlink()
    gateway.until(lambda: get(port)[0] == 404, "no route")
    (folder / "gateway.yaml").unlink()
    gateway.until(lambda: get(port)[0] == 0, "no listener")
    assert gateway.ask("objects") == []


def test_a_config_map_is_followed_by_its_link(
    tmp_path: Path, folder: Path, start: Callable[..., Running], backends: tuple[int, int]
) -> None:
    port = free_port()

    def mount(version: str, backend: int) -> None:
        """What a kubelet does: a new hidden folder, and one rename of the link that all files go through."""
        (folder / version).mkdir()
        text = [GATEWAY.format(name="gw", port=port), ROUTE.format(name="web", gateway="gw", service="a")]
        text.append(SERVICE.format(name="a", port=backend))
        (folder / version / "all.yaml").write_text("---".join(text))
        (folder / "..data_tmp").symlink_to(version)
        (folder / "..data_tmp").rename(folder / "..data")

    mount("..2026_1", backends[0])
    (folder / "all.yaml").symlink_to("..data/all.yaml")
    gateway = start(folder)
    gateway.until_ready()
    gateway.until_served(port, (200, str(backends[0])))
    mount("..2026_2", backends[1])
    gateway.until_served(port, (200, str(backends[1])))
    gateway.end()

    single = start(folder / "all.yaml")
    single.until_ready()
    single.until_served(port, (200, str(backends[1])))
    mount("..2026_3", backends[0])
    single.until_served(port, (200, str(backends[0])))


def test_two_gateways_do_not_see_each_others_routes(
    folder: Path, start: Callable[..., Running], backends: tuple[int, int]
) -> None:
    ports = free_port(), free_port()
    for name, service, port in zip(("one", "two"), "ab", ports, strict=True):
        put(folder / f"{name}.yaml", GATEWAY.format(name=name, port=port))
        put(folder / f"{name}-route.yaml", ROUTE.format(name=f"to-{service}", gateway=name, service=service))
    put_services(folder, backends)
    gateway = start(folder, "--route", f"/only=127.0.0.1:{backends[0]}", "--from", "127.0.0.1:0")
    gateway.until_ready()
    gateway.until_served(ports[0], (200, str(backends[0])))
    gateway.until_served(ports[1], (200, str(backends[1])))
    own = next(each for each in gateway.ask("listeners") if each["gateway_refs"] == ["standalone"])
    gateway.until(lambda: get(own["port"], "/only") == (200, str(backends[0])), "the route of the command line")
    assert get(own["port"])[0] == 404


def test_control_restarts_without_a_change_and_follows_on(
    folder: Path, start: Callable[..., Running], backends: tuple[int, int]
) -> None:
    port = free_port()
    lay_out(folder, port, backends)
    gateway = start(folder)
    gateway.until_ready()
    gateway.until_served(port, (200, str(backends[0])))
    generation = gateway.ask("status")["generation"]
    os.kill(int(gateway.logged(r"started child=control pid=(\d+)")), signal.SIGKILL)
    gateway.logged(r"started child=control pid=(\d+)", times=2)
    gateway.until(lambda: get(gateway.probe, "/readyz")[0] == 200 and gateway.ask("objects"), "control is back")
    assert gateway.ask("status")["generation"] == generation
    gateway.until_served(port, (200, str(backends[0])))
    assert gateway.log().count("listening listener=default/gw") == 1
    put(folder / "route.yaml", ROUTE.format(name="web", gateway="gw", service="b"))
    gateway.until_served(port, (200, str(backends[1])))
    assert gateway.ask("status")["generation"] == generation + 1


def test_a_port_that_is_taken_is_said(folder: Path, start: Callable[..., Running], backends: tuple[int, int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        put(folder / "gateway.yaml", GATEWAY.format(name="gw", port=port))
        gateway = start(folder)
        gateway.until_ready()
        gateway.until(lambda: gateway.ask("findings"), "a finding")
        (found,) = gateway.ask("findings")
        assert (found["code"], found["name"], found["path"]) == ("RAUTA-CFG-048", "gw", "spec.listeners[0].port")
        assert gateway.conditions("Gateway", "gw")["Programmed"] == ("False", "PortUnavailable")
    other = free_port()
    put(folder / "gateway.yaml", GATEWAY.format(name="gw", port=other))
    gateway.until(lambda: gateway.conditions("Gateway", "gw")["Programmed"] == ("True", "Programmed"), "Programmed")
    assert gateway.ask("findings") == []
    assert get(other)[0] == 404


def test_paths_that_are_not_there_stop_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rauta_control.main", "--config", str(tmp_path / "none")]
    command += ["--access-log", str(tmp_path / "no" / "log")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"--config (RAUTA_CONFIG) {tmp_path / 'none'}: expected a file or folder" in done.stderr
    assert (
        f"--access-log (RAUTA_ACCESS_LOG) {tmp_path}/no/log: cannot be written: No such file or direct" in done.stderr
    )
