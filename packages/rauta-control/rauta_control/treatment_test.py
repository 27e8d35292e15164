"""What a rule's treatment is made of."""

from __future__ import annotations

from collections import Counter

import pytest

from rauta_control import ir
from rauta_control.action import Cors, Filters, HeaderEdit, Mirror, PathEdit, Redirect, Rewrite
from rauta_control.cluster import Cluster
from rauta_control.treatment import Treatment

CLUSTERS = {name: Cluster(name, lambda: 0.5) for name in "abm"}


def treatment(filters: Filters | None, *shares: ir.ClusterWeight, **more: str) -> Treatment | None:
    fields = {"path": "/x", "path_type": "prefix", **more}
    return Treatment.of(ir.Rule("r", "r", "l|*", clusters=shares, filters=filters, **fields), CLUSTERS)  # type: ignore[arg-type]


def test_most_rules_have_none() -> None:
    assert treatment(None) is None
    assert treatment(None, ir.ClusterWeight("a"), ir.ClusterWeight("", fault="gone")) is None


@pytest.mark.parametrize(
    ("filters", "part"),
    [
        (Filters(request=HeaderEdit(drop=("a",))), "request"),
        (Filters(response=HeaderEdit(drop=("a",))), "response"),
        (Filters(redirect=Redirect(302, "http", 0)), "redirect"),
        (Filters(rewrite=Rewrite("a")), "host"),
        (Filters(rewrite=Rewrite(path=PathEdit("/"))), "path"),
        (Filters(cors=Cors()), "cors"),
        (Filters(mirrors=(Mirror("m"),)), "mirrors"),
    ],
)
def test_parts(filters: Filters, part: str) -> None:
    made = treatment(filters)
    assert made is not None
    assert [name for name in Treatment.__slots__ if getattr(made, name)] == [part]


def test_a_share_adds_to_its_rule() -> None:
    rule = Filters(mirrors=(Mirror("m", 1, 2),), rewrite=Rewrite("rule"), cors=Cors(("https://rule",)))
    own = Filters(mirrors=(Mirror("a"),), rewrite=Rewrite("share", PathEdit("/y", prefix=True)))
    made = treatment(rule, ir.ClusterWeight("a", 1, own), ir.ClusterWeight("b"))
    assert made is not None
    (first, special), (second, common) = made.shares
    assert (first, second, common) == (CLUSTERS["a"], CLUSTERS["b"], made)
    assert special.mirrors == ((CLUSTERS["m"], 0.5), (CLUSTERS["a"], 1.0))
    assert special.host == b"Host: share\r\n"
    assert special.path is not None
    assert special.path.apply(b"/x/z") == b"/y/z"
    assert special.cors is not None
    assert special.cors.origin(b"Origin: https://rule\r\n")
    assert (common.host, common.path) == (b"Host: rule\r\n", None)


@pytest.mark.parametrize("kind", ["exact", "regex"])
def test_only_a_prefix_is_a_prefix(kind: str) -> None:
    made = treatment(Filters(rewrite=Rewrite(path=PathEdit("/y", prefix=True))), path_type=kind)
    assert made is not None
    assert made.path is not None
    assert made.path.apply(b"/x/z?q") == b"/y?q"


def test_shares_are_drawn_by_weight() -> None:
    own = Filters(rewrite=Rewrite("a"))
    shares = (ir.ClusterWeight("a", 3, own), ir.ClusterWeight("b", 0, own), ir.ClusterWeight("", 1, fault="gone"))
    made = treatment(None, *shares)
    assert made is not None
    drawn = Counter((cluster.name if cluster else "") for cluster, _ in (made.draw(at / 100) for at in range(100)))
    assert drawn == {"a": 75, "": 25}
    assert made.draw(1 - 2**-53)[0] is None
