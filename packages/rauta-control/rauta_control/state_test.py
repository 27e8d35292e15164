"""States: a delta leads both sides to the same state, whatever changed; what does not fit is refused."""

from functools import reduce
from operator import xor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control import ir
from rauta_control.state import EMPTY, PublishError, State, decode, diff, encode, resource_digest

encoded = st.dictionaries(st.text("abc/", max_size=3), st.binary(max_size=3))


def digest_of(resources: dict[str, bytes]) -> int:
    return reduce(xor, (resource_digest(key, data) for key, data in resources.items()), 0)


@given(st.lists(encoded, min_size=1))
def test_deltas_lead_to_the_same_state_as_everything_at_once(configurations: list[dict[str, bytes]]) -> None:
    control = worker = EMPTY
    for generation, wanted in enumerate(configurations, 1):
        new = control.change(generation, wanted, [key for key in control.encoded if key not in wanted])
        assert (new.encoded, new.digest) == (wanted, digest_of(wanted))
        worker = worker.apply(diff(control, new))
        control = new
        assert worker == control
        assert EMPTY.apply(diff(EMPTY, control)) == control


def test_a_delta_holds_only_what_changed() -> None:
    old = EMPTY.change(1, {"a": b"1", "b": b"1", "c": b"1"})
    new = old.change(2, {"a": b"1", "b": b"2", "d": b"1"}, ["c", "never there"])
    publish = diff(old, new)
    assert (publish.base, publish.generation) == (1, 2)
    assert publish.upserts == {"b": b"2", "d": b"1"}
    assert publish.deletes == ("c",)


def test_what_replaces_everything_fits_any_state() -> None:
    new = EMPTY.change(7, {"a": b"1"})
    assert EMPTY.change(9, {"z": b"9"}).apply(diff(EMPTY, new)) == new


@pytest.mark.parametrize(
    ("field", "value", "cause"), [("version", 99, "version"), ("base", 1, "base"), ("digest", 5, "digest")]
)
def test_what_does_not_fit_is_refused(field: str, value: int, cause: str) -> None:
    old = EMPTY.change(3, {"a": b"1"})
    publish = msgspec.structs.replace(diff(old, old.change(4, {"b": b"2"})), **{field: value})
    with pytest.raises(PublishError) as refused:
        old.apply(publish)
    assert refused.value.cause == cause
    assert old == EMPTY.change(3, {"a": b"1"})


def test_a_state_that_went_astray_is_found_by_the_next_delta() -> None:
    control = EMPTY.change(1, {"a": b"1"})
    astray = State(1, {"a": b"other"}, digest_of({"a": b"other"}))
    with pytest.raises(PublishError, match="digest"):
        astray.apply(diff(control, control.change(2, {"b": b"2"})))


def test_applying_yields_after_each_resource() -> None:
    publish = diff(EMPTY, EMPTY.change(1, {"a": b"", "b": b""}))
    assert len(list(EMPTY.applying(publish))) == 2


def test_resources_survive_encoding() -> None:
    cluster = ir.Cluster("c", (ir.Endpoint("::1", 80, slot=3, epoch=2),), b"table")
    rule = ir.Rule("r", "r", "l|*", "/", "prefix", (ir.ClusterWeight("c"),))
    for resource in (cluster, rule, ir.Listener("l", "0.0.0.0", 80, 80), ir.VirtualHost("l", "*")):
        assert decode(encode(resource)) == resource
