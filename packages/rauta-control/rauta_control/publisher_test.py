"""Publisher: whatever workers do, they converge on the last configuration, one in flight and nothing sent twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.messages import PROTOCOL_VERSION, Ack, Hello, Nack, Publish
from rauta_control.publisher import RECENT, Publisher, Send
from rauta_control.state import EMPTY, PublishError, State


def configuration(generation: int, **resources: bytes) -> State:
    return EMPTY.change(generation, resources)


def hello(index: int, state: State, version: int = PROTOCOL_VERSION) -> Hello:
    return Hello(version, index, 100 + index, state.generation, state.digest)


def ack(state: State) -> Ack:
    return Ack(state.generation, state.digest)


class FakeWorker:
    """A worker as state.py and messages.py describe it; `refuses` nacks the next ones, whatever they are."""

    def __init__(self, publisher: Publisher, index: int, state: State = EMPTY) -> None:
        self.publisher = publisher
        self.index = index
        self.state = state
        self.inbox: list[Publish] = []
        self.received: list[Publish] = []
        self.refuses = 0

    def start(self) -> list[Send]:
        self.inbox.clear()
        self.publisher.connect(self.index, 100 + self.index)
        return self.publisher.receive(self.index, hello(self.index, self.state))

    def take(self, publish: Publish) -> None:
        assert not self.inbox, "one in flight at most"
        assert (publish.generation, publish.digest) != (self.state.generation, self.state.digest), "nothing sent twice"
        self.inbox.append(publish)
        self.received.append(publish)

    def work(self) -> list[Send]:
        publish = self.inbox.pop()
        try:
            if self.refuses:
                self.refuses -= 1
                raise PublishError("base", "because")
            self.state = self.state.apply(publish)
        except PublishError as error:
            return self.publisher.receive(self.index, Nack(publish.generation, str(error)))
        return self.publisher.receive(self.index, ack(self.state))


@given(st.data())
def test_every_worker_converges(data: st.DataObject) -> None:
    publisher = Publisher(EMPTY, expected=1)
    workers = {index: FakeWorker(publisher, index) for index in range(3)}

    def deliver(sends: list[Send]) -> None:
        for send in sends:
            workers[send.worker].take(send.publish)

    for worker in workers.values():
        deliver(worker.start())
    steps = st.sampled_from(("publish", "work", "work", "restart", "forget", "refuse", "astray"))
    for step in data.draw(st.lists(steps, max_size=30)):
        worker = workers[data.draw(st.integers(0, 2))]
        if step == "publish":
            wanted = data.draw(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=1)))
            gone = publisher.state.encoded.keys() - wanted.keys()
            deliver(publisher.publish(publisher.state.change(publisher.state.generation + 2, wanted, gone)))
        elif step == "work" and worker.inbox:
            deliver(worker.work())
        elif step == "restart":
            deliver(worker.start())
        elif step == "forget":
            worker.state = EMPTY
            deliver(worker.start())
        elif step == "refuse":
            worker.refuses = 1
        elif step == "astray":
            worker.state = State(worker.state.generation, {"x": b""}, 1)
    for worker in workers.values():
        worker.refuses = 0
    deliver(publisher.publish(publisher.state.change(publisher.state.generation + 1, {"last": b""})))
    for worker in workers.values():
        turns = 0
        while worker.inbox:
            deliver(worker.work())
            turns += 1
        assert turns <= 3, "what was in flight, at most one delta, at most one whole"
        assert worker.state == publisher.state
        assert publisher.workers[worker.index].generation == publisher.state.generation


def test_a_worker_that_has_the_state_is_sent_nothing() -> None:
    state = configuration(3, a=b"1")
    publisher = Publisher(state, expected=1)
    assert FakeWorker(publisher, 0, state).start() == []


def test_a_worker_with_a_recent_state_is_sent_the_difference_and_an_unknown_one_everything() -> None:
    states = [configuration(generation, a=b"1", b=bytes([generation])) for generation in range(1, RECENT + 2)]
    publisher = Publisher(states[0], expected=1)
    for state in states[1:]:
        publisher.publish(state)
    bases = [only(FakeWorker(publisher, index, state).start()).base for index, state in enumerate(states[:-1])]
    assert bases == [-1, 2, 3, 4]


def only(sends: list[Send]) -> Publish:
    (send,) = sends
    return send.publish


def test_a_slow_worker_gets_one_coalesced_delta() -> None:
    publisher = Publisher(configuration(1, a=b"1"), expected=1)
    worker = FakeWorker(publisher, 0, publisher.state)
    worker.start()
    (send,) = publisher.publish(configuration(2, a=b"2"))
    worker.take(send.publish)
    assert publisher.publish(configuration(3, a=b"3")) == []
    assert publisher.publish(configuration(4, a=b"3", b=b"1")) == []
    delta = only(worker.work())
    assert (delta.base, delta.generation, delta.upserts) == (2, 4, {"a": b"3", "b": b"1"})


def test_workers_at_the_same_state_share_one_difference() -> None:
    publisher = Publisher(configuration(1, a=b"1"), expected=2)
    for index in range(2):
        FakeWorker(publisher, index, publisher.state).start()
    one, two = publisher.publish(configuration(2, a=b"2"))
    assert one.publish is two.publish


def test_a_refusal_is_answered_with_everything_once_and_then_reported() -> None:
    publisher = Publisher(configuration(1, a=b"1"), expected=1)
    worker = FakeWorker(publisher, 0, publisher.state)
    worker.start()
    worker.refuses = 2
    (delta,) = publisher.publish(configuration(2, a=b"2"))
    worker.take(delta.publish)
    (whole,) = worker.work()
    worker.take(whole.publish)
    assert worker.work() == []
    assert [publish.base for publish in worker.received] == [1, -1]
    assert publisher.workers[0].refusal == "because"
    assert publisher.workers[0].generation == 1

    worker.take(publisher.publish(configuration(3, a=b"3"))[0].publish)
    assert worker.work() == []
    assert worker.received[-1].base == -1
    assert publisher.workers[0].refusal == ""


def test_an_acknowledgement_with_another_digest_is_a_refusal() -> None:
    publisher = Publisher(configuration(1, a=b"1"), expected=1)
    FakeWorker(publisher, 0, publisher.state).start()
    publisher.publish(configuration(2, a=b"2"))
    assert only(publisher.receive(0, Ack(2, 5))).base == -1


def test_ready_waits_for_all_workers_and_a_complete_configuration_and_stays() -> None:
    publisher = Publisher(EMPTY, expected=2)
    state = configuration(1, a=b"1")
    publisher.publish(state)
    FakeWorker(publisher, 0, state).start()
    FakeWorker(publisher, 1).start()
    publisher.complete()
    assert not publisher.ready
    publisher.receive(1, ack(state))
    assert publisher.ready
    publisher.disconnect(0, 100)
    assert publisher.ready


@pytest.mark.parametrize("complete_first", [True, False])
def test_ready_needs_the_expected_number_of_workers(complete_first: bool) -> None:
    state = configuration(1, a=b"1")
    publisher = Publisher(state, expected=2)
    if complete_first:
        publisher.complete()
    FakeWorker(publisher, 0, state).start()
    assert not publisher.ready
    FakeWorker(publisher, 1, state).start()
    if not complete_first:
        publisher.complete()
    assert publisher.ready


def test_a_worker_of_another_protocol_is_sent_nothing_and_reported() -> None:
    publisher = Publisher(configuration(1, a=b"1"), expected=1)
    publisher.connect(0, 100)
    assert publisher.receive(0, hello(0, EMPTY, version=PROTOCOL_VERSION + 1)) == []
    assert publisher.workers[0].refusal == "speaks version 3, not 2"


def test_the_end_of_an_older_process_does_not_disconnect_its_successor() -> None:
    publisher = Publisher(EMPTY, expected=1)
    publisher.connect(0, 7)
    publisher.connect(0, 8)
    publisher.disconnect(0, 7)
    assert publisher.workers[0].pid == 8
    publisher.disconnect(0, 8)
    assert publisher.workers == {}
