import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import msgspec
import pytest

from rauta_agent_api.client import MAX_ANSWER, RestClient, decode, parse_url
from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.fake import FakeGateway
from rauta_agent_api.fakeserver import serve
from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.rest import Response
from rauta_agent_api.snapshot import GatewaySnapshot

URL = "http://gw:9091/api/v1/status"


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """A port that sends `answer` to its one client, whatever it asks; the empty answer just listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve_one() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = Thread(target=serve_one)
        if answer:
            thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        if answer:
            thread.join()


def failure(call: Callable[[], object]) -> AgentApiError:
    with pytest.raises(AgentApiError) as caught:
        call()
    return caught.value


def test_the_client_gives_what_the_gateway_gives() -> None:
    fake: GatewayQuery = FakeGateway()
    with serve(fake) as url:
        client: GatewayQuery = RestClient(url + "/")
        assert client.snapshot() == fake.snapshot()
        assert client.list_routes() == fake.list_routes()
        assert client.list_routes("get", "/he") == fake.list_routes("get", "/he")
        assert client.get_route("standalone/route-1") == fake.get_route("standalone/route-1")
        assert client.get_route("/api") == fake.get_route("/api")
        assert client.list_listeners() == fake.list_listeners()
        assert client.list_objects() == fake.list_objects()
        assert client.list_objects("gateway", "default/rauta") == fake.list_objects("Gateway", "rauta") != []
        assert client.list_findings() == fake.list_findings()
        assert client.list_findings("error") == fake.list_findings()[:1]
        assert client.cache_stats() == fake.cache_stats()
        assert client.metrics_snapshot("uptime") == fake.metrics_snapshot("uptime")
        assert client.explain("get", "http://h/%zz?a&b", ["a: ä", "c: d"]) == fake.explain("GET", "http://h/%zz?a&b")
        assert failure(lambda: client.get_route("no such & route")).code == "not_found"


def test_a_refused_connection_names_the_url_and_the_flag() -> None:
    with raw_server(b"") as url:
        pass  # the port is closed again
    error = failure(RestClient(url).snapshot)
    assert error.code == "unreachable"
    assert url in error.message
    assert "refused" in error.message
    assert "--endpoint" in error.fix
    assert "RAUTA_ADMIN_ENDPOINT" in error.fix


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"", "unreachable", "nothing within 0.05 s"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "unreachable", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "unreachable", "not RAUTA's admin API"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", "unreachable", "302"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", "failure", "truncated"),
    ],
)
def test_what_answers_but_is_no_gateway_is_told(answer: bytes, code: str, said: str) -> None:
    with raw_server(answer) as url:
        error = failure(RestClient(url, timeout=0.05 if not answer else 5).snapshot)
    assert error.code == code
    assert said in str(error)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_without_an_address_is_told(host: str) -> None:
    error = failure(RestClient(f"http://{host}:9091").snapshot)
    assert error.code == "unreachable"
    assert f"{host} does not resolve" in error.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9091",
        "127.0.0.1:9091",
        "ftp://h",
        "http://",
        "http://h:port",
        "http://h:70000",
        "http://h/?x=1",
        "http://u:p@h",
        "http://h/a b",
        "http://h/\r\nx",
        "http://[::1",
        "http://bücher",
    ],
)
def test_a_url_that_cannot_work_names_the_flag(url: str) -> None:
    error = failure(lambda: RestClient(url))
    assert error.code == "usage"
    assert repr(url) in error.message
    assert "--endpoint" in error.fix


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_cannot_work_names_the_flag(timeout: float) -> None:
    error = failure(lambda: RestClient(timeout=timeout))
    assert error.code == "usage"
    assert "--timeout" in error.fix


def test_urls_that_work() -> None:
    assert parse_url("http://[::1]:9091/") == (False, "::1", 9091, "")
    assert parse_url("https://gw/k8s/proxy/") == (True, "gw", None, "/k8s/proxy")


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (Response(404, "text/plain", b""), "unreachable"),  # the path is missing, not the route
        (Response(404, "application/json", b"{}"), "unreachable"),
        (Response(401, "text/html", b""), "denied"),
        (Response(500, "text/plain", b"oops"), "failure"),
        (Response(502, "text/html", b""), "unreachable"),
        (Response(500, "application/problem+json", b"oops"), "failure"),
        (Response(200, "application/problem+json", b"[]"), "unreachable"),
        (Response(200, "application/json", b"{}"), "failure"),
        (Response(200, "application/json", b'{"status":"\xff"}'), "failure"),
        (Response(200, "application/json", b" " * (MAX_ANSWER + 1)), "failure"),
        (Response(200, "", b""), "unreachable"),
    ],
)
def test_an_answer_that_is_not_one_is_told(response: Response, code: str) -> None:
    error = failure(lambda: decode(response, GatewaySnapshot, URL))
    assert error.code == code
    assert URL in error.message
    assert error.fix


def test_a_problem_is_the_gateways_own_error() -> None:
    said = AgentApiError("denied", "no token", "pass --token")
    response = Response(said.status, "application/problem+json", msgspec.json.encode(said.to_problem()))
    error = failure(lambda: decode(response, GatewaySnapshot, URL))
    assert (error.code, error.message, error.fix) == ("denied", "no token", "pass --token")
