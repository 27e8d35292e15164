"""What a text says, and where it is wrong: keys that are there twice and halves of characters, in YAML and in JSON."""

import pytest

from rauta_control.documents import Piece, documents, read


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: {c: 1, d: 2, c: 3}\n", '"c" is repeated (line 2, column 17)'),
        ("a: 1\na: 1\n", '"a" is repeated (line 2, column 1)'),
        ("- {1: a, 1: b}", '"1" is repeated (line 1, column 10)'),
        ("x: &x {a: 1, a: 2}\ny: {<<: *x}\n", '"a" is repeated (line 1, column 14)'),
        ('{"a": 1,\n "a": 2}', '"a" is repeated (line 2, column 2)'),
        ('{"a": [{"b": 1, "b": 1}]}', '"b" is repeated (line 1, column 17)'),
    ],
)
def test_a_repeated_key_is_an_error(text: str, where: str) -> None:
    with pytest.raises(ValueError, match="is repeated") as caught:
        read(Piece(0, text))
    assert str(caught.value) == f"the key {where}"


@pytest.mark.parametrize(
    "text",
    [
        "x: &x {a: 1}\ny: {<<: *x, a: 2}\nz: *x\n",
        "a: &a {<<: &b {k: 1}, k: 2}\nb: {<<: *a, k: 3}\nc: *b\n",
        "b: {<<: [{k: 1}, {k: 2}]}\n",
        "{a: {b: 1}, b: {b: 1}}",
        "{1: a, '1': b}",
        '{"a": {"b": 1}, "b": 1}',
    ],
)
def test_what_is_merged_or_elsewhere_is_not_repeated(text: str) -> None:
    assert len(read(Piece(0, text))) == 1


@pytest.mark.parametrize(
    ("text", "column"), [('{"a": "\\ud800"}', 10), ('{"\\uDC00": 1}', 5), ('{"a": ["\\ud83dx"]}', 11)]
)
def test_half_a_pair_is_no_text(text: str, column: int) -> None:
    with pytest.raises(ValueError, match=rf"invalid Unicode character escape code \(line 1, column {column}\)"):
        read(Piece(0, text))


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": "\\ud83d\\uDE00"}', "\U0001f600"), (r'{"a": "\\ud800"}', r"\ud800")]
)
def test_a_pair_is_a_character_and_what_is_escaped_is_none(text: str, value: str) -> None:
    assert read(Piece(0, text)) == [{"a": value}]


def test_merged_mappings() -> None:
    text = "x: &x {a: 1, b: 1}\ny: {<<: *x, a: 2}\nz: {<<: *x}\n"
    assert list(documents(text)) == [{"x": {"a": 1, "b": 1}, "y": {"a": 2, "b": 1}, "z": {"a": 1, "b": 1}}]


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1} {"b": 2}', "{" * 5000])
def test_what_is_no_json_is_read_as_yaml_or_refused(text: str) -> None:
    try:
        found = read(Piece(0, text))
    except ValueError:
        return
    assert found == [{"a": "NaN"}]
