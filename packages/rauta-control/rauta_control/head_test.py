"""The request gate: a table of attacks, then properties against h11, httptools and a slow reference of our own."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control import head as head_module
from rauta_control.head import (
    CHUNKED,
    MAX_HOST,
    MAX_LENGTH,
    RequestHead,
    check_unfinished,
    split_host,
)
from rauta_control.limits import Limits
from rauta_control.reasons import Reason, Refused

LIMITS = Limits()
BLANK = b"\r\n\r\n"
HOST = b"Host: a\r\n"


def head(fields: bytes = HOST, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def post(fields: bytes) -> bytes:
    return head(HOST + fields, b"POST / HTTP/1.1")


def get(target: bytes, fields: bytes = HOST) -> bytes:
    return head(fields, b"GET " + target + b" HTTP/1.1")


def large(size: int) -> bytes:
    """A head of so many bytes, in fields that are none of them too large."""
    fields = HOST + (b"X: " + b"a" * 20_000 + b"\r\n") * 3
    return head(fields + b"X: " + b"a" * (size - len(head(fields + b"X: \r\n"))) + b"\r\n")


def read(data: bytes) -> RequestHead:
    """As downstream.py does it: the gate, then the lookup of the host, which checks it."""
    gate = RequestHead(LIMITS)
    gate.read(data, data.index(BLANK))
    if gate.host:
        split_host(gate.host)
    return gate


def verdict(data: bytes) -> Reason | None:
    try:
        read(data)
    except Refused as refused:
        return refused.reason
    return None


def upstream_head(gate: RequestHead, data: bytes) -> bytes:
    """What Downstream.data_received sends to the backend."""
    suffix = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Request-Id: 1\r\n\r\n"
    if gate.fields is None:
        return data[: data.index(BLANK) + 2] + suffix
    return b"%b %b HTTP/1.1\r\n%b%b" % (gate.method, gate.target, gate.fields, suffix)


REFUSED: list[tuple[str, bytes, Reason]] = [
    # -- the appendix of RELIABILITY.md, as far as the head decides
    ("duplicate CL, same value", post(b"Content-Length: 3\r\nContent-Length: 3\r\n"), Reason.BAD_FRAMING),
    ("duplicate CL, differing", post(b"Content-Length: 3\r\nContent-Length: 4\r\n"), Reason.BAD_FRAMING),
    ("CL +3", post(b"Content-Length: +3\r\n"), Reason.BAD_FRAMING),
    ("CL -1", post(b"Content-Length: -1\r\n"), Reason.BAD_FRAMING),
    ("CL 3_0", post(b"Content-Length: 3_0\r\n"), Reason.BAD_FRAMING),
    ("CL 2^64", post(b"Content-Length: 18446744073709551616\r\n"), Reason.BAD_FRAMING),
    ("CL 2^64-1", post(b"Content-Length: 18446744073709551615\r\n"), Reason.BAD_FRAMING),
    ("CL 3 4", post(b"Content-Length: 3 4\r\n"), Reason.BAD_FRAMING),
    ("CL and TE", post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), Reason.BAD_FRAMING),
    ("TE twice", post(b"Transfer-Encoding: chunked\r\n" * 2), Reason.BAD_FRAMING),
    ("TE chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n"), Reason.BAD_FRAMING),
    ("TE identity", post(b"Transfer-Encoding: identity\r\n"), Reason.BAD_FRAMING),
    ("TE gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n"), Reason.CODING_UNKNOWN),
    ("TE chunked VT", post(b"Transfer-Encoding: chunked\x0b\r\n"), Reason.BAD_FRAMING),
    ("TE VT chunked", post(b"Transfer-Encoding: \x0bchunked\r\n"), Reason.BAD_FRAMING),
    ("TE chunked;a=b", post(b"Transfer-Encoding: chunked;a=b\r\n"), Reason.BAD_FRAMING),
    ("TE , chunked", post(b"Transfer-Encoding: , chunked\r\n"), Reason.BAD_FRAMING),
    ("TE chunked,", post(b"Transfer-Encoding: chunked,\r\n"), Reason.BAD_FRAMING),
    ("TE on 1.0", head(HOST + b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0"), Reason.BAD_FRAMING),
    ("space before colon of TE", post(b"Transfer-Encoding : chunked\r\n"), Reason.BAD_FIELD),
    ("leading space on first line", head(b" Foo: x\r\n" + HOST), Reason.BAD_FIELD),
    ("obs-fold", head(HOST + b"X: a\r\n b\r\n"), Reason.BAD_FIELD),
    ("obs-fold, empty first line, tab", head(HOST + b"X:\r\n\tb\r\n"), Reason.BAD_FIELD),
    ("bare LF line endings", b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", Reason.BAD_REQUEST_LINE),
    ("bare LF ends a field", head(b"Host: a\nX: y\r\n"), Reason.BAD_FIELD),
    ("bare CR in value", head(HOST + b"X: a\rb\r\n"), Reason.BAD_FIELD),
    ("NUL in value", head(HOST + b"X: a\0b\r\n"), Reason.BAD_FIELD),
    ("\\x01 in value", head(HOST + b"X: a\x01b\r\n"), Reason.BAD_FIELD),
    ("NUL in name", head(HOST + b"X\0Y: a\r\n"), Reason.BAD_FIELD),
    ("8-bit byte in name", head(HOST + b"X\xe9: a\r\n"), Reason.BAD_FIELD),
    ("empty name", head(HOST + b": a\r\n"), Reason.BAD_FIELD),
    ("no Host on 1.1", head(b"X: y\r\n"), Reason.BAD_HOST),
    ("two Hosts", head(HOST + b"Host: b\r\n"), Reason.BAD_HOST),
    ("Host a b", head(b"Host: a b\r\n"), Reason.BAD_HOST),
    ("Host a@b/c", head(b"Host: a@b/c\r\n"), Reason.BAD_HOST),
    ("Host a, b", head(b"Host: a, b\r\n"), Reason.BAD_HOST),
    ("Host a:99999", head(b"Host: a:99999\r\n"), Reason.BAD_HOST),
    ("absolute-form, Host differs", get(b"http://b/"), Reason.BAD_HOST),
    ("absolute-form https", get(b"https://a/"), Reason.BAD_HOST),
    ("CONNECT", head(HOST, b"CONNECT a:443 HTTP/1.1"), Reason.CONNECT_REFUSED),
    ("target without slash", get(b"x"), Reason.BAD_REQUEST_LINE),
    ("fragment", get(b"/x#f"), Reason.BAD_REQUEST_LINE),
    ("TAB in target", get(b"/a\tb"), Reason.BAD_REQUEST_LINE),
    ("NUL in target", get(b"/a\0b"), Reason.BAD_REQUEST_LINE),
    ("two spaces", head(line=b"GET  / HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("TAB as separator", head(line=b"GET\t/\tHTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("HTTP/0.9 simple request", b"GET /\r\n\r\n", Reason.BAD_REQUEST_LINE),
    ("HTTP/1.2", head(line=b"GET / HTTP/1.2"), Reason.VERSION_UNKNOWN),
    ("HTTP/0.9", head(line=b"GET / HTTP/0.9"), Reason.VERSION_UNKNOWN),
    ("http/1.1", head(line=b"GET / http/1.1"), Reason.BAD_REQUEST_LINE),
    ("ICE/1.0", head(line=b"GET / ICE/1.0"), Reason.BAD_REQUEST_LINE),
    ("SOURCE and ICE/1.0", head(line=b"SOURCE / ICE/1.0"), Reason.BAD_REQUEST_LINE),
    ("method FOO", head(line=b"FOO / HTTP/1.1"), Reason.METHOD_UNKNOWN),
    ("method get", head(line=b"get / HTTP/1.1"), Reason.METHOD_UNKNOWN),
    ("PRI preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reason.BAD_REQUEST_LINE),
    ("Expect 200-ok", post(b"Content-Length: 3\r\nExpect: 200-ok\r\n"), Reason.EXPECTATION_FAILED),
    ("Connection: Content-Length", post(b"Content-Length: 3\r\nConnection: Content-Length\r\n"), Reason.BAD_CONNECTION),
    ("10,000 fields", head(HOST + b"a:\r\n" * 10_000), Reason.TOO_MANY_FIELDS),
    ("1 MiB target", get(b"/" + b"a" * 2**20), Reason.TARGET_TOO_LONG),
    ("60 KB header", head(HOST + b"X: " + b"a" * 60_000 + b"\r\n"), Reason.HEAD_TOO_LARGE),
    ("101 fields", head(HOST + b"a: b\r\n" * 100), Reason.TOO_MANY_FIELDS),
    ("path /a%00b", get(b"/a%00b"), Reason.BAD_PATH),
    ("path /a%zz", get(b"/a%zz"), Reason.BAD_PATH),
    ("path /../../etc", get(b"/../../etc"), Reason.BAD_PATH),
    ("Max-Forwards: 0", head(HOST + b"Max-Forwards: 0\r\n", b"OPTIONS / HTTP/1.1"), Reason.MAX_FORWARDS),
    ("Upgrade with CL", post(b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n"), Reason.BAD_UPGRADE),
    ("Upgrade with TE", post(b"Upgrade: x\r\nTransfer-Encoding: chunked\r\n"), Reason.BAD_UPGRADE),
    # -- framing
    ("CL empty", post(b"Content-Length:\r\n"), Reason.BAD_FRAMING),
    ("CL only spaces", post(b"Content-Length: \t \r\n"), Reason.BAD_FRAMING),
    ("CL 0x3", post(b"Content-Length: 0x3\r\n"), Reason.BAD_FRAMING),
    ("CL 3.0", post(b"Content-Length: 3.0\r\n"), Reason.BAD_FRAMING),
    ("CL 3e1", post(b"Content-Length: 3e1\r\n"), Reason.BAD_FRAMING),
    ("CL 3, 3", post(b"Content-Length: 3, 3\r\n"), Reason.BAD_FRAMING),
    ("CL 3,", post(b"Content-Length: 3,\r\n"), Reason.BAD_FRAMING),
    ("CL 3;a", post(b"Content-Length: 3;a\r\n"), Reason.BAD_FRAMING),
    ('CL "3"', post(b'Content-Length: "3"\r\n'), Reason.BAD_FRAMING),
    ("CL Arabic digit", post("Content-Length: ٣\r\n".encode()), Reason.BAD_FRAMING),
    ("CL superscript", post(b"Content-Length: \xb2\r\n"), Reason.BAD_FRAMING),
    ("CL VT", post(b"Content-Length: 3\x0b\r\n"), Reason.BAD_FRAMING),
    ("CL NBSP", post(b"Content-Length: \xa03\r\n"), Reason.BAD_FRAMING),
    ("CL NUL", post(b"Content-Length: 3\0\r\n"), Reason.BAD_FRAMING),
    ("CL over the limit", post(b"Content-Length: %d\r\n" % (MAX_LENGTH + 1)), Reason.BAD_FRAMING),
    ("CL of 33 zeros", post(b"Content-Length: " + b"0" * 33 + b"\r\n"), Reason.BAD_FRAMING),
    ("CL twice in different case", post(b"content-length: 0\r\nCONTENT-LENGTH: 0\r\n"), Reason.BAD_FRAMING),
    ("CL 0 and then 5", post(b"Content-Length: 0\r\nContent-Length: 5\r\n"), Reason.BAD_FRAMING),
    ("CL 5 and then 0", post(b"Content-Length: 5\r\nContent-Length: 0\r\n"), Reason.BAD_FRAMING),
    ("CL 5 and then empty", post(b"Content-Length: 5\r\nContent-Length:\r\n"), Reason.BAD_FRAMING),
    ("CL around Host", head(b"Content-Length: 3\r\nHost: a\r\nContent-Length: 3\r\n"), Reason.BAD_FRAMING),
    ("CL obs-fold", post(b"Content-Length:\r\n 3\r\n"), Reason.BAD_FRAMING),
    ("CL obs-fold after", post(b"Content-Length: 3\r\n 4\r\n"), Reason.BAD_FIELD),
    ("CL space before colon", post(b"Content-Length : 3\r\n"), Reason.BAD_FIELD),
    ("CL tab before colon", post(b"Content-Length\t: 3\r\n"), Reason.BAD_FIELD),
    ("CL space before colon, and CL", post(b"Content-Length: 0\r\nContent-Length : 3\r\n"), Reason.BAD_FRAMING),
    ("CL VT before colon", post(b"Content-Length\x0b: 3\r\n"), Reason.BAD_FIELD),
    ("CL space before name", post(b" Content-Length: 3\r\n"), Reason.BAD_FIELD),
    ("CL after bare LF", post(b"X: y\nContent-Length: 3\r\n"), Reason.BAD_FIELD),
    ("CL after bare CR", post(b"X: y\rContent-Length: 3\r\n"), Reason.BAD_FIELD),
    ("CL after CR CR LF", post(b"X: y\r\r\nContent-Length: 3\r\n"), Reason.BAD_FIELD),
    ("CL_ for CGI", post(b"Content_Length: 3\r\n"), Reason.BAD_FIELD),
    ("CL. for CGI", post(b"Content.Length: 3\r\n"), Reason.BAD_FIELD),
    ("TE then CL", post(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), Reason.BAD_FRAMING),
    ("TE and CL 0", post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), Reason.BAD_FRAMING),
    ("TE empty", post(b"Transfer-Encoding:\r\n"), Reason.BAD_FRAMING),
    ("TE empty and CL", post(b"Transfer-Encoding:\r\nContent-Length: 3\r\n"), Reason.BAD_FRAMING),
    ("TE empty, TE chunked", post(b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n"), Reason.BAD_FRAMING),
    ("TE chunked, TE x", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), Reason.BAD_FRAMING),
    ("TE xchunked", post(b"Transfer-Encoding: xchunked\r\n"), Reason.BAD_FRAMING),
    ("TE chunkedx", post(b"Transfer-Encoding: chunkedx\r\n"), Reason.BAD_FRAMING),
    ('TE "chunked"', post(b'Transfer-Encoding: "chunked"\r\n'), Reason.BAD_FRAMING),
    ("TE chunked NUL", post(b"Transfer-Encoding: chunked\0\r\n"), Reason.BAD_FRAMING),
    ("TE chunk ed", post(b"Transfer-Encoding: chunk ed\r\n"), Reason.BAD_FRAMING),
    ("TE chunked NBSP", post(b"Transfer-Encoding: chunked\xa0\r\n"), Reason.BAD_FRAMING),
    ("TE chunked, identity", post(b"Transfer-Encoding: chunked, identity\r\n"), Reason.BAD_FRAMING),
    ("TE identity, chunked", post(b"Transfer-Encoding: identity, chunked\r\n"), Reason.BAD_FRAMING),
    ("TE chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n"), Reason.BAD_FRAMING),
    ("TE chunked, gzip, chunked", post(b"Transfer-Encoding: chunked, gzip, chunked\r\n"), Reason.BAD_FRAMING),
    ("TE gzip,, chunked", post(b"Transfer-Encoding: gzip,, chunked\r\n"), Reason.BAD_FRAMING),
    ("TE gzip", post(b"Transfer-Encoding: gzip\r\n"), Reason.BAD_FRAMING),
    ("TE obs-fold", post(b"Transfer-Encoding:\r\n chunked\r\n"), Reason.BAD_FRAMING),
    # Legal, but llhttp has the last word.
    ("TE tab at the end", post(b"Transfer-Encoding: chunked\t\r\n"), Reason.BAD_FIELD),
    ("TE tab before colon", post(b"Transfer-Encoding\t: chunked\r\n"), Reason.BAD_FIELD),
    ("TE before colon, and CL", post(b"Content-Length: 3\r\nTransfer-Encoding : chunked\r\n"), Reason.BAD_FRAMING),
    ("TE after bare LF", post(b"X: y\nTransfer-Encoding: chunked\r\n"), Reason.BAD_FIELD),
    ("TE_ for CGI", post(b"Transfer_Encoding: chunked\r\n"), Reason.BAD_FIELD),
    ("TE~ for CGI", post(b"TRANSFER~ENCODING: chunked\r\n"), Reason.BAD_FIELD),
    ("TE without colon", post(b"Transfer-Encoding chunked\r\n"), Reason.BAD_FIELD),
    ("TE on GET 1.0", head(HOST + b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.0"), Reason.BAD_FRAMING),
    # -- syntax of fields
    ("no colon", head(HOST + b"Foo\r\n"), Reason.BAD_FIELD),
    ("tab before colon", head(HOST + b"Foo\t: x\r\n"), Reason.BAD_FIELD),
    ("Host space before colon", head(b"Host : a\r\n"), Reason.BAD_FIELD),
    ("parenthesis in name", head(HOST + b"F(oo: x\r\n"), Reason.BAD_FIELD),
    ("DEL in value", head(HOST + b"X: a\x7fb\r\n"), Reason.BAD_FIELD),
    ("DEL in name", head(HOST + b"X\x7f: a\r\n"), Reason.BAD_FIELD),
    ("ESC in value", head(HOST + b"X: \x1b[2J\r\n"), Reason.BAD_FIELD),
    ("obs-fold of Host", head(b"Host: a\r\n b\r\n"), Reason.BAD_FIELD),
    ("obs-fold of only a tab", head(HOST + b"X: a\r\n\t\r\n"), Reason.BAD_FIELD),
    ("leading tab on first line", head(b"\tFoo: x\r\n" + HOST), Reason.BAD_FIELD),
    ("bare CR for a line end", head(b"Host: a\rX: y\r\n"), Reason.BAD_FIELD),
    ("CR LF CR in a value", head(HOST + b"X: a\r\n\rb: c\r\n"), Reason.BAD_FIELD),
    ("LF LF hides a head", head(HOST + b"X: y\n\nGET /b HTTP/1.1\r\nHost: b\r\n"), Reason.BAD_HOST),
    # -- request line
    ("empty method", head(line=b" / HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("leading LF", b"\n" + head(), Reason.BAD_REQUEST_LINE),
    ("leading space", b" " + head(), Reason.BAD_REQUEST_LINE),
    ("leading NUL", b"\0" + head(), Reason.BAD_REQUEST_LINE),
    ("leading BOM", b"\xef\xbb\xbf" + head(), Reason.BAD_REQUEST_LINE),
    ("TLS ClientHello", b"\x16\x03\x01\x02\0\x01\r\n\r\n", Reason.BAD_REQUEST_LINE),
    ("method with colon", head(line=b"GET: / HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("method 8-bit", head(line=b"G\xc9T / HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("method Get", head(line=b"Get / HTTP/1.1"), Reason.METHOD_UNKNOWN),
    ("method GETX", head(line=b"GETX / HTTP/1.1"), Reason.METHOD_UNKNOWN),
    ("method of 40 KB", head(line=b"G" * 40_000 + b" / HTTP/1.1"), Reason.METHOD_UNKNOWN),
    ("RTSP method", head(line=b"PLAY / HTTP/1.1"), Reason.BAD_FIELD),  # llhttp knows it, but not with HTTP
    ("PRI with 1.1", head(line=b"PRI / HTTP/1.1"), Reason.BAD_FIELD),
    ("empty target", head(line=b"GET HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("two spaces for a target", head(line=b"GET  HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("two targets", head(line=b"GET /a /b HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("a version as target", head(line=b"GET / HTTP/1.1 HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("space after version", head(line=b"GET / HTTP/1.1 "), Reason.BAD_REQUEST_LINE),
    ("CR after version", head(line=b"GET / HTTP/1.1\r"), Reason.BAD_REQUEST_LINE),
    ("two spaces before version", head(line=b"GET /  HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("no-break space", head(line=b"GET\xa0/ HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("CR in target", get(b"/a\rb"), Reason.BAD_REQUEST_LINE),
    ("LF in target", get(b"/a\nb"), Reason.BAD_REQUEST_LINE),
    ("VT in target", get(b"/a\x0bb"), Reason.BAD_REQUEST_LINE),
    ("DEL in target", get(b"/a\x7fb"), Reason.BAD_REQUEST_LINE),
    ("8-bit in target", get(b"/\xe9"), Reason.BAD_REQUEST_LINE),
    ("8-bit in query", get(b"/?\xff"), Reason.BAD_REQUEST_LINE),
    ("only a fragment", get(b"#"), Reason.BAD_REQUEST_LINE),
    ("fragment after query", get(b"/?a#b"), Reason.BAD_REQUEST_LINE),
    ("GET *", get(b"*"), Reason.BAD_REQUEST_LINE),
    ("OPTIONS *x", head(line=b"OPTIONS *x HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("OPTIONS **", head(line=b"OPTIONS ** HTTP/1.1"), Reason.BAD_REQUEST_LINE),
    ("query only", get(b"?x"), Reason.BAD_REQUEST_LINE),
    ("HTTP/1.10", head(line=b"GET / HTTP/1.10"), Reason.BAD_REQUEST_LINE),
    ("HTTP/11.1", head(line=b"GET / HTTP/11.1"), Reason.BAD_REQUEST_LINE),
    ("HTTP/01.1", head(line=b"GET / HTTP/01.1"), Reason.BAD_REQUEST_LINE),
    ("HTTP/1,1", head(line=b"GET / HTTP/1,1"), Reason.BAD_REQUEST_LINE),
    ("HTTP/-1.1", head(line=b"GET / HTTP/-1.1"), Reason.BAD_REQUEST_LINE),
    ("HTTP/2.0", head(line=b"GET / HTTP/2.0"), Reason.VERSION_UNKNOWN),
    ("HTTP/3", head(line=b"GET / HTTP/3"), Reason.VERSION_UNKNOWN),
    ("HTTPS/1.1", head(line=b"GET / HTTPS/1.1"), Reason.BAD_REQUEST_LINE),
    ("RTSP/1.0", head(line=b"OPTIONS / RTSP/1.0"), Reason.BAD_REQUEST_LINE),
    ("fragment and another version", head(line=b"GET /# HTTP/2.0"), Reason.BAD_REQUEST_LINE),
    # -- absolute-form and CONNECT
    ("absolute-form, other port", get(b"http://a:81/"), Reason.BAD_HOST),
    ("absolute-form, userinfo", get(b"http://u@a/"), Reason.BAD_HOST),
    ("absolute-form, host as userinfo", get(b"http://a@b/", b"Host: b\r\n"), Reason.BAD_HOST),
    ("absolute-form, userinfo in both", get(b"http://u@a/", b"Host: u@a\r\n"), Reason.BAD_HOST),
    ("absolute-form, no authority", get(b"http:///x"), Reason.BAD_HOST),
    ("absolute-form, no authority on 1.0", head(b"", b"GET http:///x HTTP/1.0"), Reason.BAD_HOST),
    ("absolute-form without Host on 1.0", head(b"", b"GET http://a/ HTTP/1.0"), Reason.BAD_HOST),
    ("absolute-form without Host", head(b"", b"GET http://a/ HTTP/1.1"), Reason.BAD_HOST),
    ("absolute-form, backslash", get(b"http://a\\b/"), Reason.BAD_REQUEST_LINE),
    ("absolute-form, backslashes", get(b"http:\\\\a/"), Reason.BAD_REQUEST_LINE),
    ("absolute-form, one slash", get(b"http:/a"), Reason.BAD_REQUEST_LINE),
    ("absolute-form, ftp", get(b"ftp://a/"), Reason.BAD_REQUEST_LINE),
    ("absolute-form, file", get(b"file:///etc/passwd"), Reason.BAD_REQUEST_LINE),
    ("absolute-form, dots above root", get(b"http://a/../x"), Reason.BAD_PATH),
    ("authority-form of GET", get(b"a:80"), Reason.BAD_REQUEST_LINE),
    ("CONNECT with path", head(HOST, b"CONNECT / HTTP/1.1"), Reason.CONNECT_REFUSED),
    ("CONNECT with CL", head(HOST + b"Content-Length: 3\r\n", b"CONNECT a:1 HTTP/1.1"), Reason.CONNECT_REFUSED),
    ("CONNECT absolute-form", head(HOST, b"CONNECT http://a/ HTTP/1.1"), Reason.CONNECT_REFUSED),
    # -- Host
    ("Host empty", head(b"Host:\r\n"), Reason.BAD_HOST),
    ("Host blank", head(b"Host: \t\r\n"), Reason.BAD_HOST),
    ("Host empty on 1.0", head(b"Host:\r\n", b"GET / HTTP/1.0"), Reason.BAD_HOST),
    ("Host empty, then a", head(b"Host:\r\nHost: a\r\n"), Reason.BAD_HOST),
    ("Host a, then empty", head(b"Host: a\r\nHost:\r\n"), Reason.BAD_HOST),
    ("Host twice, same", head(HOST + HOST), Reason.BAD_HOST),
    ("Host twice, other case", head(b"Host: a\r\nhOST: a\r\n"), Reason.BAD_HOST),
    ("Host twice on 1.0", head(HOST + HOST, b"GET / HTTP/1.0"), Reason.BAD_HOST),
    ("Host twice with keep-alive", head(HOST + b"Connection: keep-alive\r\n" + HOST), Reason.BAD_HOST),
    ("Host with userinfo", head(b"Host: u@a\r\n"), Reason.BAD_HOST),
    ("Host with scheme", head(b"Host: http://a\r\n"), Reason.BAD_HOST),
    ("Host with path", head(b"Host: a/b\r\n"), Reason.BAD_HOST),
    ("Host with query", head(b"Host: a?b\r\n"), Reason.BAD_HOST),
    ("Host with fragment", head(b"Host: a#b\r\n"), Reason.BAD_HOST),
    ("Host with backslash", head(b"Host: a\\b\r\n"), Reason.BAD_HOST),
    ("Host with percent", head(b"Host: a%2eb\r\n"), Reason.BAD_HOST),
    ("Host with 8-bit", head(b"Host: b\xfccher\r\n"), Reason.BAD_HOST),
    ("Host with quote", head(b'Host: "a"\r\n'), Reason.BAD_HOST),
    ("Host with semicolon", head(b"Host: a;b\r\n"), Reason.BAD_HOST),
    ("Host with star", head(b"Host: *.a\r\n"), Reason.BAD_HOST),
    ("Host with inner tab", head(b"Host: a\tb\r\n"), Reason.BAD_HOST),
    ("Host dot", head(b"Host: .\r\n"), Reason.BAD_HOST),
    ("Host leading dot", head(b"Host: .a\r\n"), Reason.BAD_HOST),
    ("Host two dots", head(b"Host: a..b\r\n"), Reason.BAD_HOST),
    ("Host two trailing dots", head(b"Host: a..\r\n"), Reason.BAD_HOST),
    ("Host only port", head(b"Host: :80\r\n"), Reason.BAD_HOST),
    ("Host two ports", head(b"Host: a:80:80\r\n"), Reason.BAD_HOST),
    ("Host port 65536", head(b"Host: a:65536\r\n"), Reason.BAD_HOST),
    ("Host port of six digits", head(b"Host: a:000080\r\n"), Reason.BAD_HOST),
    ("Host port +80", head(b"Host: a:+80\r\n"), Reason.BAD_HOST),
    ("Host port 8a", head(b"Host: a:8a\r\n"), Reason.BAD_HOST),
    ("Host port Arabic", head("Host: a:٣\r\n".encode()), Reason.BAD_HOST),
    ("Host IPv6 bare", head(b"Host: ::1\r\n"), Reason.BAD_HOST),
    ("Host IPv6 open", head(b"Host: [::1\r\n"), Reason.BAD_HOST),
    ("Host IPv6 invalid", head(b"Host: [:::1]\r\n"), Reason.BAD_HOST),
    ("Host IPv6 of nine groups", head(b"Host: [1:2:3:4:5:6:7:8:9]\r\n"), Reason.BAD_HOST),
    ("Host IPv6 empty", head(b"Host: []\r\n"), Reason.BAD_HOST),
    ("Host IPv6 zone", head(b"Host: [fe80::1%25eth0]\r\n"), Reason.BAD_HOST),
    ("Host IPv6 then name", head(b"Host: [::1]a\r\n"), Reason.BAD_HOST),
    ("Host IPvFuture", head(b"Host: [v1.a]\r\n"), Reason.BAD_HOST),
    ("Host too long", head(b"Host: " + b"a" * (MAX_HOST + 1) + b"\r\n"), Reason.BAD_HOST),
    # -- Connection, Upgrade, Expect, Max-Forwards
    ("Connection: Host", head(HOST + b"Connection: Host\r\n"), Reason.BAD_CONNECTION),
    ("Connection: close, host", head(HOST + b"Connection: close, hOST\r\n"), Reason.BAD_CONNECTION),
    ("Connection: TE field", post(b"Connection: transfer-encoding\r\n"), Reason.BAD_CONNECTION),
    ("Connection: Content-Type", head(HOST + b"Connection: Content-Type\r\n"), Reason.BAD_CONNECTION),
    ("Connection: Cookie", head(HOST + b"Connection:Cookie\r\n"), Reason.BAD_CONNECTION),
    ("Connection: Authorization", head(HOST + b"Connection: x,\tauthorization \r\n"), Reason.BAD_CONNECTION),
    ("Connection: X-Forwarded-For", head(HOST + b"Connection: X-Forwarded-For\r\n"), Reason.BAD_CONNECTION),
    ("Connection: x-forwarded-anything", head(HOST + b"Connection: x-forwarded-a-b\r\n"), Reason.BAD_CONNECTION),
    (
        "Connection in two lines",
        head(HOST + b"Connection: keep-alive\r\nConnection: Cookie\r\n"),
        Reason.BAD_CONNECTION,
    ),
    ("Connection: host on 1.0", head(HOST + b"Connection: host\r\n", b"GET / HTTP/1.0"), Reason.BAD_CONNECTION),
    ("websocket with CL", head(HOST + b"Upgrade: websocket\r\nContent-Length: 1\r\n"), Reason.BAD_UPGRADE),
    ("Expect empty", post(b"Content-Length: 3\r\nExpect:\r\n"), Reason.EXPECTATION_FAILED),
    ("Expect twice in one", post(b"Expect: 100-continue, 100-continue\r\n"), Reason.EXPECTATION_FAILED),
    ("Expect y 100-continue", post(b"Content-Length: 3\r\nExpect: y 100-continue\r\n"), Reason.EXPECTATION_FAILED),
    ("Expect and another", post(b"Expect: 100-continue\r\nExpect: x\r\n"), Reason.EXPECTATION_FAILED),
    ("Expect with parameter", post(b"Expect: 100-continue;q=1\r\n"), Reason.EXPECTATION_FAILED),
    ("Max-Forwards of TRACE", head(HOST + b"max-forwards: 00\r\n", b"TRACE / HTTP/1.1"), Reason.MAX_FORWARDS),
    ("Max-Forwards: -1", head(HOST + b"Max-Forwards: -1\r\n", b"OPTIONS / HTTP/1.1"), Reason.BAD_FIELD),
    ("Max-Forwards twice", head(HOST + b"Max-Forwards: 1\r\n" * 2, b"OPTIONS / HTTP/1.1"), Reason.BAD_FIELD),
    # -- fields that CGI cannot tell from ours
    ("X_Forwarded_For", head(HOST + b"X_Forwarded_For: 1.2.3.4\r\n"), Reason.BAD_FIELD),
    ("X-Forwarded_For", head(HOST + b"X-Forwarded_For: 1.2.3.4\r\n"), Reason.BAD_FIELD),
    ("X.Real.IP", head(HOST + b"X.Real.IP: 1.2.3.4\r\n"), Reason.BAD_FIELD),
    ("x_request_id", head(HOST + b"x_request_id: 1\r\n"), Reason.BAD_FIELD),
    ("X_Rauta_Reason", head(HOST + b"X_Rauta_Reason: 1\r\n"), Reason.BAD_FIELD),
    # -- limits
    ("target over the limit", get(b"/" + b"a" * LIMITS.max_target_bytes), Reason.TARGET_TOO_LONG),
    ("query over the limit", get(b"/?" + b"a" * LIMITS.max_target_bytes), Reason.TARGET_TOO_LONG),
    ("one field over the limit", head(HOST + b"a:\r\n" * LIMITS.max_head_fields), Reason.TOO_MANY_FIELDS),
    (
        "one byte over the limit",
        large(LIMITS.max_head_bytes + 1),
        Reason.HEAD_TOO_LARGE,
    ),
    ("field over the limit", head(HOST + b"a" * (LIMITS.max_field_bytes - 2) + b": b\r\n"), Reason.HEAD_TOO_LARGE),
    # -- paths (path_test.py has more)
    ("backslash", get(b"/a\\..\\b"), Reason.BAD_PATH),
    ("escaped backslash", get(b"/a%5c..%5cb"), Reason.BAD_PATH),
    ("half an escape", get(b"/a%2"), Reason.BAD_PATH),
    ("escaped dots above root", get(b"/%2e%2E/a"), Reason.BAD_PATH),
    ("dots beside an escaped slash", get(b"/a/..%2fadmin"), Reason.BAD_PATH),
    ("dots with a parameter", get(b"/a/..;/admin"), Reason.BAD_PATH),
]


@pytest.mark.parametrize(("data", "reason"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_refused(data: bytes, reason: Reason) -> None:
    assert verdict(data) == reason


@dataclass(frozen=True)
class Accepted:
    """What the gate must make of `data`. `fields`: those the backend gets; None: the head goes on as it came."""

    name: str
    data: bytes
    fields: bytes | None = None
    length: int = 0
    keep_alive: bool = True
    target: bytes = b"/"
    host: bytes = b"a"
    request_id: bytes = b""
    http10: bool = False
    path: bytes = field(default=b"")


HOP_BY_HOP = (
    b"Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\nConnection: X-Foo, close\r\nx-foo: 1\r\n"
    b"Proxy-Authorization: Basic eA==\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
)
ONLY_OURS = (
    b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\nX-Forwarded-Client-Cert: x\r\nX-Forwarded-: x\r\n"
    b"X-Forwarded-A1: x\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Rauta-Reason: none\r\nProxy: http://evil\r\n"
)

ACCEPTED = [
    # -- the appendix
    Accepted("CL 003", post(b"Content-Length: 003\r\n"), HOST + b"Content-Length: 3\r\n", 3),
    Accepted(
        "TE CHUNKED", post(b"TE: x\r\nTRANSFER-ENCODING: CHUNKED\r\n"), HOST + b"Transfer-Encoding: chunked\r\n", -1
    ),
    Accepted("obs-text", head(HOST + b"X: \xff\xe9\r\n")),
    Accepted("underscore in name", head(HOST + b"X_Foo: y\r\n")),
    Accepted("OPTIONS *", head(HOST, b"OPTIONS * HTTP/1.1"), HOST, target=b"*", path=b"*"),
    Accepted(
        "Upgrade: h2c",
        head(HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"),
        HOST,
    ),
    Accepted("Connection: close", head(HOST + b"Connection: close\r\n"), HOST, keep_alive=False),
    Accepted("HTTP/1.0 keep-alive", head(HOST + b"Connection: keep-alive\r\n", b"GET / HTTP/1.0"), HOST, http10=True),
    Accepted("path /a/../b", get(b"/a/../b"), HOST, target=b"/b"),
    Accepted("path /a/%2e%2e/b", get(b"/a/%2e%2e/b"), HOST, target=b"/b"),
    Accepted("path /a%2fb", get(b"/a%2fb"), HOST, target=b"/a%2Fb"),
    Accepted("hop-by-hop", head(HOST + HOP_BY_HOP + b"X: y\r\n"), HOST + b"X: y\r\n", keep_alive=False),
    Accepted(
        "Expect: 100-continue",
        post(b"Content-Length: 3\r\nexpect:  100-Continue \r\n"),
        HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n",
        3,
    ),
    Accepted("Host a:80", head(b"Host: a:80\r\n"), host=b"a:80"),
    Accepted(
        "Max-Forwards: 1", head(HOST + b"Max-Forwards: 1\r\n", b"OPTIONS / HTTP/1.1"), HOST + b"Max-Forwards: 0\r\n"
    ),
    Accepted(
        "8 KB target",
        get(b"/" + b"a" * (LIMITS.max_target_bytes - 1)),
        target=b"/" + b"a" * (LIMITS.max_target_bytes - 1),
    ),
    # -- framing
    Accepted("CL 0", post(b"Content-Length: 0\r\n"), length=0),
    Accepted("CL before Host", head(b"content-length:5\r\nHOST:a\r\n", b"PUT / HTTP/1.1"), length=5),
    Accepted("CL with OWS", post(b"Content-Length:\t 5 \t\r\n"), HOST + b"Content-Length: 5\r\n", 5),
    Accepted(
        "CL at the limit",
        post(b"Content-Length: 9007199254740992\r\n"),
        HOST + b"Content-Length: 9007199254740992\r\n",
        2**53,
    ),
    Accepted("CL of GET", head(HOST + b"Content-Length: 5\r\n"), length=5),
    Accepted(
        "CL on 1.0",
        head(HOST + b"Content-Length: 5\r\n", b"POST / HTTP/1.0"),
        HOST + b"Content-Length: 5\r\n",
        5,
        False,
        http10=True,
    ),
    Accepted("Upgrade with CL 0", head(HOST + b"Upgrade: x\r\nContent-Length: 0\r\n"), HOST + b"Content-Length: 0\r\n"),
    Accepted("TE of GET", head(HOST + b"Transfer-Encoding:chunked \r\n"), HOST + b"Transfer-Encoding: chunked\r\n", -1),
    Accepted("no body", post(b"Content-Type: text/plain\r\n")),
    Accepted("X-Content-Length", post(b"X-Content-Length: 5\r\nContent-Lengths: 5\r\n")),
    # -- connection
    Accepted("keep-alive", head(HOST + b"Connection: keep-alive\r\n")),
    Accepted("Keep-Alive, both", post(b"CONNECTION: Keep-Alive\r\nContent-Length: 7\r\n"), length=7),
    Accepted("keep-alive with OWS", head(HOST + b"Connection: keep-alive \r\n"), HOST),
    Accepted("keep-alive and more", head(HOST + b"Connection: keep-alive, x\r\nX: y\r\nZ: z\r\n"), HOST + b"Z: z\r\n"),
    Accepted("close wins", head(HOST + b"Connection: keep-alive, CLOSE\r\n"), HOST, keep_alive=False),
    Accepted(
        "close wins on 1.0",
        head(HOST + b"Connection: close, keep-alive\r\n", b"GET / HTTP/1.0"),
        HOST,
        keep_alive=False,
        http10=True,
    ),
    Accepted(
        "close in two lines", head(HOST + b"Connection: keep-alive\r\nConnection: close\r\n"), HOST, keep_alive=False
    ),
    Accepted("Connection empty", head(HOST + b"Connection: ,, \r\n"), HOST),
    Accepted(
        "Connection naming Expect",
        post(b"Content-Length: 1\r\nExpect: 100-continue\r\nConnection: expect\r\n"),
        HOST + b"Content-Length: 1\r\n",
        1,
    ),
    Accepted("Proxy-Connection: close", head(HOST + b"Proxy-Connection: close\r\n"), HOST),
    Accepted("Expect without body", head(HOST + b"Expect: 100-continue\r\n"), HOST),
    Accepted(
        "Expect twice",
        post(b"Content-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"),
        HOST + b"Content-Length: 1\r\nExpect: 100-continue\r\n",
        1,
    ),
    Accepted("Expect on 1.0", head(HOST + b"Expect: x\r\n", b"GET / HTTP/1.0"), HOST, keep_alive=False, http10=True),
    Accepted("Max-Forwards of GET", head(HOST + b"Max-Forwards: 0\r\n"), HOST),
    Accepted(
        "Max-Forwards of TRACE",
        head(HOST + b"Max-Forwards: 10\r\n", b"TRACE / HTTP/1.1"),
        HOST + b"Max-Forwards: 9\r\n",
    ),
    # -- what only we may say
    Accepted("only ours", head(ONLY_OURS + HOST + b"Cookie: a=b\r\n"), HOST + b"Cookie: a=b\r\n"),
    Accepted("X-Forwarded", head(HOST + b"X-Forwarded: x\r\nX-Real-IPs: x\r\nForwardedx: x\r\n")),
    Accepted("X-Request-Id", head(HOST + b"X-Request-ID: Ab-1 \r\n"), HOST, request_id=b"Ab-1"),
    Accepted("X-Request-Id of 128", head(HOST + b"x-request-id: " + b"x" * 128 + b"\r\n"), HOST, request_id=b"x" * 128),
    Accepted("X-Request-Id of 129", head(HOST + b"x-request-id: " + b"x" * 129 + b"\r\n"), HOST),
    Accepted("X-Request-Id with quote", head(HOST + b'x-request-id: a"b\r\n'), HOST),
    Accepted("X-Request-Id with backslash", head(HOST + b"x-request-id: a\\b\r\n"), HOST),
    Accepted("X-Request-Id with space", head(HOST + b"x-request-id: a b\r\n"), HOST),
    Accepted("X-Request-Id with 8-bit", head(HOST + b"x-request-id: \xe9\r\n"), HOST),
    Accepted("X-Request-Id empty", head(HOST + b"x-request-id:\r\n"), HOST),
    Accepted("credentials", head(HOST + b"Cookie: a=b\r\nAuthorization: Basic eA==\r\nCookie: c=d\r\n")),
    # -- hosts
    Accepted("Host upper case", head(b"Host: Shop.EXAMPLE\r\n"), host=b"shop.example"),
    Accepted("Host with OWS", head(b"Host:\t Shop.EXAMPLE \t\r\n"), b"Host: Shop.EXAMPLE\r\n", host=b"shop.example"),
    Accepted("Host without a space", head(b"Host:a\r\n")),
    Accepted("Host trailing dot", head(b"Host: a.b.:80\r\n"), host=b"a.b.:80"),
    Accepted("Host empty port", head(b"Host: a:\r\n"), host=b"a:"),
    Accepted("Host port 65535", head(b"Host: a:65535\r\n"), host=b"a:65535"),
    Accepted("Host IPv4", head(b"Host: 192.0.2.1:80\r\n"), host=b"192.0.2.1:80"),
    Accepted("Host IPv6", head(b"Host: [2001:DB8::1]\r\n"), host=b"[2001:db8::1]"),
    Accepted("Host IPv6 port", head(b"Host: [::ffff:1.2.3.4]:80\r\n"), host=b"[::ffff:1.2.3.4]:80"),
    Accepted("Host underscore", head(b"Host: my_shop.a-b\r\n"), host=b"my_shop.a-b"),
    Accepted("Host at the limit", head(b"Host: " + b"a" * MAX_HOST + b"\r\n"), host=b"a" * MAX_HOST),
    Accepted(
        "no Host on 1.0",
        head(b"X: y\r\n", b"GET / HTTP/1.0"),
        b"Host:\r\nX: y\r\n",
        keep_alive=False,
        host=b"",
        http10=True,
    ),
    Accepted("nothing on 1.0", head(b"", b"GET / HTTP/1.0"), b"Host:\r\n", keep_alive=False, host=b"", http10=True),
    # -- targets
    Accepted("absolute-form", get(b"HTTP://A/b?c"), HOST, target=b"/b?c"),
    Accepted("absolute-form, bare", get(b"http://a"), HOST, target=b"/"),
    Accepted("absolute-form, query", get(b"http://a?b/../c"), HOST, target=b"/?b/../c"),
    Accepted(
        "absolute-form, port", get(b"http://a:80/x", b"Host: a:80\r\n"), b"Host: a:80\r\n", host=b"a:80", target=b"/x"
    ),
    Accepted("absolute-form, dots", get(b"http://a/x/../y/%7E"), HOST, target=b"/y/~"),
    Accepted("absolute-form, slow", get(b"http://a/x", HOST + b"TE: x\r\n"), HOST, target=b"/x"),
    Accepted(
        "absolute-form, keep-alive",
        get(b"http://a/x", HOST + b"Connection: keep-alive\r\n"),
        HOST + b"Connection: keep-alive\r\n",
        target=b"/x",
    ),
    Accepted(
        "absolute-form on 1.0",
        head(HOST, b"GET http://a/x HTTP/1.0"),
        HOST,
        keep_alive=False,
        target=b"/x",
        http10=True,
    ),
    Accepted("absolute-form, host in the path", get(b"http://a/@b"), HOST, target=b"/@b"),
    Accepted("two slashes", get(b"//evil/x"), target=b"//evil/x"),
    Accepted("odd but allowed", get(b"/\"<>[]^`{|}~!$&'()*+,;=:@?\\#"[:-1]), target=b"/\"<>[]^`{|}~!$&'()*+,;=:@?\\"),
    Accepted("query of questions", get(b"/a??b=%zz&c=/../"), target=b"/a??b=%zz&c=/../"),
    Accepted("escaped query mark", get(b"/a%3fb?c"), HOST, target=b"/a%3Fb?c"),
    Accepted("normal escape", get(b"/a%2Fb"), target=b"/a%2Fb"),
    Accepted("dot file", get(b"/.well-known/x"), target=b"/.well-known/x"),
    Accepted(
        "target at the limit",
        get(b"/?" + b"a" * (LIMITS.max_target_bytes - 2)),
        target=b"/?" + b"a" * (LIMITS.max_target_bytes - 2),
    ),
    Accepted("dots with a slow head", get(b"/a/./b?/./", HOST + b"TE: x\r\n"), HOST, target=b"/a/b?/./"),
    # -- limits
    Accepted("fields at the limit", head(HOST + b"a:\r\n" * (LIMITS.max_head_fields - 1))),
    Accepted("bytes at the limit", large(LIMITS.max_head_bytes)),
    Accepted("field at the limit", head(HOST + b"a" * (LIMITS.max_field_bytes - 3) + b": b\r\n")),
    Accepted("all token characters", head(HOST + b"!#$%&'*+-.^_`|~09AZaz: b\r\n")),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
@pytest.mark.parametrize("rest", [b"", b"GET /next HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_accepted(case: Accepted, rest: bytes) -> None:
    gate = read(case.data + rest)
    assert gate.fields == case.fields
    assert (gate.length, gate.keep_alive, gate.http10) == (case.length, case.keep_alive, case.http10)
    assert (gate.target, gate.host, gate.request_id) == (case.target, case.host, case.request_id)
    assert gate.path == (case.path or case.target.partition(b"?")[0])
    assert gate.method == case.data.partition(b" ")[0]
    assert_backend_agrees(gate, case.data)


# -- what the backend will understand: two parsers that are not ours, and our own reading of the client's head

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"
OUR_SUFFIX = [
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-proto", b"http"),
    (b"x-request-id", b"1"),
]
NEVER_FORWARDED = re.compile(
    rb"forwarded|http2-settings|keep-alive|proxy(-authorization|-connection)?|te|trailer|upgrade"
    rb"|x-(forwarded-.*|rauta-.*|real-ip|request-id)"
)


def body_for(length: int) -> tuple[bytes, bytes]:
    """Bytes on the wire and the payload they mean."""
    if length == CHUNKED:
        return b"4\r\nGET \r\n0\r\n\r\n", b"GET "
    return b"x" * length, b"x" * length


def parsed(data: bytes) -> list[tuple[bytes, bytes]]:
    """Field lines the slow way, names in lower case, values without the space around them."""
    lines = data[: data.index(BLANK)].split(b"\r\n")[1:]
    return [(line.split(b":", 1)[0].lower(), line.split(b":", 1)[1].strip(b" \t")) for line in lines]


def expected_fields(gate: RequestHead, data: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that the backend should get, by the rules in words: independent of how head.py does it."""
    fields = parsed(data)
    options = {o.strip(b" \t").lower() for name, value in fields if name == b"connection" for o in value.split(b",")}
    expected = [] if gate.host else [(b"host", b"")]
    every = {name: b",".join(value for each, value in fields if each == name) for name, _ in fields}
    takes = b"trailers" in [token.strip(b" \t").lower() for token in every.get(b"te", b"").split(b",")]
    grpc = gate.length == CHUNKED and any(
        each == b"content-type" and v.startswith(b"application/grpc") for each, v in fields
    )
    trailers = (takes or grpc) and b"upgrade" not in every and not gate.http10
    for name, value in fields:
        if trailers and takes and name == b"te" and b"te" in options and (name, b"trailers") not in expected:
            expected += [(name, b"trailers"), (b"connection", b"TE")]
            continue
        if trailers and name == b"trailer" and name not in dict(expected):
            expected.append((name, re.sub(rb"[ \t]*,[ \t]*", b", ", every[name].lower())))
            continue
        if name in options or name == b"connection" or NEVER_FORWARDED.fullmatch(name):
            continue
        if name == b"content-length":
            expected.append((name, b"%d" % gate.length))
        elif name == b"transfer-encoding":
            expected.append((name, b"chunked"))
        elif name == b"expect":
            if gate.length and not gate.http10 and (name, b"100-continue") not in expected:
                expected.append((name, b"100-continue"))
        elif name == b"max-forwards":
            if gate.method in {b"OPTIONS", b"TRACE"}:
                expected.append((name, b"%d" % (int(value) - 1)))
        else:
            expected.append((name, value))
    return expected + OUR_SUFFIX


def but_keep_alive(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`Connection: keep-alive` may reach the backend or not: it is what HTTP/1.1 means without it."""
    return [(name, value) for name, value in fields if (name, value.lower()) != (b"connection", b"keep-alive")]


def h11_view(wire: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes, bytes]:
    """(method, target, fields, payload, what follows) of one request, as h11 reads it."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    server.receive_data(wire)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert request.http_version == b"1.1"
    payload = b""
    while isinstance(event := server.next_event(), h11.Data):
        payload += event.data
    assert isinstance(event, h11.EndOfMessage)
    return request.method, request.target, list(request.headers), payload, server.trailing_data[0]


class Llhttp:
    """`seen`: (method, target, fields, payload) of each request, as httptools reads it."""

    def __init__(self, wire: bytes) -> None:
        self.seen: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(wire)

    def on_message_begin(self) -> None:
        self.url, self.payload = b"", b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_body(self, payload: bytes) -> None:
        self.payload += payload

    def on_message_complete(self) -> None:
        self.seen.append((self.parser.get_method(), self.url, self.fields, self.payload))


def assert_backend_agrees(gate: RequestHead, data: bytes) -> None:
    """h11 and llhttp see the one request that we meant: method, target, fields, body; and then the next one."""
    if gate.length > 100_000:
        return
    wire_body, payload = body_for(gate.length)
    wire = upstream_head(gate, data) + wire_body + NEXT
    method, target, fields, body, rest = h11_view(wire)
    assert (method, target, body, rest) == (gate.method, gate.target, payload, NEXT)
    assert but_keep_alive(fields) == expected_fields(gate, data)
    assert [value.lower() for name, value in fields if name == b"host"] == [gate.host]
    assert Llhttp(wire).seen == [(method, target, fields, payload), (b"GET", b"/next", [(b"host", b"next")], b"")]


# -- properties

TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=12).map(str.encode)
TEXT = st.binary(max_size=24).map(lambda raw: bytes(c for c in raw if c == 9 or (c >= 32 and c != 127)))
USUAL: dict[bytes, list[bytes]] = {
    b"Accept": [b"*/*"],
    b"Cookie": [b"a=b; c=d"],
    b"Content-Type": [b"text/plain"],
    b"Authorization": [b"Basic eA=="],
    b"Content-Length": [b"0", b"5", b"05", b"5,5", b"99", b""],
    b"Transfer-Encoding": [b"chunked", b"Chunked", b"gzip, chunked", b"identity", b"chunked, x"],
    b"Connection": [
        b"keep-alive",
        b"Keep-Alive",
        b"close",
        b"Upgrade",
        b"keep-alive, X-Foo",
        b"x-foo, te",
        b"",
        b"host",
    ],
    b"X-Foo": [b"1"],
    b"Expect": [b"100-continue", b"x"],
    b"Upgrade": [b"websocket", b"h2c"],
    b"Max-Forwards": [b"0", b"3"],
    b"Host": [b"b"],
    b"TE": [b"trailers"],
    b"X-Forwarded-For": [b"192.0.2.7"],
    b"X-Request-Id": [b"abc", b'"'],
    b"X-Rauta-Reason": [b"no_route"],
    b"Keep-Alive": [b"timeout=5"],
}
TARGETS = [
    b"/",
    b"/a/b?c=d",
    b"/a/../b",
    b"/%7ea/%2f?%zz",
    b"http://host/x",
    b"http://HOST?q",
    b"*",
    b"//x",
    b"/..",
    b"/a/.",
]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"CONNECT", b"PROPFIND", b"NO"]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads of which about half are accepted; every part of an attack may occur in them."""
    fields = draw(
        st.lists(
            st.one_of(
                st.sampled_from(sorted(USUAL)).flatmap(lambda n: st.tuples(st.just(n), st.sampled_from(USUAL[n]))),
                st.tuples(TOKENS, TEXT),
            ),
            max_size=5,
        )
    )
    if draw(st.integers(0, 9)):
        fields.insert(draw(st.integers(0, len(fields))), (b"Host", b"Host"))
    lines = [draw(st.sampled_from(METHODS)) + b" " + draw(st.sampled_from(TARGETS))]
    lines[0] += draw(st.sampled_from([b" HTTP/1.1"] * 5 + [b" HTTP/1.0"]))
    for name, value in fields:
        cased = draw(st.sampled_from([name, name.lower(), name.upper()]))
        lines.append(cased + b":" + draw(st.sampled_from([b" ", b" ", b"", b"\t"])) + value)
        lines[-1] += draw(st.sampled_from([b"", b"", b" "]))
    return b"\r\n".join(lines) + BLANK


@st.composite
def mutated_heads(draw: st.DrawFn) -> bytes:
    """Valid or nearly valid heads with some bytes changed, put in or taken out, or with a line doubled."""
    data = bytearray(draw(heads()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                data[at:at] = draw(
                    st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\r\n", b",", b"\xff", b"\r\n "])
                )
            case 2:
                del data[at : at + draw(st.integers(1, 4))]
            case _:
                line = data[data.rfind(b"\n", 0, at) + 1 : data.find(b"\n", at) + 1]
                data[at:at] = line
        data = data or bytearray(b"\r\n")
    return bytes(data) + BLANK


def accepted(data: bytes) -> RequestHead | None:
    try:
        return read(data)
    except Refused:
        return None


@settings(deadline=None)
@given(heads())
def test_backend_sees_what_was_meant(data: bytes) -> None:
    gate = accepted(data)
    if gate is not None:
        assert_backend_agrees(gate, data)


@settings(deadline=None, max_examples=200)
@given(mutated_heads())
def test_mutations_are_refused_or_understood_alike(data: bytes) -> None:
    gate = accepted(data)  # whatever is raised but Refused fails the test
    if gate is not None:
        assert_backend_agrees(gate, data[: data.index(BLANK) + 4])


@settings(deadline=None)
@given(heads(), st.integers(0, 6))
def test_copied_and_rebuilt_heads_agree(data: bytes, place: int) -> None:
    plain = accepted(data)
    if plain is None or plain.fields is not None:
        return
    lines = data.split(b"\r\n")
    lines.insert(min(1 + place, len(lines) - 2), b"TE: x")  # makes it special, and goes no further
    slow = b"\r\n".join(lines)
    rebuilt = read(slow)
    assert rebuilt.fields is not None
    for name in ("method", "target", "path", "host", "length", "keep_alive", "http10", "request_id"):
        assert getattr(plain, name) == getattr(rebuilt, name)
    copied, built = upstream_head(plain, data), upstream_head(rebuilt, slow)
    assert copied.partition(b"\r\n")[0] == built.partition(b"\r\n")[0]
    assert but_keep_alive(parsed(copied)) == but_keep_alive(parsed(built))


def refusal(gate: RequestHead, data: bytes) -> Reason | None:
    try:
        gate.read(data, data.index(BLANK))
    except Refused as refused:
        return refused.reason
    return None


def everything(gate: RequestHead) -> list[object]:
    names = set(RequestHead.__slots__) - ({"wish"} if gate.fields is None else set())
    return [getattr(gate, name) for name in sorted(names)]


@settings(deadline=None)
@given(st.lists(st.one_of(heads(), mutated_heads()), min_size=2, max_size=6))
def test_nothing_leaks_from_one_read_to_the_next(stream: list[bytes]) -> None:
    shared = RequestHead(LIMITS)
    for data in stream:
        fresh = RequestHead(LIMITS)
        reason = refusal(fresh, data)
        assert refusal(shared, data) == reason
        assert shared.method == fresh.method
        if reason is None:
            assert everything(shared) == everything(fresh)


BEFORE = [
    post(b"Content-Length: 100\r\n"),
    post(b"Transfer-Encoding: chunked\r\n"),
    head(HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"),
    head(HOST, b"CONNECT a:443 HTTP/1.1"),
    head(HOST, b"HEAD / HTTP/1.1"),
    head(HOST, b"POST / HTTP/1.1"),
    head(HOST + b"Connection: close\r\nX-Request-Id: of-another\r\n"),
    head(HOST, b"GET / HTTP/1.0"),
    head(b"X y\r\n"),
    head(line=b"FOO / HTTP/1.1"),
]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("data", [head(), post(b"Content-Length: 5\r\n"), head(HOST + b"Cookie: a=b\r\nTE: x\r\n")])
def test_no_head_changes_what_the_next_one_means(before: bytes, data: bytes) -> None:
    shared, fresh = RequestHead(LIMITS), RequestHead(LIMITS)
    fresh.read(data, data.index(BLANK))
    for _ in range(3):
        refusal(shared, before)
        shared.read(data, data.index(BLANK))
        assert everything(shared) == everything(fresh)


# RFC 9112 and 9110 in one pattern, but for obs-fold and the rarer forms of targets.
GRAMMAR = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ /[!-\"$-~]* HTTP/1\.[01]\r\n"
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n"
)
DISGUISED = re.compile(rb"Content[^-\w]Length|Content_Length")
SEMANTIC = {Reason.METHOD_UNKNOWN, Reason.BAD_HOST, Reason.BAD_PATH, Reason.BAD_FRAMING}


@pytest.mark.parametrize(
    "base",
    [b"GET /a?b HTTP/1.1\r\nHost: a.b\r\nX-Y:\r\n\r\n", b"PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 9\r\n\r\n"],
)
def test_every_byte_in_every_place(base: bytes) -> None:
    """Each of 256 bytes put in each place of a head, and put instead of what is there: the verdict is the grammar's."""
    for at in range(len(base)):
        for tail in (base[at:], base[at + 1 :]):
            for byte in range(256):
                data = base[:at] + bytes((byte,)) + tail
                if data.startswith(b"\r\n") or BLANK not in data:
                    continue  # never get here: downstream.py waits for more
                data = data[: data.index(BLANK) + 4]
                reason = verdict(data)
                if GRAMMAR.fullmatch(data):
                    assert reason is None or reason in SEMANTIC or DISGUISED.search(data), data
                else:
                    assert reason is not None, data


def test_method_is_never_that_of_another_request() -> None:
    gate = RequestHead(LIMITS)
    gate.read(head(line=b"HEAD / HTTP/1.1"), head(line=b"HEAD / HTTP/1.1").index(BLANK))
    with pytest.raises(Refused):
        gate.read(b"\0\r\n\r\n", 1)
    assert gate.method == b""
    with pytest.raises(Refused):
        gate.read(head(b"", b"PUT / HTTP/1.1"), len(b"PUT / HTTP/1.1"))
    assert gate.method == b"PUT"


@pytest.mark.parametrize(
    "data",
    [
        head(b"X" + b" " * 48_000 + b"\r\n"),
        head(b"Host" + b" " * 48_000 + b"\r\n"),
        head(b"Host:" + b" \t" * 24_000 + b"\r\n"),
        head(b"Host: " + b"a." * 24_000 + b"\r\n"),
        head(b"Host: " + b"-" * 48_000 + b"!\r\n"),
        head(HOST + b"X-Forwarded-" + b"a" * 48_000 + b"\r\n"),
        head(HOST + b"Connection: " + b"," * 48_000 + b"\r\n"),
        head(HOST + b"Connection: " + b"a," * 24_000 + b"\r\n"),
        head(HOST + (b"Connection: " + b"x" * 460 + b"\r\n") * 99),
        post(b"Transfer-Encoding: " + b"x," * 24_000 + b"\r\n"),
        post(b"Transfer-Encoding: " + b"a" * 48_000 + b", chunked\r\n"),
        post(b"Content-Length: " + b"1" * 48_000 + b"\r\n"),
        head(HOST + b"X-Request-Id: " + b"a" * 48_000 + b"\r\n"),
        head(HOST + b"\n" * 48_000 + b"\r\n"),
        head(HOST + b"\r" * 48_000 + b"\r\n"),
        head(line=b"G" * 48_000),
        head(line=b"GET /" + b"a" * 48_000),
        head(line=b"GET /" + b" HTTP/1.1" * 5_000),
        get(b"/" + b"." * 8_000),
        get(b"/" + b"./" * 4_000),
        get(b"/" + b"a/" * 2_000 + b"../" * 1_000),
        get(b"/" + b"%41" * 2_700),
        get(b"/" + b"%2F." * 2_000 + b"x"),
        get(b"http://" + b"a" * 8_000),
    ],
)
def test_no_head_takes_more_than_linear_time(data: bytes) -> None:
    """With anything quadratic, 48,000 bytes take minutes: the suite would hang, no clock is needed."""
    verdict(data)


def early(data: bytes) -> Reason | None:
    """The verdict of check_unfinished on `data` in one read, which must be that in reads of one byte."""
    seen = []
    for cuts in ([0, len(data)], range(len(data) + 1)):
        reason = None
        for start, end in pairwise(cuts):
            try:
                check_unfinished(data[:end], start)
            except Refused as refused:
                reason = refused.reason
                break
        seen.append(reason)
    assert seen[0] == seen[1]
    return seen[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"G", None),
        (b"GET / HTTP/1.1\r", None),
        (b"GET / HTTP/1.1\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", None),
        (b"GET /\r\n", Reason.BAD_REQUEST_LINE),
        (b"GET / HTTP/1.1\n", Reason.BAD_REQUEST_LINE),
        (b"GET / HTTP/2.0\r\n", Reason.VERSION_UNKNOWN),
        (b"\x16\x03\x01\n", Reason.BAD_REQUEST_LINE),
        (b"GET / HTTP/1.1\r\nHost: a\n\n", Reason.BAD_FIELD),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Reason.BAD_FIELD),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \n", Reason.BAD_FIELD),
    ],
)
def test_unfinished_heads(data: bytes, reason: Reason | None) -> None:
    assert early(data) == reason


@settings(deadline=None)
@given(heads(), st.integers(0, 200))
def test_unfinished_heads_are_not_refused_if_the_whole_is_accepted(data: bytes, end: int) -> None:
    if accepted(data) is not None:
        assert early(data[:end]) is None


def test_names_to_match() -> None:
    assert split_host(b"shop.example") == b"shop.example"
    assert split_host(b"shop.example.:80") == b"shop.example"
    assert split_host(b"[::1]:80") == b"[::1]"
    assert split_host(b"192.0.2.1") == b"192.0.2.1"


def test_leniencies_of_httptools_stay_off() -> None:
    """Each of them re-opens one hole (RELIABILITY 3.1)."""
    sources = Path(head_module.__file__).parent.glob("*.py")
    word = "set_dangerous_" + "leniencies"
    assert not [source.name for source in sources if word in source.read_text()]
