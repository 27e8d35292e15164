"""Filters from manifests to bytes: translated, published to a real worker, and seen by clients and backends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from rauta_control import ir
from rauta_control.golden_test import translated
from rauta_control.proxyharness_test import Backend, Client, Proxy, answer, cluster, eventually, read_body
from rauta_control.sharedmem import Vital

MANIFESTS = """
terms: {abilities: today}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: rauta
  listeners:
  - {name: http, port: 80, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: infra}
spec:
  parentRefs:
  - {name: gw}
  rules:
  - matches:
    - path: {type: PathPrefix, value: /all}
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: X-Set, value: new}]
        add: [{name: X-Add, value: b}]
        remove: [X-Gone]
    - type: ResponseHeaderModifier
      responseHeaderModifier:
        set: [{name: X-Version, value: "2"}]
    - type: URLRewrite
      urlRewrite:
        hostname: new.example
        path: {type: ReplacePrefixMatch, replacePrefixMatch: /}
    - type: CORS
      cors: {allowOrigins: ["https://*.example.com"], allowMethods: ["*"]}
    - type: RequestMirror
      requestMirror:
        backendRef: {name: v2, port: 8080}
    backendRefs:
    - {name: v1, port: 8080}
  - matches:
    - path: {type: PathPrefix, value: /put}
      method: PUT
    filters:
    - type: CORS
      cors: {allowOrigins: ["https://a.example.com"], allowMethods: [PUT]}
    backendRefs:
    - {name: v1, port: 8080}
  - matches:
    - path: {type: PathPrefix, value: /own}
      method: PUT
    backendRefs:
    - name: v1
      port: 8080
      filters:
      - type: CORS
        cors: {allowOrigins: ["https://a.example.com"], allowMethods: [PUT]}
  - matches:
    - path: {type: PathPrefix, value: /go}
    filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /there}}
  - matches:
    - path: {type: PathPrefix, value: /shares}
    backendRefs:
    - name: v1
      port: 8080
      filters:
      - type: RequestHeaderModifier
        requestHeaderModifier:
          set: [{name: X-Share, value: "1"}]
    - name: v2
      port: 8080
      filters:
      - type: RequestHeaderModifier
        requestHeaderModifier:
          set: [{name: X-Share, value: "2"}]
  - matches:
    - path: {type: PathPrefix, value: /moved}
    backendRefs:
    - name: v1
      port: 8080
      filters:
      - type: RequestRedirect
        requestRedirect: {hostname: new.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /there}}
    - {name: v2, port: 8080, weight: 0}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: infra}}
spec:
  ports:
  - {{port: 8080, targetPort: 3000}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: infra, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports:
- {{port: 3000}}
endpoints:
- addresses: [10.0.1.1]
"""


class Echo(Backend):
    """A backend that remembers the bodies it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(self._echo)

    def _echo(self, connection: Client, head: bytes) -> None:
        self.bodies.append(read_body(connection, head))
        connection.send(answer(b"%d" % self.port))


def resources(first: Backend, second: Backend) -> Iterator[ir.Resource]:
    """The manifests, as a worker's harness has its listener and endpoints."""
    result, found = translated(MANIFESTS + SERVICE.format(name="v1") + SERVICE.format(name="v2"))
    assert "findings" not in result
    ports = {"infra/v1:8080": first.port, "infra/v2:8080": second.port}
    yield ir.Listener("l", "127.0.0.1", 0, 80)
    for slot, each in enumerate(found.values()):
        match each:
            case ir.VirtualHost():
                yield replace(each, listener="l")
            case ir.Cluster():
                yield cluster(each.name, ports[each.name])
            case ir.Rule():
                yield replace(each, host="l|" + each.host.rpartition("|")[2], slot=slot, epoch=1)


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Proxy, Echo, Echo]]:
    with Echo() as first, Echo() as second, Proxy(resources(first, second)) as proxy:
        yield proxy, first, second


def test_everything_at_once(site: tuple[Proxy, Echo, Echo]) -> None:
    proxy, first, second = site
    before = proxy.vital(Vital.MIRRORED)
    body = b"a" * 50_000
    with proxy.client() as client:
        for _ in range(20):
            client.send(
                b"POST /all/x?y HTTP/1.1\r\nHost: old.example\r\nOrigin: https://a.example.com\r\nX-Gone: 1\r\n"
                b"X-Add: a\r\nx-set: old\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = client.head()
            assert client.body(len(str(first.port))) == b"%d" % first.port
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nAccess-Control-Allow-Origin: https://a.example.com\r\n" in head
            assert b"\r\nX-Version: 2\r\n" in head
    eventually(lambda: proxy.vital(Vital.MIRRORED) == before + 20)
    assert proxy.vital(Vital.MIRRORS_DROPPED) == 0
    assert first.bodies[-20:] == second.bodies[-20:] == [body] * 20
    assert sorted(first.heads[-20:]) == sorted(second.heads[-20:])  # they come over several connections
    fields = first.heads[-1].split(b"\r\n")
    assert fields[0] == b"POST /x?y HTTP/1.1"
    assert b"Host: new.example" in fields
    assert b"X-Forwarded-Host: old.example" in fields
    assert [line for line in fields if line.lower().startswith((b"x-set", b"x-add", b"x-gone"))] == [
        b"X-Add: a",
        b"X-Set: new",
        b"X-Add: b",
    ]


def test_answers_of_the_route_itself(site: tuple[Proxy, Echo, Echo]) -> None:
    proxy, first, _ = site
    before = len(first.heads)
    with proxy.client() as client:
        client.send(b"GET /go/x?y HTTP/1.1\r\nHost: old.example:8080\r\n\r\n")
        assert b"\r\nLocation: https://old.example/there?y\r\n" in client.head()
        client.send(b"GET /moved/x?y HTTP/1.1\r\nHost: old.example\r\n\r\n")
        assert b"\r\nLocation: http://new.example/there/x?y\r\n" in client.head()
        client.send(
            b"OPTIONS /all HTTP/1.1\r\nHost: h\r\nOrigin: https://a.b.example.com\r\n"
            b"Access-Control-Request-Method: PATCH\r\n\r\n"
        )
        head = client.head()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nAccess-Control-Allow-Methods: PATCH\r\n" in head
    assert len(first.heads) == before


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Origin: https://a.example.com\r\nAccess-Control-Request-Method: PUT\r\n", 200),
        (b"Origin: https://b.example.com\r\nAccess-Control-Request-Method: PUT\r\n", 403),
        (b"Origin: https://a.example.com\r\nAccess-Control-Request-Method: DELETE\r\n", 404),
        (b"Origin: https://a.example.com\r\n", 404),
        (b"Access-Control-Request-Method: PUT\r\n", 404),
    ],
)
@pytest.mark.parametrize("path", [b"/put/x", b"/own/x"], ids=["rule", "share"])
def test_a_preflight_goes_where_its_request_would(
    site: tuple[Proxy, Echo, Echo], path: bytes, fields: bytes, status: int
) -> None:
    proxy, first, _ = site
    before = len(first.heads)
    with proxy.client() as client:
        client.send(b"OPTIONS %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path, fields))
        assert client.head().startswith(b"HTTP/1.1 %d " % status)
    assert len(first.heads) == before


def test_each_share_says_whose_it_is(site: tuple[Proxy, Echo, Echo]) -> None:
    proxy, first, second = site
    with proxy.client() as client:
        for _ in range(40):
            status, body = client.get("/shares")
            assert status == 200
            number, backend = (1, first) if body == b"%d" % first.port else (2, second)
            assert b"\r\nX-Share: %d\r\n" % number in backend.heads[-1]


def test_a_dead_mirror_hurts_nobody() -> None:
    with Echo() as first:
        with Echo() as gone:
            made = list(resources(first, gone))
        with Proxy(made) as proxy, proxy.client() as client:
            for _ in range(20):
                assert client.get("/all")[0] == 200
            eventually(lambda: proxy.vital(Vital.MIRRORS_DROPPED) == 20)
            assert proxy.vital(Vital.MIRRORED) == 0
