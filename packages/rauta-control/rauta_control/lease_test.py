"""Election: one leader at a time, whoever dies, is cut off, or has a clock of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.apianswer import Answer
from rauta_control.lease import DEADLINE, Election, Request

WALL = datetime(2026, 11, 22, tzinfo=UTC)


class Server:
    """A Lease in an API server."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes = 0

    def do(self, request: Request) -> Answer:
        if request.method == "GET":
            return Answer(200, json.dumps(self.lease).encode()) if self.lease else Answer(404, b"")
        assert request.body is not None
        if request.method == "PUT":
            if self.lease is None:
                return Answer(404, b"")
            if request.body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                return Answer(409, b"")
        elif self.lease is not None:
            return Answer(409, b"")
        self.version += 1
        self.writes += 1
        self.lease = json.loads(json.dumps(request.body))
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return Answer(200, json.dumps(self.lease).encode())


class Replica:
    """A candidate with an own clock, which may be cut off from the server."""

    def __init__(self, server: Server, name: str, skew: timedelta = timedelta()) -> None:
        self.election = Election(name, "rauta-system", "lease")
        self.server = server
        self.skew = skew
        self.alive = True
        self.cut = False

    def step(self, now: float) -> None:
        """Do all that is due at `now`."""
        while self.alive and self.election.due <= now:
            request = self.election.ask(now, WALL + self.skew)
            if self.cut:
                self.election.failed("cut off", now)
            else:
                self.election.answered(request, self.server.do(request), now)

    def leads(self, now: float) -> bool:
        return self.alive and self.election.leading(now)


def pass_time(replicas: list[Replica], start: float, end: float, tick: float = 0.1) -> float | None:
    """Let time pass; return when the first of them led. Never do two lead."""
    first, now = None, start
    while now <= end:
        for replica in replicas:
            replica.step(now)
        leaders = [each for each in replicas if each.leads(now)]
        assert len(leaders) <= 1
        if leaders and first is None:
            first = now
        now = round(now + tick, 3)
    return first


def test_the_first_leads_and_goes_on_leading_by_a_write_every_two_seconds() -> None:
    server = Server()
    one, two = Replica(server, "one"), Replica(server, "two")
    assert pass_time([one], 0, 0) == 0
    assert pass_time([one, two], 0, 60) == 0
    assert one.leads(60)
    assert 30 <= server.writes <= 32
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 0


@pytest.mark.parametrize("skew", [timedelta(), timedelta(hours=1), timedelta(hours=-1)])
@pytest.mark.parametrize("moment", [20.0, 20.9, 21.9])
def test_when_the_leader_is_killed_the_other_leads_within_seventeen_seconds(skew: timedelta, moment: float) -> None:
    server = Server()
    one, two = Replica(server, "one"), Replica(server, "two", skew)
    pass_time([one], 0, 1)
    pass_time([one, two], 1.1, moment)
    one.alive = False
    led = pass_time([two], moment, moment + 30)
    assert led is not None
    assert 13 <= led - moment <= 17.1
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_a_leader_that_is_cut_off_ends_before_another_begins() -> None:
    server = Server()
    one, two = Replica(server, "one"), Replica(server, "two")
    pass_time([one], 0, 1)
    pass_time([one, two], 1.1, 20)
    one.cut = True
    pass_time([one, two], 20.1, 60)
    assert not one.leads(20 + DEADLINE + 0.1)
    assert two.leads(60)
    one.cut = False
    pass_time([one, two], 60.1, 90)
    assert two.leads(90)


def test_who_lets_go_is_followed_at_the_next_look() -> None:
    server = Server()
    one, two = Replica(server, "one"), Replica(server, "two")
    pass_time([one], 0, 1)
    pass_time([one, two], 1.1, 20)
    request = one.election.release(WALL)
    assert request is not None
    assert server.do(request).status == 200
    one.alive = False
    led = pass_time([two], 20, 30)
    assert led is not None
    assert led <= 22.1
    assert two.election.release(WALL) is not None
    assert not two.election.leading(led), "whoever lets go leads no more, heard or not"


def test_a_renewal_whose_answer_was_lost_costs_a_look_and_no_more() -> None:
    server = Server()
    one = Replica(server, "one")
    pass_time([one], 0, 2.5)
    server.do(one.election.ask(4, WALL))
    one.election.failed("timeout", 4)
    pass_time([one], 6, 7)
    assert one.leads(7)


def test_a_lease_that_was_deleted_is_made_anew() -> None:
    server = Server()
    one = Replica(server, "one")
    pass_time([one], 0, 5)
    server.lease = None
    pass_time([one], 5.1, 10)
    assert one.leads(10)


def test_a_refusal_is_an_error_and_not_a_storm() -> None:
    one = Election("one", "rauta-system", "lease")
    asked = 0
    now = 0.0
    while now < 60:
        if one.due <= now:
            asked += 1
            one.answered(one.ask(now, WALL), Answer(403, b'{"message":"cannot get leases"}'), now)
        now += 0.5
    assert one.error == "403 cannot get leases"
    assert asked <= 31


@given(st.lists(st.tuples(st.sampled_from(["kill", "cut", "mend", "start"]), st.integers(0, 2)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_never_do_two_lead(accidents: list[tuple[str, int]]) -> None:
    server = Server()
    replicas = [Replica(server, f"{index}") for index in range(3)]
    now = 0.0
    for serial, (what, index) in enumerate(accidents):
        pass_time(replicas, now, now + 7, 0.5)
        now += 7.5
        if what == "start":
            replicas[index] = Replica(server, f"{index}-{serial}")
            replicas[index].election.due = now
        elif what == "kill":
            replicas[index].alive = False
        else:
            replicas[index].cut = what == "cut"
    for replica in replicas:
        replica.cut = False
    pass_time(replicas, now, now + 60, 0.5)
    assert sum(each.leads(now + 60) for each in replicas) == any(each.alive for each in replicas)
