"""Counters: sums over workers, epochs of earlier owners left out."""

from array import array

from rauta_control.counters import Counters, blocks_used, cumulative, drained, total
from rauta_control.recorder import Recorder
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital


def count(words: memoryview, worker: int, slot: int, epoch: int, requests: int) -> None:
    recorder = Recorder(words, worker)
    route, endpoint = recorder.route(slot, epoch), recorder.endpoint(slot, epoch)
    route.words[RouteWord.STATUS_1XX + 1] += requests
    route.words[RouteWord.BUCKETS + 10] += requests
    endpoint.words[EndpointWord.REQUESTS] += requests
    recorder.touch(route)
    recorder.touch(endpoint)
    recorder.flush(heartbeat=1)


def test_what_recorders_wrote_is_summed_over_the_workers_of_this_epoch(words: memoryview) -> None:
    count(words, worker=0, slot=7, epoch=3, requests=5)
    count(words, worker=1, slot=7, epoch=3, requests=6)
    count(words, worker=2, slot=7, epoch=2, requests=100)
    counters = Counters(words, workers=3)
    assert counters.route(7, 3)[RouteWord.REQUESTS] == 11
    assert counters.endpoint(7, 3)[EndpointWord.REQUESTS] == 11
    assert counters.endpoint(7, 2)[EndpointWord.REQUESTS] == 100
    assert counters.route(7, 9)[RouteWord.REQUESTS] == 0
    assert counters.route(8, 3)[RouteWord.REQUESTS] == 0


def test_the_histogram_is_cumulative(words: memoryview) -> None:
    count(words, worker=0, slot=0, epoch=1, requests=4)
    histogram = cumulative(Counters(words, workers=1).route(0, 1))
    assert (histogram[9], histogram[10], histogram[31]) == (0, 4, 4)


def test_vitals_are_read_for_each_worker(words: memoryview) -> None:
    for worker, requests in enumerate((3, 4)):
        recorder = Recorder(words, worker)
        recorder.vitals[Vital.REQUESTS] = requests
        recorder.flush(heartbeat=1)
    vitals = Counters(words, workers=2).vitals()
    assert [each[Vital.REQUESTS] for each in vitals] == [3, 4]
    assert total(vitals, Vital.REQUESTS) == 7


def test_drained_is_that_of_the_slowest_living_worker() -> None:
    def worker(pid: int, drained_words: int) -> list[int]:
        vitals = array("Q", bytes(8 * 512)).tolist()
        vitals[Vital.PID], vitals[Vital.DRAINED] = pid, drained_words
        return vitals

    assert drained([worker(11, 6), worker(12, 4), worker(0, 0)], 9) == 3
    assert drained([worker(11, 0)], 9) == -1
    assert drained([worker(0, 0)], 9) == 9


def test_blocks_of_workers_that_are_gone_are_found(words: memoryview) -> None:
    assert blocks_used(words) == 0
    recorder = Recorder(words, 5)
    recorder.vitals[Vital.REQUESTS] = 1
    recorder.flush(heartbeat=0)
    assert blocks_used(words) == 6
