"""Parts of request and response heads, and what spoils either: for the tests of both gates. No tests in here."""

from hypothesis import strategies as st

BLANK = b"\r\n\r\n"

TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=12).map(str.encode)
TEXT = st.binary(max_size=24).map(lambda raw: bytes(c for c in raw if c == 9 or (c >= 32 and c != 127)))


@st.composite
def mutated(draw: st.DrawFn, heads: st.SearchStrategy[bytes]) -> bytes:
    """Some of `heads` with some bytes changed, put in or taken out, or with a line doubled."""
    data = bytearray(draw(heads))
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
                data[at:at] = data[data.rfind(b"\n", 0, at) + 1 : data.find(b"\n", at) + 1]
        data = data or bytearray(b"\r\n")
    return bytes(data) + BLANK


def parsed(data: bytes) -> list[tuple[bytes, bytes]]:
    """Field lines the slow way, names in lower case, values without the space around them."""
    lines = [line.split(b":", 1) for line in data[: data.index(BLANK)].split(b"\r\n")[1:]]
    return [(name.lower(), value.strip(b" \t")) for name, value in lines]


def but_keep_alive(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`Connection: keep-alive` may be passed on or not: it is what HTTP/1.1 means without it."""
    return [(name, value) for name, value in fields if (name, value.lower()) != (b"connection", b"keep-alive")]
