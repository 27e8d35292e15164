from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rauta_control.clustersource import ClusterSource
from rauta_control.ir import Listener
from rauta_control.log import Log
from rauta_control.pipeline import Pipeline
from rauta_control.replica import Replica
from rauta_control.settings import Settings
from rauta_control.terms import Terms


class Told:
    """In the place of a replica."""

    def __init__(self) -> None:
        self.stood: list[int] = []

    def stand(self, listeners: Sequence[Listener]) -> None:
        self.stood.append(len(listeners))


def test_listeners_are_told_once_all_objects_are_known_and_then_when_they_change() -> None:
    told = Told()
    source = ClusterSource(Settings(kubernetes=True), Pipeline(Terms(), lambda: None), Log("control", "error"))
    listeners = [Listener("shop/gw/[::]:80", "::", 10050, 80, gateways=("shop/gw",))]
    source.stand(listeners)
    source._replica = cast("Replica", told)
    source.stand(listeners)
    assert told.stood == [], "Services of Gateways that are not known yet would be deleted"
    source.synced()
    source.stand(listeners)
    source.stand(listeners)
    source.stand([])
    assert told.stood == [1, 0]
