"""What is kept of broken documents comes back as it was; what cannot be read is left out."""

import pytest

from rauta_control import keepsake
from rauta_control.admission import Admitted, admit
from rauta_control.specimen_test import DOCUMENTS


@pytest.mark.parametrize("kind", sorted(DOCUMENTS))
def test_every_kind_comes_back(kind: str) -> None:
    verdict = admit(DOCUMENTS[kind])
    assert isinstance(verdict, Admitted)
    kept = {"a/b.yaml": [verdict.resource], "line\nend": [verdict.resource, verdict.resource]}
    assert keepsake.read(b"".join(keepsake.written(kept))) == kept


def test_nothing_is_kept_of_nothing() -> None:
    assert list(keepsake.written({})) == []
    assert keepsake.read(b"") == {}


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b'["a.yaml", "Unheard", {}]',
        b'["a.yaml", "Service", {"kind": "Gateway"}]',
        b'["a.yaml", "Service", {"kind": "Service", "metadata": {"name": 4}}]',
    ],
)
def test_what_cannot_be_read_is_left_out(line: bytes) -> None:
    verdict = admit(DOCUMENTS["Service"])
    assert isinstance(verdict, Admitted)
    good = b"".join(keepsake.written({"b.yaml": [verdict.resource]}))
    assert keepsake.read(line + b"\n" + good) == {"b.yaml": [verdict.resource]}
