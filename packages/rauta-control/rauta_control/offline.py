"""What needs no gateway, for `rauta validate`, `translate` and `explain`: manifests judged and asked, and codes.

A shell: it reads files and the clock. `rauta` imports it by name, so its signatures are an interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.explanation import Explanation
from rauta_agent_api.meaning import Meaning
from rauta_agent_api.selection import filter_findings
from rauta_agent_api.snapshot import ValidationSnapshot
from rauta_control import objectview
from rauta_control.check import Manifests, judged, load
from rauta_control.compact import compact
from rauta_control.explain import explain as explained
from rauta_control.manifests import read
from rauta_control.meanings import meanings
from rauta_control.pipeline import of_fault
from rauta_control.question import question
from rauta_control.terms import Terms
from rauta_control.translate import Translation


def validate(path: str, gateway_class: str) -> ValidationSnapshot:
    """Judge the manifests at `path`. Raises `not_found` or `failure` for what cannot be read."""
    manifests, translation = _translated(path, gateway_class)
    found = objectview.findings((*translation.findings, *map(of_fault, manifests.faults)))
    return ValidationSnapshot(
        objects=tuple(objectview.objects(translation.statuses)), findings=tuple(filter_findings(found))
    )


def translate(path: str, gateway_class: str) -> dict[str, Any]:
    """Return the IR, statuses and findings of the manifests at `path` as plain data; raises as `validate`."""
    manifests, translation = _translated(path, gateway_class)
    faults = [str(fault) for fault in manifests.faults]
    return compact(translation) | ({"documents": faults} if faults else {})


def explain(
    path: str, gateway_class: str, method: str, url: str, headers: Sequence[str] = (), listener: str = ""
) -> Explanation:
    """Explain what a request would get from the manifests at `path`; raises as `validate` and as GatewayQuery."""
    asked = question(method, url, headers)
    _, translation = _translated(path, gateway_class)
    return explained(translation.resources, asked, listener=listener, findings=translation.findings)


def explain_code(code: str) -> list[Meaning]:
    """Explain the code of a finding or a reason. Raises `usage` for what is none."""
    if found := meanings(code):
        return found
    raise AgentApiError(
        "usage",
        f"'{code}' is no URL, and no code of a finding or a reason",
        "give a URL such as http://HOST:PORT/PATH, or a code of docs/findings.md or docs/reasons.md",
    )


def readable(translation: dict[str, Any]) -> str:
    """Return that as YAML."""
    text: str = yaml.safe_dump(translation, sort_keys=False, width=120, allow_unicode=True)
    return text.rstrip("\n")


def _translated(path: str, gateway_class: str) -> tuple[Manifests, Translation]:
    try:
        manifests = load(read(Path(path)))
    except FileNotFoundError as error:
        raise AgentApiError("not_found", f"{path}: there is no such file or folder", "give another PATH") from error
    except OSError as error:
        raise AgentApiError("failure", f"{path}: {error}", "give a PATH that can be read") from error
    terms = Terms(class_name=gateway_class)
    return manifests, judged(manifests.objects.values(), terms, datetime.now(UTC))
