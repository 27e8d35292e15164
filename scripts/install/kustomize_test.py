from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from scripts.install import kustomize
from scripts.install.kustomize import build, merged

HEAD = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
THING = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "data": {"x": 1}}


def folder(path: Path, files: dict[str, dict[str, Any]], **fields: Any) -> Path:
    path.mkdir(exist_ok=True)
    for name, document in {kustomize.FILE: HEAD | fields, **files}.items():
        (path / name).write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1, "b": {"c": 1}}, {"b": {"d": 2}}, {"a": 1, "b": {"c": 1, "d": 2}}),
        ({"a": 1, "b": {"c": 1}}, {"b": {"c": None}}, {"a": 1, "b": {}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"all": [{"name": "x", "v": 1}, {"name": "y"}]},
            {"all": [{"name": "x", "w": 2}, {"name": "z"}]},
            {"all": [{"name": "x", "v": 1, "w": 2}, {"name": "z"}, {"name": "y"}]},
        ),
    ],
)
def test_patches_merge(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


def test_components_change_what_the_resources_brought(tmp_path: Path) -> None:
    folder(tmp_path / "base", {"a.yaml": THING}, resources=["a.yaml"])
    patch = {"path": "p.yaml", "target": {"kind": "Thing|Other", "name": "a"}}
    folder(tmp_path / "part", {"p.yaml": {"kind": "Other", "data": {"y": 2}}}, kind="Component", patches=[patch])
    mode = folder(tmp_path / "mode", {}, resources=["../base"], components=["../part"])
    assert build(mode) == [THING | {"data": {"x": 1, "y": 2}}]


def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    with pytest.raises(msgspec.ValidationError, match="namePrefix"):
        build(folder(tmp_path / "a", {}, namePrefix="x-"))
    with pytest.raises(ValueError, match=r"listed: \['a.yaml'\]"):
        build(folder(tmp_path / "b", {"a.yaml": THING}))
    with pytest.raises(FileNotFoundError):
        build(folder(tmp_path / "c", {}, resources=["a.yaml"]))
    with pytest.raises(ValueError, match="each object once"):
        build(folder(tmp_path / "d", {"a.yaml": THING, "b.yaml": THING}, resources=["a.yaml", "b.yaml"]))
    patch = {"path": "p.yaml", "target": {"kind": "Thing", "name": "b"}}
    with pytest.raises(ValueError, match="expected an object"):
        build(folder(tmp_path / "e", {"p.yaml": {}, "a.yaml": THING}, resources=["a.yaml"], patches=[patch]))
