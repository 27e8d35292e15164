"""Counters over the deaths of workers, and the words they share with nobody."""

import gc

import pytest

from rauta_control import recorder, sharedmem
from rauta_control.counters import Counters, total
from rauta_control.recorder import Counter, Recorder
from rauta_control.sharedmem import DIRTY, PID_SHIFT, EndpointWord, RouteWord, SharedWords, Vital, worker_base


def add(to: Recorder, counter: Counter, word: int, amount: int = 1) -> None:
    counter.words[word] += amount
    if not counter.words[DIRTY]:
        to.touch(counter)


def test_a_flush_copies_what_changed_and_beats_the_heart(words: memoryview) -> None:
    worker = Recorder(words, 3)
    route, endpoint = worker.route(7, 1), worker.endpoint(9, 2)
    add(worker, route, RouteWord.STATUS_1XX + 1, 5)
    add(worker, route, RouteWord.STATUS_1XX + 4, 2)
    add(worker, endpoint, EndpointWord.FAILURES)
    worker.vitals[Vital.REQUESTS] += 7
    assert Counters(words, 4).route(7, 1)[RouteWord.STATUS_1XX + 1] == 0
    worker.flush(12345)
    seen = Counters(words, 4)
    assert seen.route(7, 1)[RouteWord.REQUESTS] == 7  # the sum by status
    assert seen.route(7, 1)[DIRTY] == 0  # or a successor would believe it was queued
    assert seen.endpoint(9, 2)[EndpointWord.FAILURES] == 1
    assert seen.vitals()[3][Vital.HEARTBEAT] == 12345
    assert seen.vitals()[3][Vital.REQUESTS] == 7
    assert not route.words[DIRTY]


def test_a_successor_counts_on_and_starts_its_own_vitals(words: memoryview) -> None:
    first = Recorder(words, 0)
    first.vitals[Vital.PID] = 4711
    first.vitals[Vital.ACCEPTED] = 10
    add(first, first.route(1, 5), RouteWord.STATUS_1XX + 1)
    first.flush(1)
    second = Recorder(words, 0)
    assert second.vitals[Vital.PID] == 0
    assert second.vitals[Vital.ACCEPTED] == 10
    add(second, second.route(1, 5), RouteWord.STATUS_1XX + 1)
    second.flush(2)
    assert Counters(words, 1).route(1, 5)[RouteWord.REQUESTS] == 2


def test_what_is_in_flight_ends_with_the_worker(shared_words: SharedWords) -> None:
    """Nobody corrects a gauge of a worker that is there no more, or of an endpoint that its successor never uses."""
    words = shared_words.words
    for index in (0, 1):
        worker = Recorder(words, index)
        worker.vitals[Vital.PID] = pid = 11 + index
        worker.vitals[Vital.MEMO_SIZE] = 5
        counter = worker.endpoint(9, 2)
        add(worker, counter, EndpointWord.REQUESTS, 4)
        add(worker, counter, EndpointWord.ACTIVE, pid << PID_SHIFT | 3)
        worker.flush(1)
    seen = Counters(words, 2)
    assert seen.endpoint(9, 2)[EndpointWord.ACTIVE] == 6
    shared_words.clear_process_words(0)
    assert seen.endpoint(9, 2)[EndpointWord.ACTIVE] == 3
    successor = Recorder(words, 0)
    successor.vitals[Vital.PID] = 13
    successor.flush(2)
    found = seen.endpoint(9, 2)
    assert (found[EndpointWord.ACTIVE], found[EndpointWord.REQUESTS]) == (3, 8)
    assert total(seen.vitals(), Vital.MEMO_SIZE) == 5


def test_a_new_epoch_starts_from_nothing(words: memoryview) -> None:
    worker = Recorder(words, 0)
    add(worker, worker.endpoint(4, 1), EndpointWord.REQUESTS, 99)
    worker.flush(1)
    add(worker, worker.endpoint(4, 2), EndpointWord.REQUESTS, 3)
    worker.flush(2)
    seen = Counters(words, 1)
    assert seen.endpoint(4, 2)[EndpointWord.REQUESTS] == 3
    assert seen.endpoint(4, 1)[EndpointWord.REQUESTS] == 0


def test_what_is_counted_late_for_a_former_owner_of_a_slot_takes_nothing_from_the_next(words: memoryview) -> None:
    """Control that was started again gives slots above the highest one away at once: nothing says they had owners."""
    worker = Recorder(words, 0)
    former, heir = worker.route(4, 1), worker.route(4, 2)
    add(worker, heir, RouteWord.BYTES_IN, 3)
    worker.flush(1)
    add(worker, former, RouteWord.BYTES_IN, 99)  # a request that was in flight until now
    worker.flush(2)
    assert Counters(words, 1).route(4, 2)[RouteWord.BYTES_IN] == 3


def test_rules_of_one_route_share_a_counter_which_outlives_none_of_them_unflushed(words: memoryview) -> None:
    worker = Recorder(words, 0)
    counter = worker.route(1, 1)
    assert worker.route(1, 1) is counter
    add(worker, counter, RouteWord.BYTES_IN, 8)
    del counter  # its last rule went with a transaction
    gc.collect()
    worker.flush(1)
    assert Counters(words, 1).route(1, 1)[RouteWord.BYTES_IN] == 8
    assert worker.route(1, 1).words[RouteWord.BYTES_IN] == 8  # read back


def test_workers_do_not_touch_each_others_words(words: memoryview) -> None:
    workers = [Recorder(words, index) for index in (0, 1, sharedmem.MAX_WORKERS - 1)]
    for number, worker in enumerate(workers, 1):
        add(worker, worker.route(sharedmem.MAX_ROUTES - 1, 1), RouteWord.BYTES_OUT, number)
        add(worker, worker.endpoint(sharedmem.MAX_ENDPOINTS - 1, 1), EndpointWord.REQUESTS, number)
        worker.vitals[Vital.ACCEPTED] = number
        worker.flush(number)
    seen = Counters(words, sharedmem.MAX_WORKERS)
    assert seen.route(sharedmem.MAX_ROUTES - 1, 1)[RouteWord.BYTES_OUT] == 6
    assert [seen.vitals()[index][Vital.ACCEPTED] for index in (0, 1, 2, sharedmem.MAX_WORKERS - 1)] == [1, 2, 0, 3]


def test_a_flush_copies_at_most_a_batch_the_oldest_first_and_close_the_rest(
    words: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BATCH", 10)
    worker = Recorder(words, 0)
    counters = [worker.route(slot, 1) for slot in range(25)]
    for counter in counters:
        add(worker, counter, RouteWord.BYTES_IN)
    worker.flush(1)
    assert [counter.words[DIRTY] for counter in counters] == [0] * 10 + [1] * 15
    add(worker, counters[0], RouteWord.BYTES_IN)  # at the end of the queue now
    add(worker, counters[20], RouteWord.BYTES_IN)  # still in it, once
    worker.flush(2)
    assert counters[0].words[DIRTY]
    assert not counters[19].words[DIRTY]
    worker.close(3)
    assert not any(counter.words[DIRTY] for counter in counters)
    seen = Counters(words, 1)
    assert [seen.route(slot, 1)[RouteWord.BYTES_IN] for slot in range(25)] == [2] + [1] * 19 + [2] + [1] * 4
    assert words[worker_base(0) + Vital.HEARTBEAT] == 3


@pytest.mark.parametrize("slot", [-1, sharedmem.MAX_ROUTES])
def test_slots_outside_the_words_are_an_error(words: memoryview, slot: int) -> None:
    worker = Recorder(words, 0)
    with pytest.raises(ValueError, match="outside"):
        worker.route(slot, 1)
    with pytest.raises(ValueError, match="outside"):
        worker.endpoint(slot, 1)
