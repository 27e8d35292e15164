"""Paths: known attacks and more, then properties against a slow reference."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.path import SUSPICIOUS, normalise
from rauta_control.reasons import Reason, Refused


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/", b"/"),
        (b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/a/%2e%2e/b", b"/b"),
        (b"/a/.%2E/b", b"/b"),
        (b"/a%2fb", b"/a%2Fb"),
        (b"/%7Ejoe/%41%2D%5f", b"/~joe/A-_"),
        (b"/a/./b", b"/a/b"),
        (b"/a/.", b"/a/"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/../", b"/a/"),
        (b"/.", b"/"),
        (b"/./", b"/"),
        (b"/a/b/c/../../d", b"/a/d"),
        (b"//a///b", b"//a///b"),
        (b"/a//..", b"/a/"),
        (b"/a//../b", b"/a/b"),
        (b"/.//a", b"//a"),
        (b"/...", b"/..."),
        (b"/.a/..b/c./d..", b"/.a/..b/c./d.."),
        (b"/.well-known/acme", b"/.well-known/acme"),
        (b"/%25", b"/%25"),
        (b"/%252e%252E/", b"/%252e%252E/"),  # decoded once: a backend that decodes twice is on its own
        (b"/a%20b%c3%a9", b"/a%20b%C3%A9"),
        (b"/%c0%ae%c0%aea/%c0%afb", b"/%C0%AE%C0%AEa/%C0%AFb"),  # overlong UTF-8, or Latin-1
        (b"/%f0%80%80%aea/..%c1%9d", b"/%F0%80%80%AEa/..%C1%9D"),
        (b"/%u002e", None),
        (b"/a%3bb;c", b"/a%3Bb;c"),
        (b"/a;x/../b", b"/b"),
        (b"/a%2F.b/..c%2Fd", b"/a%2F.b/..c%2Fd"),
        (b"/a%2f%2fb", b"/a%2F%2Fb"),
        (b"/a%2Fb/../c", b"/c"),
        (b"/%0d%0aX:", b"/%0D%0AX:"),
        (b"/a%3F%23", b"/a%3F%23"),
        # -- refused
        (b"/a%00b", None),
        (b"/a%zz", None),
        (b"/a%", None),
        (b"/a%2", None),
        (b"/a%2g", None),
        (b"/a%%41", None),
        (b"/a%-1", None),
        (b"/a%+1", None),
        (b"/a% 1", None),
        (b"/../../etc", None),
        (b"/..", None),
        (b"/a/../..", None),
        (b"/a/../../b", None),
        (b"/%2e%2e/b", None),
        (b"/./..", None),
        (b"/a\\b", None),
        (b"/a/..\\b", None),
        (b"/a%5Cb", None),
        (b"/a%5cb", None),
        (b"/a/..%2fb", None),
        (b"/a/..%2Fb", None),
        (b"/a%2f..%2fb", None),
        (b"/a%2f../b", None),
        (b"/a%2F..", None),
        (b"/a%2f.", None),
        (b"/.%2fa", None),
        (b"/a/%2e%2e%2fb", None),
        (b"/a/..;/b", None),
        (b"/a/..;x=y/b", None),
        (b"/a/.;/b", None),
        (b"/a/..%3b/b", None),
        (b"/a/%2e%2e;/b", None),
        (b"/a/%c0%ae%c0%ae/b", None),
        (b"/a/.%c0%ae", None),
        (b"/a/%f0%80%80%ae%f0%80%80%ae/b", None),
        (b"/a/..%f8%80%80%80%af", None),
        (b"/a%fc%80%80%80%80%af..%fc%80%80%80%80%afb", None),
        (b"/a/..%c1%9cb", None),  # a backslash
        (b"/a%e0%81%9c..", None),
        (b"/a/..%c0%afb", None),
        (b"/a%C0%AF../b", None),
        (b"/%e0%80%ae/b", None),
    ],
)
def test_normalise(path: bytes, normal: bytes | None) -> None:
    if normal is None:
        with pytest.raises(Refused) as refused:
            normalise(path)
        assert refused.value.reason == Reason.BAD_PATH
    else:
        assert normalise(path) == normal


def reference(path: bytes) -> bytes | None:
    """The same by hand: a character at a time, a segment at a time. None: refused."""
    unreserved = (string.ascii_letters + string.digits + "-._~").encode()
    text = b""
    at = 0
    while at < len(path):
        if path[at : at + 1] == b"%":
            digits = path[at + 1 : at + 3]
            if len(digits) != 2 or any(digit not in string.hexdigits.encode() for digit in digits):
                return None
            byte = bytes.fromhex(digits.decode())
            if byte in {b"\0", b"\\"}:
                return None
            text += byte if byte in unreserved else b"%" + digits.upper()
            at += 3
        else:
            if path[at : at + 1] == b"\\":
                return None
            text += path[at : at + 1]
            at += 1
    output: list[bytes] = []
    *segments, last = text.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not output:
                return None
            output = output[:-1]
        elif segment != b".":
            output.append(segment)
    if last == b"..":
        if not output:
            return None
        output = output[:-1]
    output.append(b"" if last in {b".", b".."} else last)
    # What remains is safe only if no reading of it, with slashes decoded and parameters cut off, has a dot segment.
    result = b"/" + b"/".join(output)
    for part in result.replace(b"%2F", b"/").split(b"/"):
        if part.replace(b"%3B", b";").partition(b";")[0] in {b".", b".."}:
            return None
    return result


PIECES = [b"a", b"B", b"/", b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"\\", b"%00", b"%7e", b"%41"]
PIECES += [b"%", b"%4", b"%zz", b";", b"%3b", b"%25", b"~", b"%c3%a9", b"/../", b"/./", b"/a/", b"!$&'()*+,=:@", b"%20"]
SAFER = [piece for piece in PIECES if piece not in {b"%", b"%4", b"%zz", b"\\", b"%5c", b"%00"}]
PATHS = st.one_of(
    st.lists(st.sampled_from(SAFER), max_size=10).map(lambda pieces: b"/a/b/" + b"".join(pieces)),
    st.lists(st.sampled_from(PIECES), max_size=10).map(lambda pieces: b"/" + b"".join(pieces)),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#?")).map(
        lambda text: b"/" + text.encode()
    ),
)


@settings(deadline=None, max_examples=500)
@given(PATHS)
def test_normal_form(path: bytes) -> None:
    expected = reference(path)
    try:
        normal = normalise(path)
    except Refused as refused:
        assert refused.reason == Reason.BAD_PATH  # noqa: PT017 - not raised for every example
        assert expected is None
        return
    assert normal == expected
    assert normalise(normal) == normal
    assert normal.startswith(b"/")
    assert not {b".", b".."} & set(normal.split(b"/"))
    assert b"\\" not in normal
    if not SUSPICIOUS.search(path):
        assert normal is path
    escapes = [normal[at + 1 : at + 3] for at in range(len(normal)) if normal[at] == ord("%")]
    for escape in escapes:
        byte = bytes.fromhex(escape.decode())
        assert escape == escape.upper()
        assert not byte.isalnum()
        assert byte not in b"-._~\0\\"


@settings(deadline=None)
@given(st.binary(max_size=30))
def test_never_raises_anything_else(tail: bytes) -> None:
    try:
        normalise(b"/" + tail)
    except Refused as refused:
        assert refused.reason == Reason.BAD_PATH  # noqa: PT017
