"""Requests that proxies have been broken with. Pure.

Sources: RFC 9110 and 9112, the advisories of proxies and parsers of the last years, and what five proxies were seen to
differ in. Each line says what an edge proxy should do.
"""

from .case import Case

HOST = b"Host: a\r\n"


def _refused(name: str, sent: bytes, *statuses: int) -> Case:
    return Case(name, sent, (frozenset(statuses or (400,)),))


def _passed(name: str, sent: bytes, saw: bytes = b"", hidden: bytes = b"", answers: int = 1) -> Case:
    return Case(name, sent, (frozenset((200,)),) * answers, answers, saw, hidden)


def _get(target: bytes = b"/", fields: bytes = HOST, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %b %b\r\n%b\r\n" % (target, version, fields)


def _line(line: bytes, fields: bytes = HOST) -> bytes:
    return b"%b\r\n%b\r\n" % (line, fields)


def _post(fields: bytes, body: bytes = b"abc", line: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"%b\r\n%b%b\r\n%b" % (line, HOST, fields, body)


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked\r\n", body)


TRAILERS = b"TE: trailers\r\nConnection: TE\r\n"
SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

HIDDEN = _get(b"/smuggled")

LENGTHS = [
    *(
        _refused(f"Content-Length {value!r}", _post(b"Content-Length: %b\r\n" % value.encode("latin-1")))
        for value in (
            *("+3", "-1", "3_0", "0x3", "3.0", "3e0", "3, 3", "3,", "3 4", "", '"3"', "\xb3", "3\x0b", "\xa03"),
            *("-0", "3;", "3\x0c", "3L", "0b11", "3 ,3", "0,3", ",3", "\x1c3", "3\x1f", "3\0", "(3)", "3/3"),
        )
    ),
    _refused("Content-Length twice, the same", _post(b"Content-Length: 3\r\nContent-Length: 3\r\n")),
    _refused("Content-Length twice, differing", _post(b"Content-Length: 3\r\nContent-Length: 4\r\n")),
    _refused("Content-Length 2^64", _post(b"Content-Length: 18446744073709551616\r\n"), 400, 413),
    _refused("Content-Length 2^64-1", _post(b"Content-Length: 18446744073709551615\r\n"), 400, 413),
    _refused("Content-Length space before colon", _post(b"Content-Length : 3\r\n")),
    _refused("Content-Length folded", _post(b"Content-Length:\r\n 3\r\n")),
    _refused("Content-Length 3 and an empty one", _post(b"Content-Length: 3\r\nContent-Length:\r\n")),
    _refused("Content-Length 3, bare CR and another", _post(b"Content-Length: 3\rContent-Length: 5\r\n")),
    _refused("Content-Length with a dash that is no hyphen", _post(b"Content\xe2\x80\x93Length: 3\r\n")),
    _refused("Content_Length", _post(b"Content_Length: 3\r\n", b"")),
    _refused("Content.Length", _post(b"Content.Length: 3\r\n", b"")),
    _refused("Content-Length of 40 digits", _post(b"Content-Length: %040d\r\n" % 3)),
    _passed("Content-Length 003 (legal)", _post(b"Content-Length: 003\r\n"), saw=b"content-length: 3\r\n"),
    _passed("Content-Length 0 on GET (legal)", _get(fields=HOST + b"Content-Length: 0\r\n")),
    *(
        _passed(
            f"{method.decode()} with a body that looks like a request (legal)",
            _line(method + b" / HTTP/1.1", HOST + b"Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
        )
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
    ),
    _passed("GET with a body (legal)", _get(fields=HOST + b"Content-Length: 3\r\n") + b"abc", saw=b"\r\n\r\nabc"),
]

CODINGS = [
    *(
        _refused(
            f"Transfer-Encoding {value!r}", _post(b"Transfer-Encoding: %b\r\n" % value.encode("latin-1"), SMUGGLED)
        )
        for value in (
            *("chunked, chunked", "identity", "chunked\x0b", "\x0bchunked", "chunked;a=b", ", chunked"),
            *("chunked,", "xchunked", "chunkedx", '"chunked"', "chunked, identity", "chunked\xa0"),
            *("chunk ed", "", "chunked\x0c", "chunked;", "'chunked'", "chunked\x85", "gzip;q=1, chunked"),
            *("identity, chunked", "gzip", "gzip chunked", "chunked (x)", "[chunked]", "chunked/1", ",", "chun\0ked"),
        )
    ),
    _refused("Transfer-Encoding gzip, chunked (legal)", _post(b"Transfer-Encoding: gzip, chunked\r\n", SMUGGLED), 501),
    _refused("Content-Length and chunked", _post(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", SMUGGLED)),
    _refused("chunked and Content-Length", _post(b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", SMUGGLED)),
    _refused("Content-Length 0 and chunked", _post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", SMUGGLED)),
    _refused(
        "Transfer-Encoding empty, and chunked", _post(b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", SMUGGLED)
    ),
    _refused(
        "Transfer-Encoding chunked, and folded identity",
        _post(b"Transfer-Encoding: chunked\r\n , identity\r\n", SMUGGLED),
    ),
    _refused("Transfer-Encoding twice", _post(b"Transfer-Encoding: chunked\r\n" * 2, SMUGGLED)),
    _refused("Transfer-Encoding space before colon", _post(b"Transfer-Encoding : chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding folded", _post(b"Transfer-Encoding:\r\n chunked\r\n", SMUGGLED)),
    _refused("Transfer_Encoding", _post(b"Transfer_Encoding: chunked\r\n", SMUGGLED)),
    _refused("Transfer.Encoding", _post(b"Transfer.Encoding: chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding and NUL", _post(b"Transfer-Encoding\0: chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding and two colons", _post(b"Transfer-Encoding:: chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding after bare CR", _post(b"X: y\rTransfer-Encoding: chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding after bare LF", _post(b"X: y\nTransfer-Encoding: chunked\r\n", SMUGGLED)),
    _refused("Transfer-Encoding on HTTP/1.0", _post(b"Transfer-Encoding: chunked\r\n", SMUGGLED, b"POST / HTTP/1.0")),
    _passed("Transfer-Encoding CHUNKED (legal)", _post(b"Transfer-Encoding: CHUNKED\r\n", b"3\r\nabc\r\n0\r\n\r\n")),
]

FIELDS = [
    _refused("space on the first field line", _get(fields=b" Foo: x\r\n" + HOST)),
    _refused("folded field", _get(fields=HOST + b"X: a\r\n b\r\n")),
    _refused("folded field, first line empty", _get(fields=HOST + b"X:\r\n\tb\r\n")),
    _refused("bare LF line endings", b"GET / HTTP/1.1\nHost: a\n\n"),
    _refused("bare LF ends the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    _refused("bare LF ends a field", _get(fields=b"Host: a\nX: y\r\n")),
    _refused("bare CR in a value", _get(fields=HOST + b"X: a\rb\r\n")),
    _refused("NUL in a value", _get(fields=HOST + b"X: a\0b\r\n")),
    _refused("0x01 in a value", _get(fields=HOST + b"X: a\x01b\r\n")),
    _refused("DEL in a value", _get(fields=HOST + b"X: a\x7fb\r\n")),
    _refused("NUL in a name", _get(fields=HOST + b"X\0: a\r\n")),
    _refused("8-bit byte in a name", _get(fields=HOST + b"X\xe9: a\r\n")),
    _refused("empty name", _get(fields=HOST + b": a\r\n")),
    _refused("no colon", _get(fields=HOST + b"Foo\r\n")),
    _refused("a line of one space", _get(fields=HOST + b" \r\n")),
    _refused("a line of one CR", _get(fields=HOST + b"\r\r\n")),
    _refused("LF CR ends a field", b"GET / HTTP/1.1\r\nHost: a\n\rX: y\r\n\r\n"),
    _refused("CR CR LF ends a field", _get(fields=HOST + b"X: y\r\r\n")),
    _refused("pseudo-header", _get(fields=HOST + b":authority: b\r\n")),
    _refused("request line for a field", _get(fields=HOST + b"GET http://a/smuggled HTTP/1.1\r\n")),
    _refused("10,000 fields", _get(fields=HOST + b"a: b\r\n" * 10_000), 431),
    _refused("101 fields", _get(fields=HOST + b"a: b\r\n" * 100), 431),
    _refused("60 KB field", _get(fields=HOST + b"X: " + b"a" * 60_000 + b"\r\n"), 431),
    _passed("0xff in a value (legal)", _get(fields=HOST + b"X: \xff\r\n"), saw=b"x: \xff\r\n"),
    _passed("empty lines before the request line (legal)", b"\r\n\r\n" + _get()),
]

HOSTS = [
    _refused("no Host", _get(fields=b"")),
    _refused("two Hosts", _get(fields=HOST + b"Host: b\r\n")),
    _refused("Host and a folded Host", _get(fields=HOST + b" Host: b\r\n")),
    _refused("Host space before colon", _get(fields=b"Host : a\r\n")),
    _refused("Host empty", _get(fields=b"Host:\r\n")),
    *(
        _refused(f"Host {value}", _get(fields=b"Host: %b\r\n" % value.encode()))
        for value in (
            *("a b", "a@b/c", "a, b", "a:99999", "a:8a", "u@a", "a/b", "a?b", "a\\b", "[::1", "a:80:80", ".."),
            *(
                *("a%62", "*", "*.a", 'a"b', "a;b", "[1.2.3.4]", "[::1%25lo]", "[::1]a", "a..", ".a"),
                *("a:+80", "a: 80", "::1", "http://a", "a..b", "a:80.", ":80", "[v1.x]", "[]", "a|b"),
                *("a{b}", "a+b"),
            ),
        )
    ),
    _refused("absolute-form, Host differs", _get(b"http://b/")),
    _refused("absolute-form of https on a plain listener", _get(b"https://a/")),
    _refused("absolute-form with userinfo", _get(b"http://u@a/")),
    _refused("absolute-form without a host", _get(b"http:///x")),
    _refused("absolute-form of ftp", _get(b"ftp://a/")),
    *(
        _refused(f"absolute-form {target.decode()}", _get(target))
        for target in (
            b"http://a\\@b/",
            b"http://a@b/",
            b"http://a#@b/",
            b"http:a",
            b"http:/a/",
            b"ws://a/",
            b"http://a./",
        )
    ),
    _passed("absolute-form with an @ in the query (legal)", _get(b"http://a?@b/"), saw=b"GET /?@b/ HTTP/1.1"),
    _refused("absolute-form above the root", _get(b"http://a/../../x")),
    _passed("absolute-form (legal)", _get(b"http://a/x"), saw=b"GET /x HTTP/1.1"),
    _passed("absolute-form of OPTIONS * (legal)", _line(b"OPTIONS http://a HTTP/1.1"), saw=b"OPTIONS * HTTP/1.1"),
    _passed("Host with port (legal)", _get(fields=b"Host: a:80\r\n"), saw=b"host: a:80\r\n"),
]

LINES = [
    _refused("CONNECT", _line(b"CONNECT a:443 HTTP/1.1"), 405, 501),
    _refused("CONNECT with a body", _post(b"Content-Length: 3\r\n", line=b"CONNECT a:443 HTTP/1.1"), 400, 405),
    _refused("CONNECT to a path", _line(b"CONNECT / HTTP/1.1"), 400, 405),
    _refused("OPTIONS *?x", _line(b"OPTIONS *?x HTTP/1.1")),
    _refused("TRACE chunked", _post(b"Transfer-Encoding: chunked\r\n", SMUGGLED, b"TRACE / HTTP/1.1"), 400, 405),
    _refused("TRACE with a body", _post(b"Content-Length: 3\r\n", line=b"TRACE / HTTP/1.1"), 400, 405),
    _refused("method PLAY", _line(b"PLAY / HTTP/1.1"), 501),
    _refused("method with a quote", _line(b'"GET" / HTTP/1.1')),
    _refused("target without slash", _get(b"x")),
    _refused("fragment in the target", _get(b"/x#f")),
    _refused("TAB in the target", _get(b"/a\tb")),
    _refused("NUL in the target", _get(b"/a\0b")),
    _refused("8-bit byte in the target", _get(b"/\xe9")),
    _refused("GET *", _get(b"*")),
    _refused("two spaces", _line(b"GET  / HTTP/1.1")),
    _refused("TAB for a space", _line(b"GET\t/\tHTTP/1.1")),
    _refused("space after the version", _line(b"GET / HTTP/1.1 ")),
    _refused("HTTP/0.9 request", b"GET /\r\n\r\n"),
    _refused("HTTP/1.2", _line(b"GET / HTTP/1.2"), 505),
    _refused("HTTP/0.9 as a version", _line(b"GET / HTTP/0.9"), 505),
    *(
        _refused(f"{version} as a version", _line(b"GET / %b" % version.encode("latin-1")))
        for version in (
            *("HTTP/01.1", "HTTP/1.10", "HTTP/1,1", "HTTP/ 1.1", "HTTPS/1.1", "RTSP/1.0", "HTTP/1.1 x"),
            *("HTTP/1.1.1", "HTTP/1.1;", "HTTP/+1.1", "HTTP/1.1 HTTP/1.0", "HTTP/1."),
        )
    ),
    _refused("http/1.1", _line(b"GET / http/1.1")),
    _refused("ICE/1.0", _line(b"GET / ICE/1.0")),
    _refused("SOURCE and ICE/1.0", _line(b"SOURCE / ICE/1.0")),
    _refused("method FOO", _line(b"FOO / HTTP/1.1"), 501),
    _refused("method get", _line(b"get / HTTP/1.1"), 400, 501),
    _refused("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _refused("PRI / HTTP/1.1", _line(b"PRI / HTTP/1.1"), 400, 501),
    *(
        _refused(f"{first!r} before the request line"[1:], first + _get())
        for first in (b"\r", b"\r\n ", b"\0", b"\xef\xbb\xbf", b"\r\r\n", b"0\r\n\r\n")
    ),
    _refused("leading LF", b"\n" + _get()),
    _refused("line of the PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + _get()),
    _refused("ClientHello without TLS", bytes.fromhex("160301007b01000077 0303") + bytes(range(100, 200))),
    _refused("1 MiB target", _get(b"/" + b"a" * 2**20), 414),
    _refused("%00 in the path", _get(b"/a%00b")),
    _refused("broken escape in the path", _get(b"/a%zz")),
    _refused("path above the root", _get(b"/../../etc")),
    _refused("path above the root, escaped", _get(b"/%2e%2e/etc")),
    _refused("backslash in the path", _get(b"/a\\..\\b")),
    *(
        _refused(f"path {path.decode()}", _get(path))
        for path in (
            *(b"/a/..%2fb", b"/a/..;/b", b"/%5c", b"/%c0%ae%c0%ae/b", b"/a/..%c0%afb"),
            *(b"/a/%f0%80%80%ae%f0%80%80%ae/b", b"/a/..%c1%9cb", b"/%u0041", b"/a/.%2e/%2e."),
            *(b"/a/..%3b/b", b"/a%2f..%2fb", b"/.%2f", b"/%2e%2e?x", b"/a/%e0%80%ae./b"),
        )
    ),
    _passed("dot segments", _get(b"/a/../b"), saw=b"GET /b HTTP/1.1"),
    _passed("escaped dot segments", _get(b"/a/%2e%2e/b"), saw=b"GET /b HTTP/1.1"),
    _passed("escaped slash", _get(b"/a%2fb"), saw=b"GET /a%2fb HTTP/1.1"),
    _passed("8 KB target (legal)", _get(b"/" + b"a" * 8_000)),
]

CHUNKS = [
    _passed("chunk extension (legal)", _chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n"), hidden=b"a=b"),
    _passed("chunk data that looks like a request (legal)", _chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN))),
    *(
        _passed(
            f"trailer {name.decode()}, asked for",
            _post(TRAILERS + b"Transfer-Encoding: chunked\r\n", b"0\r\nX: y\r\n%b: evil\r\n\r\n" % name),
            saw=b"\r\nx: y\r\n",
            hidden=b"evil",
        )
        for name in (b"Content_Length", b"Transfer.Encoding", b"Authorization", b"X_Forwarded_For", b"Connection")
    ),
    _passed("trailer field (legal)", _chunked(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"), hidden=b"x: y"),
    _passed("trailer Host", _chunked(b"3\r\nabc\r\n0\r\nHost: evil\r\n\r\n"), hidden=b"evil"),
    *(
        Case(name, _chunked(body), (frozenset((400,)),), 1, hidden=b"smuggled")
        for name, body in (
            ("chunk extension with bare LF", b"3;\nabc\r\n" + SMUGGLED),
            ("chunk extension of 64 KiB", b"3;" + b"a" * 65_536 + b"\r\nabc\r\n0\r\n\r\n"),
            ("chunk size line ends in LF", b"3\nabc\r\n" + SMUGGLED),
            ("chunk data without CRLF", b"3\r\nabc" + SMUGGLED),
            ("chunk data ends in LF", b"3\r\nabc\n" + SMUGGLED),
            ("last chunk 0 LF CRLF", b"3\r\nabc\r\n0\n\r\n"),
            ("chunk size 0x3", b"0x3\r\nabc\r\n" + SMUGGLED),
            ("chunk size +3", b"+3\r\nabc\r\n" + SMUGGLED),
            ("chunk size -3", b"-3\r\nabc\r\n" + SMUGGLED),
            ("chunk size 3 and a space", b"3 \r\nabc\r\n" + SMUGGLED),
            ("space before the chunk size", b" 3\r\nabc\r\n" + SMUGGLED),
            ("chunk size empty", b"\r\nabc\r\n" + SMUGGLED),
            ("chunk size of 17 digits", b"10000000000000003\r\nabc\r\n" + SMUGGLED),
            ("bare CR in a chunk extension", b"3;a\rb\r\nabc\r\n" + SMUGGLED),
            ("trailer Content-Length", b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"),
            ("trailer without colon", b"3\r\nabc\r\n0\r\nFoo\r\n\r\n"),
            ("trailer Transfer-Encoding", b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("trailer folded", b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n"),
            ("trailer space before colon", b"3\r\nabc\r\n0\r\nX : y\r\n\r\n"),
            ("trailer with bare LF", b"3\r\nabc\r\n0\r\nX: y\n\r\n"),
            ("trailer with NUL", b"3\r\nabc\r\n0\r\nX: y\0\r\n\r\n"),
            ("trailers of 64 KiB", b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 11_000 + b"\r\n"),
            ("space before a chunk extension", b"3 ;a\r\nabc\r\n" + SMUGGLED),
            ("CRLF in a quoted chunk extension", b'3;a="\r\nb"\r\nabc\r\n' + SMUGGLED),
            ("NUL in a chunk extension", b"3;a\0\r\nabc\r\n" + SMUGGLED),
            ("chunk size 3 and a TAB", b"3\t\r\nabc\r\n" + SMUGGLED),
            ("chunk size 3 and NUL", b"3\0\r\nabc\r\n" + SMUGGLED),
            ("chunk size 3_0", b"3_0\r\nabc\r\n" + SMUGGLED),
            ("chunk size 3g", b"3g\r\nabc\r\n" + SMUGGLED),
            ("chunk size line ends in CR CR LF", b"3\r\r\nabc\r\n" + SMUGGLED),
            ("chunk data ends in CR CR LF", b"3\r\nabc\r\r\n" + SMUGGLED),
            ("chunk extension with bare LF, another length", b"2;\nxx\r\n45\r\n0\r\n\r\n" + HIDDEN),
            ("chunk extension with CR CR LF", b"3;a\r\r\nabc\r\n" + SMUGGLED),
            ("CR alone ends the chunk size", b"3\rabc\r\n" + SMUGGLED),
            ("CR alone ends chunk data", b"3\r\nabc\r" + SMUGGLED),
            ("two NULs end chunk data", b"3\r\nabc\0\0" + SMUGGLED),
            ("space after chunk data", b"3\r\nabc \r\n" + SMUGGLED),
            ("chunk data too long", b"3\r\nabcd\r\n" + SMUGGLED),
            ("chunk data too short", b"5\r\nabc\r\n" + SMUGGLED),
            ("empty line between chunks", b"3\r\nabc\r\n\r\n" + SMUGGLED),
            ("chunk size of 5,000 digits", b"0" * 5_000 + b"3\r\nabc\r\n" + SMUGGLED),
            ("chunk size of one fullwidth digit", b"\xef\xbc\x93\r\nabc\r\n" + SMUGGLED),
            ("last chunk 0 CRLF LF", b"3\r\nabc\r\n0\r\n\n" + HIDDEN),
            ("trailer that is a request", b"0\r\n" + HIDDEN),
            ("trailer with bare CR", b"0\r\nX: y\rz\r\n\r\n"),
            ("trailer with an empty name", b"0\r\n: y\r\n\r\n"),
            ("20,000 chunks of one byte", b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"),
            ("last chunk -0", b"-0\r\n\r\n"),
            ("last chunk 0x0", b"0x0\r\n\r\n"),
        )
    ),
]

CONNECTIONS = [
    _passed(
        "Upgrade to h2c",
        _get(
            fields=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        ),
        hidden=b"h2c",
    ),
    _refused("Upgrade with a body", _post(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n")),
    _refused(
        "Upgrade with a chunked body",
        _post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", SMUGGLED),
    ),
    _refused("Upgrade that Connection does not name, with a body", _post(b"Upgrade: x\r\nContent-Length: 3\r\n")),
    Case(
        "Upgrade to h2c, and its preface at once",
        _get(fields=HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (frozenset((200,)), frozenset((400,))),
        1,
        hidden=b"PRI",
    ),
    _refused("Connection: Content-Length", _post(b"Content-Length: 3\r\nConnection: Content-Length\r\n")),
    _refused("Connection: Host", _get(fields=HOST + b"Connection: Host\r\n")),
    _refused("Connection: X-Forwarded-For", _get(fields=HOST + b"Connection: X-Forwarded-For\r\n")),
    *(
        _refused(f"Connection: {name}", _get(fields=HOST + b"Connection: %b\r\n" % name.encode()))
        for name in ("Transfer-Encoding", "Authorization", "Cookie", "X-Forwarded-Proto", "close, Host", "Trailer")
    ),
    _passed("Connection names the request line", _get(fields=HOST + b"Connection: GET / HTTP/1.1\r\n"), saw=b"GET / "),
    _refused("X_Forwarded_For", _get(fields=HOST + b"X_Forwarded_For: 6.6.6.6\r\n")),
    _refused("X.Forwarded.Host", _get(fields=HOST + b"X.Forwarded.Host: evil\r\n")),
    _refused("Expect: 100-continue, x", _post(b"Content-Length: 3\r\nExpect: 100-continue, x\r\n"), 417),
    _refused("Expect: 200-ok", _post(b"Content-Length: 3\r\nExpect: 200-ok\r\n"), 417),
    _refused("Expect empty", _post(b"Content-Length: 3\r\nExpect:\r\n"), 417),
    _refused("Expect twice, one unknown", _post(b"Content-Length: 3\r\nExpect: 100-continue\r\nExpect: x\r\n"), 417),
    _refused("Max-Forwards: 0", _line(b"OPTIONS / HTTP/1.1", HOST + b"Max-Forwards: 0\r\n"), 200, 204, 405, 483, 502),
    _passed(
        "request after Connection: close",
        _get(fields=HOST + b"Connection: close\r\n") + _get(b"/second"),
        hidden=b"second",
    ),
    Case(
        "a bad request after a good one",
        _get(b"/1") + _get(b"/2", b"Host: a b\r\n") + _get(b"/smuggled"),
        (frozenset((200,)), frozenset((400,))),
        1,
        hidden=b"smuggled",
    ),
    _passed(
        "bytes after a body",
        _post(b"Content-Length: 3\r\n", b"abc\r\n\r\n") + _get(b"/2"),
        answers=2,
    ),
    _passed("two pipelined requests (legal)", _get(b"/1") + _get(b"/2"), answers=2),
    _passed(
        "HTTP/1.0 keep-alive and a second request (legal)",
        _get(b"/1", HOST + b"Connection: keep-alive\r\n", b"HTTP/1.0") + _get(b"/2", HOST, b"HTTP/1.0"),
        answers=2,
    ),
    _passed(
        "hop-by-hop fields",
        _get(fields=HOST + b"Connection: X-Foo\r\nX-Foo: hop\r\nKeep-Alive: 9\r\nProxy-Connection: x\r\nTE: gzip\r\n"),
        hidden=b"hop",
    ),
    _passed("X-Forwarded-For of a stranger", _get(fields=HOST + b"X-Forwarded-For: 6.6.6.6\r\n"), hidden=b"6.6.6.6"),
    _passed("X-Forwarded of a stranger", _get(fields=HOST + b"X-Forwarded: 6.6.6.6\r\n"), hidden=b"6.6.6.6"),
    _passed("X-Real-IP of a stranger", _get(fields=HOST + b"X-Real-IP: 6.6.6.6\r\n"), hidden=b"6.6.6.6"),
    _passed("Forwarded of a stranger", _get(fields=HOST + b"Forwarded: for=6.6.6.6\r\n"), hidden=b"6.6.6.6"),
    _passed(
        "Expect: 100-continue, body at once (legal)",
        _post(b"Content-Length: 3\r\nExpect: 100-continue\r\n"),
        saw=b"abc",
    ),
]

REQUESTS = (*LENGTHS, *CODINGS, *FIELDS, *HOSTS, *LINES, *CHUNKS, *CONNECTIONS)
