"""Responses that proxies have been broken with: what a client may see of them. Pure."""

from .case import Case

BAD = (frozenset((502,)),)
FINE = (frozenset((200,)),)


def _refused(name: str, sent: bytes) -> Case:
    return Case(name, sent, BAD, 1)


def _passed(name: str, sent: bytes, hidden: bytes = b"") -> Case:
    return Case(name, sent, FINE, 1, hidden=hidden)


def _ok(fields: bytes, body: bytes = b"ok", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"%b\r\n%b\r\n%b" % (line, fields, body)


RESPONSES = (
    _refused("garbage", b"garbage\r\n\r\n"),
    _refused("garbage, and no blank line", b"garbage\r\nContent-Length: 2\r\n"),
    _refused("HTTP/2.0, and no blank line", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n"),
    _refused("HTTP/0.9", b"<html>hello</html>\r\n\r\n"),
    _refused("HTTP/2.0", _ok(b"Content-Length: 2\r\n", line=b"HTTP/2.0 200 OK")),
    _refused("status 99", _ok(b"Content-Length: 2\r\n", line=b"HTTP/1.1 99 OK")),
    _refused("status 0200", _ok(b"Content-Length: 2\r\n", line=b"HTTP/1.1 0200 OK")),
    _refused("status 999", _ok(b"Content-Length: 2\r\n", line=b"HTTP/1.1 999 OK")),
    *(
        _refused(f"status line {line.decode()!r}", _ok(b"Content-Length: 2\r\n", line=line))
        for line in (
            *(b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 200OK", b"HTTP/1.1\t200 OK", b"http/1.1 200 OK"),
            *(b"HTTP/1.10 200 OK", b"ICY 200 OK", b"\r\nHTTP/1.1 200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r"),
            *(b"HTTP/1.1 +200 OK", b"HTTP/1.1 020 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 OK", b"HTTP/1.1 200 O\rK"),
            *(b"HTTP/1.1 200 \x7f", b"HTTP/1.2 200 OK", b"HTTP/1 200 OK", b"GET / HTTP/1.1", b"\0HTTP/1.1 200 OK"),
        )
    ),
    Case("nothing", b"", BAD, 2),  # a GET on a connection that was kept: it may have been dead, so once more
    _refused("a head that is cut off", b"HTTP/1.1 200 OK\r\nX: y\r\n"),
    _refused("escape sequence in the reason phrase", _ok(b"Content-Length: 2\r\n", line=b"HTTP/1.1 200 \x1b[31m")),
    _refused("NUL in the reason phrase", _ok(b"Content-Length: 2\r\n", line=b"HTTP/1.1 200 O\0K")),
    _refused("Content-Length and chunked", _ok(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    _refused("Content-Length twice", _ok(b"Content-Length: 2\r\nContent-Length: 3\r\n")),
    _refused("Content-Length 2, 2", _ok(b"Content-Length: 2, 2\r\n")),
    _refused("Content-Length -1", _ok(b"Content-Length: -1\r\n")),
    _refused("Content-Length 0x2", _ok(b"Content-Length: 0x2\r\n")),
    _refused("Content-Length empty", _ok(b"Content-Length:\r\n")),
    _refused("Content-Length +2", _ok(b"Content-Length: +2\r\n")),
    _refused("Content-Length 0, and 2", _ok(b"Content-Length: 0\r\nContent-Length: 2\r\n")),
    _refused("Content-Length 2,", _ok(b"Content-Length: 2,\r\n")),
    _refused("Content-Length 2^64+2", _ok(b"Content-Length: 18446744073709551618\r\n")),
    _refused("Content-Length folded", _ok(b"Content-Length:\r\n 2\r\n")),
    _refused("Content-Length twice, of 304", _ok(b"Content-Length: 2\r\n" * 2, b"", b"HTTP/1.1 304 N")),
    _refused("Transfer-Encoding gzip, of 204", _ok(b"Transfer-Encoding: gzip\r\n", b"", b"HTTP/1.1 204 N")),
    _refused("Transfer-Encoding ,chunked", _ok(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n")),
    _refused("Transfer-Encoding chunked;q=1", _ok(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n")),
    _refused("Transfer-Encoding gzip", _ok(b"Transfer-Encoding: gzip\r\n")),
    _refused("Transfer-Encoding chunked, gzip", _ok(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n")),
    _refused("Transfer-Encoding twice", _ok(b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\n")),
    _refused("Transfer-Encoding identity and a length", _ok(b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n")),
    _refused("Transfer-Encoding on HTTP/1.0", _ok(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.0 200 OK")),
    _refused("Transfer-Encoding space before colon", _ok(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")),
    _refused("folded field", _ok(b"X: a\r\n b\r\nContent-Length: 2\r\n")),
    _refused("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n"),
    _refused("bare CR in a value", _ok(b"X: a\rb\r\nContent-Length: 2\r\n")),
    _refused("0x0b in a value", _ok(b"X: a\x0bb\r\nContent-Length: 2\r\n")),
    _refused("8-bit byte in a name", _ok(b"X\xe9: a\r\nContent-Length: 2\r\n")),
    _refused("NUL in a value", _ok(b"X: a\0b\r\nContent-Length: 2\r\n")),
    _refused("space before a colon", _ok(b"X : a\r\nContent-Length: 2\r\n")),
    _refused("empty name", _ok(b": a\r\nContent-Length: 2\r\n")),
    _refused("status line for a field", _ok(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")),
    _refused("a line of one space", _ok(b"Content-Length: 2\r\n \r\n")),
    _refused("no colon", _ok(b"Foo\r\nContent-Length: 2\r\n")),
    _refused("head ends in CRLF LF", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"),
    _refused("head of 1 MiB", _ok(b"X: " + b"a" * 2**20 + b"\r\nContent-Length: 2\r\n")),
    _refused("101 that nobody asked for", _ok(b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"", b"HTTP/1.1 101 S")),
    _refused("garbage after an interim response", b"HTTP/1.1 103 E\r\n\r\ngarbage\r\n\r\n"),
    _refused(
        "interim response with a body",
        b"HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\nok" + _ok(b"Content-Length: 2\r\n"),
    ),
    _refused("interim response with a chunked body", b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    _refused("half a head after an interim response", b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\n"),
    _refused("eleven interim responses", b"HTTP/1.1 103 E\r\n\r\n" * 11 + _ok(b"Content-Length: 2\r\n")),
    _passed("a second response", _ok(b"Content-Length: 2\r\n") * 2),
    _passed("bytes after the response", _ok(b"Content-Length: 2\r\n", b"okHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n")),
    Case("204 with a body", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nabcde", (frozenset((204,)),), 1),
    _passed("Connection names the status line", _ok(b"Content-Length: 2\r\nConnection: HTTP/1.1 200 OK\r\n")),
    _passed("until it closes (legal)", b"HTTP/1.1 200 OK\r\n\r\nok"),
    _passed("HTTP/1.0 (legal)", b"HTTP/1.0 200 OK\r\n\r\nok"),
)
