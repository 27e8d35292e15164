"""YAML and JSON text as documents. Pure.

libyaml reads 5,000 routes in seconds where YAML in Python takes minutes. Timestamps stay text, as in JSON. A key that a
mapping has twice is an error, as YAML says and its libraries do not: one of both values would be lost. `pieces` cuts a
text between its documents without reading them, so that of a file only what changed is read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# YAML 1.2, 9.1.2: this at the start of a line ends a document wherever it stands, in a block scalar too.
_SEPARATOR = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a pair, in JSON: a surrogate


class _Loader(_Base):  # type: ignore[misc]
    """The safe loader without dates and without repeated keys."""

    def flatten_mapping(self, node: Any) -> None:
        """Merge what `<<` names into a mapping; before, its own keys are looked at, once."""
        if not hasattr(node, "distinct"):
            node.distinct = True
            _distinct(node)
        super().flatten_mapping(node)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in _Base.yaml_implicit_resolvers.items()
}


class Piece(NamedTuple):
    """A part of a text that can be read alone: most often one document. `line` is how many lines stand before it."""

    line: int
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text at its document separators, which stay with what follows them; pieces of white space are left out."""
    text = text.removeprefix("\ufeff")
    if _DIRECTIVE.search(text):  # belongs to the document behind the separator, and may not stand alone
        yield Piece(0, text)
        return
    line = start = 0
    for end in (*(found.start() for found in _SEPARATOR.finditer(text)), len(text)):
        piece = text[start:end]
        if piece and not piece.isspace():
            yield Piece(line, piece)
        line += piece.count("\n")
        start = end


def read(piece: Piece) -> list[Any]:
    """The documents of a piece. Raises ValueError that names line and column in the whole text."""
    if piece.text.lstrip().startswith("{"):
        try:
            found = json.loads(piece.text, object_pairs_hook=_object, parse_constant=_no_json)  # several times as fast
            if _HALF.search(piece.text):
                json.dumps(found, ensure_ascii=False).encode()  # half a pair is no text, and nothing could write it
            return [found]
        except (ValueError, RecursionError):
            pass  # YAML in braces, or broken: libyaml says where
    try:
        return list(documents(piece.text))
    except ValueError:
        return list(documents("\n" * piece.line + piece.text))


def documents(text: str) -> Iterator[Any]:
    """The documents of a text, empty ones left out. Raises ValueError that names line and column."""
    try:
        for document in yaml.load_all(text, _Loader):
            if document is not None:
                yield document
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_said(error)) from None


def _distinct(node: Any) -> None:
    """YAML 1.2, 3.2.1.3. Raises yaml.YAMLError."""
    keys = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if (key.tag, key.value) in keys:
            raise yaml.constructor.ConstructorError(None, None, f'the key "{key.value}" is repeated', key.start_mark)
        keys.add((key.tag, key.value))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _said(error: Exception) -> str:
    """What is wrong and where, in one line: `mapping values are not allowed here (line 2, column 7)`."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    context = f"{error.context}, " if error.context else ""
    return f"{context}{error.problem} (line {mark.line + 1}, column {mark.column + 1})"
