"""The published state: what control has told the workers and what a worker holds, as encoded resources by key. Pure.

Both sides keep the same `State`, and every `Publish` carries the digest that must come out, so a difference is found at
once, whatever its cause, and answered with a full resync. The digest of a state is the XOR of the digests of its
resources: a change costs what it touches, not the size of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from rauta_common import hashing
from rauta_control import ir
from rauta_control.messages import PROTOCOL_VERSION, Publish
from rauta_control.slices import Slices, finish

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ir.Resource] = msgspec.msgpack.Decoder(ir.Resource)


class PublishError(Exception):
    """A Publish does not fit the state, which is unchanged; `cause` says in which respect. A full resync repairs it."""

    def __init__(self, cause: Literal["version", "base", "digest"], message: str) -> None:
        super().__init__(message)
        self.cause = cause


def encode(resource: ir.Resource) -> bytes:
    """Return the msgpack form of a resource; equal resources have equal bytes."""
    return _encoder.encode(resource)


def decode(encoded: bytes) -> ir.Resource:
    """Return the resource of `encode`'s bytes. Raises msgspec.DecodeError if they are not one."""
    return _decoder.decode(encoded)


def resource_digest(key: str, encoded: bytes) -> int:
    """Return the 64-bit digest of one resource under its key."""
    return hashing.digest(key.encode(), encoded)


@dataclass(frozen=True, slots=True)
class State:
    """Encoded resources by key at a generation. Nobody changes `encoded` once it is in a State."""

    generation: int
    encoded: Mapping[str, bytes]
    digest: int

    def change(self, generation: int, upserts: Mapping[str, bytes], deletes: Iterable[str] = ()) -> State:
        """Return the state at `generation` in which these keys became this and those are gone."""
        return finish(self.changing(generation, upserts, deletes))

    def apply(self, publish: Publish) -> State:
        """Return the state that `publish` leads to. Raises PublishError if it does not fit."""
        return finish(self.applying(publish))

    def applying(self, publish: Publish) -> Slices[State]:
        """Do what `apply` does, a resource at a time."""
        if publish.version != PROTOCOL_VERSION:
            raise PublishError("version", f"protocol version {publish.version}, expected {PROTOCOL_VERSION}")
        if publish.base not in (EMPTY.generation, self.generation):
            raise PublishError("base", f"a change of generation {publish.base} cannot follow {self.generation}")
        start = EMPTY if publish.base == EMPTY.generation else self
        state = yield from start.changing(publish.generation, publish.upserts, publish.deletes)
        if state.digest != publish.digest:
            raise PublishError("digest", f"digest {state.digest:#018x}, expected {publish.digest:#018x}")
        return state

    def changing(self, generation: int, upserts: Mapping[str, bytes], deletes: Iterable[str] = ()) -> Slices[State]:
        """Do what `change` does, a resource at a time."""
        encoded = dict(self.encoded)
        digest = self.digest
        for key in deletes:
            if (old := encoded.pop(key, None)) is not None:
                digest ^= resource_digest(key, old)
            yield
        for key, new in upserts.items():
            if (old := encoded.get(key)) is not None:
                digest ^= resource_digest(key, old)
            digest ^= resource_digest(key, new)
            encoded[key] = new
            yield
        return State(generation, encoded, digest)


EMPTY = State(-1, {}, 0)  # generation -1: nothing yet


def diff(old: State, new: State) -> Publish:
    """Return what turns `old` into `new`; from EMPTY this is everything, with base -1."""
    return Publish(
        version=PROTOCOL_VERSION,
        generation=new.generation,
        base=old.generation,
        digest=new.digest,
        upserts={key: data for key, data in new.encoded.items() if old.encoded.get(key) != data}
        if old.encoded
        else dict(new.encoded),
        deletes=tuple(key for key in old.encoded if key not in new.encoded),
    )
