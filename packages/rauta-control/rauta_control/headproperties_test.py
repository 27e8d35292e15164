"""The request gate: properties against h11, httptools and a slow reference of our own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.handshake import TRAILERS
from rauta_control.head import RequestHead
from rauta_control.headjudge_test import HOST, LIMITS, assert_backend_agrees, early, head, post, read, upstream_head
from rauta_control.headparts_test import BLANK, TEXT, TOKENS, but_keep_alive, mutated, parsed
from rauta_control.reasons import Reason, Refused

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
@given(mutated(heads()))
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
    names = set(RequestHead.__slots__)
    if gate.fields is None or gate.wish != TRAILERS:
        names.remove("named")
    if gate.fields is None:
        names.remove("wish")
    return [getattr(gate, name) for name in sorted(names)]


@settings(deadline=None)
@given(st.lists(st.one_of(heads(), mutated(heads())), min_size=2, max_size=6))
def test_nothing_leaks_from_one_read_to_the_next(stream: list[bytes]) -> None:
    shared = RequestHead(LIMITS)
    for data in stream:
        fresh = RequestHead(LIMITS)
        reason = refusal(fresh, data)
        assert refusal(shared, data) == reason
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
@pytest.mark.parametrize(
    "data",
    [
        head(),
        post(b"Content-Length: 5\r\n"),
        head(HOST + b"Cookie: a=b\r\nTE: x\r\n"),
        head(HOST + b"Connection: close\r\n"),
        head(HOST, b"GET /%61 HTTP/1.1"),
    ],
)
def test_no_head_changes_what_the_next_one_means(before: bytes, data: bytes) -> None:
    shared, fresh = RequestHead(LIMITS), RequestHead(LIMITS)
    fresh.read(data, data.index(BLANK))
    for _ in range(3):
        refusal(shared, before)
        shared.read(data, data.index(BLANK))
        assert everything(shared) == everything(fresh)


@settings(deadline=None)
@given(heads(), st.integers(0, 200))
def test_unfinished_heads_are_not_refused_if_the_whole_is_accepted(data: bytes, end: int) -> None:
    if accepted(data) is not None:
        assert early(data[:end]) is None
