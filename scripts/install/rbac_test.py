"""The permissions in `manifests/` are those that the code asks for: none is missing, none is too much.

That the code asks for no others at run time is what replica_test.py of rauta-control shows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rauta_control import leader, lease
from rauta_control.kinds import KINDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = list(yaml.safe_load_all((ROOT / "manifests/base/rbac.yaml").read_text()))
SERVICES = list(yaml.safe_load_all((ROOT / "manifests/services/rbac.yaml").read_text()))

Permission = tuple[str, str, str, str]  # verb, group, resource, and the name it is limited to or ""


def granted(kind: str, documents: Sequence[Any] = DOCUMENTS) -> set[Permission]:
    """What the rules of all objects of a kind permit."""
    rules = [rule for each in documents if each["kind"] == kind for rule in each["rules"]]
    found = [
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    ]
    assert len(found) == len(set(found)), "expected each permission once"
    return set(found)


def of_kinds() -> Iterator[Permission]:
    """What following all kinds needs, and writing the statuses of those that have one."""
    for kind, entry in KINDS.items():
        plural = kind.lower() + ("es" if kind.endswith("s") else "s")
        plural = plural.replace("cys", "cies")
        for version in entry.served:
            group = version.rpartition("/")[0]
            yield from ((verb, group, plural, "") for verb in ("list", "watch"))
            if "status" in entry.struct.__struct_fields__ and not entry.core:  # of those others write the statuses
                yield from (("get", group, plural, ""), ("patch", group, f"{plural}/status", ""))


def test_cluster_wide_it_reads_its_kinds_and_writes_statuses_and_nothing_else() -> None:
    assert granted("ClusterRole") == set(of_kinds())


def test_services_of_gateways_take_what_applying_and_deleting_them_does() -> None:
    kinds = (("", "services"), ("discovery.k8s.io", "endpointslices"))
    verbs = ("create", "patch", "delete")  # an apply that creates needs both
    assert granted("ClusterRole", SERVICES) == {(verb, *kind, "") for verb in verbs for kind in kinds}
    role, binding = SERVICES
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == next(each["subjects"] for each in DOCUMENTS if "subjects" in each)


def test_in_its_namespace_it_may_do_with_one_lease_what_an_election_does() -> None:
    group = lease.VERSION.partition("/")[0]
    assert granted("Role") == {
        ("create", group, "leases", ""),  # there is no name yet that it could be limited to
        ("get", group, "leases", leader.NAME),
        ("update", group, "leases", leader.NAME),
    }


def test_wildcards_and_powers_over_powers_are_in_no_rule() -> None:
    everything = granted("ClusterRole") | granted("Role")
    assert not any("*" in part for permission in everything for part in permission)
    assert not {verb for verb, *_ in everything} & {"delete", "deletecollection", "escalate", "bind", "impersonate"}


def test_each_role_is_bound_to_the_service_account_and_to_nobody_else() -> None:
    account = yaml.safe_load((ROOT / "manifests/base/serviceaccount.yaml").read_text())["metadata"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    roles = {(each["kind"], each["metadata"]["name"]) for each in DOCUMENTS if "rules" in each}
    bindings = [each for each in DOCUMENTS if "subjects" in each]
    assert {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in bindings} == roles
    assert all(each["subjects"] == [subject] for each in bindings)
    assert len(DOCUMENTS) == len(roles) + len(bindings)
