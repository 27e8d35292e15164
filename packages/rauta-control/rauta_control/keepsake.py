"""What is kept of broken documents, as bytes: the last good objects that files do not say any more. Pure.

The supervisor holds them (messages.Keep), so that a control that restarts beside a broken file knows what it was when
it was good. A line of JSON an object: [file, kind, object].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from rauta_control.kinds import KINDS, AnyResource, decoder

_line: msgspec.json.Decoder[tuple[str, str, msgspec.Raw]] = msgspec.json.Decoder(tuple[str, str, msgspec.Raw])


def written(kept: Mapping[str, Iterable[AnyResource]]) -> Iterator[bytes]:
    """The objects kept, by file, a piece of the text each."""
    for name, resources in kept.items():
        for resource in resources:
            yield msgspec.json.encode((name, resource.kind, resource)) + b"\n"


def read(text: bytes) -> dict[str, list[AnyResource]]:
    """The objects by file. What another version wrote and this one cannot read is left out."""
    kept: dict[str, list[AnyResource]] = {}
    for line in text.splitlines():
        try:
            name, kind, encoded = _line.decode(line)
            resource = decoder(KINDS[kind].struct).decode(encoded)
        except (msgspec.MsgspecError, KeyError):
            continue
        kept.setdefault(name, []).append(resource)
    return kept
