"""A transaction in parts: a Publish may be megabytes, and nobody may be kept from its work by one message. Pure.

Every part is a Publish of its own, on a link or in a memfd a frame (frames.py), and `more` in all but the last. They
agree in everything else but what they change, which adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
from msgspec.structs import replace

from rauta_control.frames import FrameDecoder, frame
from rauta_control.messages import Publish

PART = 131_072  # bytes of changes after which the next part begins: about 0.1 ms to encode or decode
OVERHEAD = 64  # bytes that a change counts beside its own, so that parts of tiny ones end as well

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Publish)


def split(publish: Publish) -> Iterator[bytes]:
    """Yield the frames of a transaction."""
    upserts: dict[str, bytes] = {}
    deletes: list[str] = []
    size = 0
    for key, encoded in chain(publish.upserts.items(), ((key, None) for key in publish.deletes)):
        if encoded is None:
            deletes.append(key)
        else:
            upserts[key] = encoded
        size += OVERHEAD + len(key) + len(encoded or b"")
        if size >= PART:
            yield _part(publish, upserts, deletes, more=True)
            upserts, deletes, size = {}, [], 0
    yield _part(publish, upserts, deletes, more=False)


def _part(publish: Publish, upserts: dict[str, bytes], deletes: list[str], *, more: bool) -> bytes:
    return frame(_encoder.encode(replace(publish, upserts=upserts, deletes=tuple(deletes), more=more)))


class Joiner:
    """Puts transactions together again. `base` is that of the last part."""

    def __init__(self) -> None:
        self.base = 0
        self._first: Publish | None = None
        self._upserts: dict[str, bytes] = {}
        self._deletes: list[str] = []

    def add(self, payload: bytes) -> Publish | None:
        """Take the next part; return the whole after the last. Raises msgspec.MsgspecError, having forgotten the rest.

        A part of another transaction begins anew: its sender has given up the one before.
        """
        first, self._first = self._first, None
        part = _decoder.decode(payload)
        self.base = part.base
        if first is None or _identity(first) != _identity(part):
            first, self._upserts, self._deletes = part, {}, []
        self._upserts.update(part.upserts)
        self._deletes += part.deletes
        if part.more:
            self._first = first
            return None
        whole = replace(first, upserts=self._upserts, deletes=tuple(self._deletes), more=False)
        self._upserts, self._deletes = {}, []
        return whole


def join(chunks: Iterable[bytes]) -> Publish:
    """Return the transaction whose frames these are, cut anyhow. Raises FrameError (ValueError) or MsgspecError."""
    decoder, joiner = FrameDecoder(), Joiner()
    for chunk in chunks:
        for payload in decoder.feed(chunk):
            if (publish := joiner.add(payload)) is not None:
                return publish
    raise ValueError("the end is missing")


def _identity(part: Publish) -> tuple[int, int, int]:
    return part.generation, part.base, part.digest
