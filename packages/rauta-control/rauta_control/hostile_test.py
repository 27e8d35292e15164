"""What malicious clients and broken backends send, through a real worker: nothing of it gets to the other side."""

from __future__ import annotations

import pytest

from rauta_control.proxyharness_test import GET, Client, Proxy, Put, Shared, answer, eventually, line

# -- requests


REFUSED = {
    "duplicate CL, same value": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        400,
    ),
    "duplicate CL, differing": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        400,
    ),
    "CL +3": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400),
    "CL -1": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
    "CL 3_0": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3_0\r\n\r\nabc", 400),
    "CL overflow": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\nabc", 400),
    "CL max": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\nabc", 400),
    "CL 3 4": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3 4\r\n\r\nabc", 400),
    "CL and TE": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "TE twice": (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "TE chunked, chunked": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "TE identity": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    "TE gzip, chunked": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "TE VT": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n", 400),
    "TE parameter": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400),
    "TE empty member": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", 400),
    "TE trailing comma": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 400),
    "TE on 1.0": (b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "space before colon": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "leading space on a field": (b"GET / HTTP/1.1\r\n Foo: x\r\nHost: h\r\n\r\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
    "obs-fold, empty first line": (b"GET / HTTP/1.1\r\nHost: h\r\nX:\r\n\tb\r\n\r\n", 400),
    "bare LF line ends": (b"GET / HTTP/1.1\nHost: h\n\r\n\r\n", 400),
    "bare LF in the head": (b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
    "bare CR in a value": (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
    "control in a value": (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\1b\r\n\r\n", 400),
    "NUL in a name": (b"GET / HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n", 400),
    "8-bit byte in a name": (b"GET / HTTP/1.1\r\nHost: h\r\nX\xff: a\r\n\r\n", 400),
    "empty name": (b"GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
    "Host with space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Host with user": (b"GET / HTTP/1.1\r\nHost: a@b/c\r\n\r\n", 400),
    "Host port": (b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
    "Host list": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "absolute-form, Host differs": (b"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "absolute-form https": (b"GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "GET *": (b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "no slash": (b"GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "fragment": (b"GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "TAB in the target": (b"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "NUL in the target": (b"GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "TAB as separator": (b"GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505),
    "HTTP/0.9 version": (b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505),
    "http/1.1": (b"GET / http/1.1\r\nHost: h\r\n\r\n", 400),
    "ICE": (b"GET / ICE/1.0\r\nHost: h\r\n\r\n", 400),
    "SOURCE": (b"SOURCE / ICE/1.0\r\nHost: h\r\n\r\n", 400),
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "lowercase method": (b"get / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "PRI preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "Expect: 200-ok": (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", 417),
    "Connection: Content-Length": (
        b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc",
        400,
    ),
    "Upgrade with a body": (
        b"POST / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 37\r\n\r\n"
        b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n ",
        400,
    ),
    "10,000 fields": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", 431),
    "1 MiB target": (b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    "60 KB field": (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 60_000 + b"\r\n\r\n", 431),
    "101 fields": (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
    "%00": (b"GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "%zz": (b"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "above the root": (b"GET /../../etc HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "backslash": (b"GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "escaped way above the root": (b"GET /%2e%2e/etc HTTP/1.1\r\nHost: h\r\n\r\n", 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_reaches_no_backend_and_the_next_client_is_served(shared: Shared, case: str) -> None:
    data, expected = REFUSED[case]
    before = len(shared.backend.heads)
    with shared.proxy.client() as client:
        client.send(data + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        status, body = client.response()
        assert (status, b'"reason"' in body) == (expected, True)
        assert client.rest() == b""
    with shared.proxy.client() as client:
        assert client.get("/next") == (200, b"/next 0")
    assert len(shared.backend.heads) == before + 1
    assert not shared.backend.stray


BAD_BODIES = {
    "chunk-ext with bare LF": b"3;\nabc\r\n0\r\n\r\n",
    "chunk-ext 64 KiB": b"3;" + b"x" * 65_536 + b"\r\nabc\r\n0\r\n\r\n",
    "chunk size line ends LF": b"3\nabc\r\n0\r\n\r\n",
    "chunk data no CRLF": b"3\r\nabc0\r\n\r\n",
    "last chunk 0 LF": b"0\n\r\n",
    "chunk size 0x3": b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size +3": b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk size 3 SP": b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "trailer Content-Length": b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_bad_chunked_body_is_refused_and_never_ends_for_the_backend(shared: Shared, behind: Put, case: str) -> None:
    bodies: list[bytes] = []
    backend = behind(lambda connection, _: bodies.append(connection.rest()))
    with shared.proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(BAD_BODIES[case] + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.response()[0] == 400
        assert client.rest() == b""
    eventually(lambda: len(bodies) == len(backend.heads))
    assert not any(b"0\r\n\r\n" in body or b"smuggled" in body for body in bodies)


FORWARDED = {
    "CL 003": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc", b"Content-Length: 3\r\n", b"/ 3"),
    "TE CHUNKED": (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"",
        b"/ 3",
    ),
    "chunk extension": (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
        b"",
        b"/ 3",
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\nHost: evil\r\n\r\n",
        b"",
        b"/ 3",
    ),
    "obs-text": (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\xffb\r\n\r\n", b"X: a\xffb\r\n", b"/ 0"),
    "leading CRLF": (b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", b"", b"/ 0"),
    "absolute-form": (b"GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /x HTTP/1.1\r\n", b"/x 0"),
    "dot segments": (b"GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /b HTTP/1.1\r\n", b"/b 0"),
    "escaped dots": (b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /b HTTP/1.1\r\n", b"/b 0"),
    "escaped slash": (b"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", b"", b"/a%2Fb 0"),
    "8 KB target": (b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"x" * 8_000), b"", b"/" + b"x" * 8_000 + b" 0"),
    "h2c": (
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAM\r\n\r\n",
        b"",
        b"/ 0",
    ),
    "hop-by-hop": (
        b"GET / HTTP/1.1\r\nHost: h\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nConnection: X-Foo\r\n"
        b"X-Foo: bar\r\n\r\n",
        b"",
        b"/ 0",
    ),
}


@pytest.mark.parametrize("case", FORWARDED)
def test_what_is_legal_is_forwarded_in_its_plainest_form(shared: Shared, case: str) -> None:
    data, expected, body = FORWARDED[case]
    with shared.proxy.client() as client:
        assert client.send(data).response() == (200, body)
        head = shared.backend.heads[-1]
        assert expected in head
        assert head.count(b"\r\nHost: h\r\n") == 1
        for hidden in (b"upgrade", b"http2-settings", b"keep-alive", b"\r\nte:", b"x-foo", b"connection", b"evil"):
            assert hidden not in head.lower()
        assert client.get("/next") == (200, b"/next 0")


# -- responses


JUNK = {
    "garbage": b"evil garbage\r\n\r\nevil",
    "HTTP/0.9": b"<html>evil</html>",
    "huge head": b"HTTP/1.1 200 OK\r\nX: " + b"evil" * 20_000 + b"\r\n\r\n",
    "CL and TE": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
    "duplicate CL": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: evil\revil\r\nContent-Length: 4\r\n\r\nevil",
    "bare LF": b"HTTP/1.1 200 OK\nX: evil\nContent-Length: 4\n\nevil",
    "obs-fold": b"HTTP/1.1 200 OK\r\nX: a\r\n evil\r\nContent-Length: 4\r\n\r\nevil",
    "NUL in the phrase": b"HTTP/1.1 200 O\0K\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "status 999": b"HTTP/1.1 999 Evil\r\nContent-Length: 4\r\n\r\nevil",
    "status 99": b"HTTP/1.1 99 Evil\r\nContent-Length: 4\r\n\r\nevil",
    "TE gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nevil",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: upgrade\r\n\r\nevil",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nX: evil",
}


@pytest.mark.parametrize("case", JUNK)
def test_a_bad_response_is_502_and_the_client_goes_on(proxy: Proxy, behind: Put, case: str) -> None:
    def handler(connection: Client, head: bytes) -> bool:
        good = b"/good" in head
        connection.send(answer() if good else JUNK[case])
        return good

    backend = behind(handler)
    with proxy.client() as client:
        for _ in range(2):
            status, body = client.send(b"POST /bad HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").response()
            assert status == 502
            assert b"evil" not in body
            assert client.get("/good") == (200, b"ok")
        assert not client.data
    assert sum(b"/bad" in head for head in backend.heads) == 2


@pytest.mark.parametrize(
    "response",
    [
        answer(b"ok") + answer(b"evil"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + answer(b"evil"),
        answer(b"ok") + b"evil",
    ],
)
def test_extra_bytes_leak_into_no_other_response(proxy: Proxy, behind: Put, response: bytes) -> None:
    behind(lambda connection, _: connection.send(response))
    with proxy.client() as client:
        for _ in range(200):
            client.send(GET)
            head = client.head()
            if b"chunked" in head:
                assert [line(client) for _ in range(4)] == [b"2", b"ok", b"0", b""]
            else:
                assert client.body(2) == b"ok"
            assert not client.data
