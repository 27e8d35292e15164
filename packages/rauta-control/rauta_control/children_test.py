import pytest

from rauta_control.children import CrashBackoff, HangDetector, Patience, Pulse, ending

PATIENCE = Patience()


def test_the_first_death_is_mended_at_once_and_a_loop_backs_off_to_five_seconds() -> None:
    backoff = CrashBackoff()
    assert [backoff.after(0.01, PATIENCE) for _ in range(10)] == [0.0, 0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_a_healthy_life_makes_the_next_death_a_first_one() -> None:
    backoff = CrashBackoff()
    lives = (0.1, 0.9, 0.9, 1.0, 0.9, 0.9, 3600.0)
    assert [backoff.after(lived, PATIENCE) for lived in lives] == [0.0, 0.0, 0.05, 0.0, 0.0, 0.05, 0.0]


def watch(detector: HangDetector, pulses: list[Pulse], *times: float) -> dict[float, dict[str, str]]:
    return {now: found for now in times if (found := detector.hung(now, pulses))}


def steps(start: float, end: float) -> list[float]:
    return [start + 0.5 * number for number in range(int((end - start) / 0.5) + 1)]


def test_a_worker_hangs_when_its_last_heartbeat_is_older_than_the_limit() -> None:
    detector = HangDetector(100.0, PATIENCE)
    pulses = [Pulse("worker-0", started=90.0, beat=100.2), Pulse("worker-1", started=90.0, beat=1e9)]
    assert watch(detector, pulses, *steps(100.5, 105.0)) == {}
    assert detector.hung(105.5, pulses) == {"worker-0": "hung for 5.3 s"}


def test_a_worker_without_a_first_heartbeat_has_longer() -> None:
    detector = HangDetector(100.0, PATIENCE)
    pulses = [Pulse("worker-3", started=100.0, beat=0.0)]
    assert watch(detector, pulses, *steps(100.5, 110.0)) == {}
    assert detector.hung(110.5, pulses) == {"worker-3": "did not come up in 10.5 s"}


def test_control_has_longer_for_both() -> None:
    detector = HangDetector(100.0, PATIENCE)
    late = [Pulse("control", started=90.0, beat=100.2, control=True)]
    assert watch(detector, late, *steps(100.5, 115.0)) == {}
    assert detector.hung(115.5, late) == {"control": "hung for 15.3 s"}
    detector = HangDetector(100.0, PATIENCE)
    silent = [Pulse("control", started=100.0, beat=0.0, control=True)]
    assert watch(detector, silent, *steps(100.5, 130.0)) == {}
    assert detector.hung(130.5, silent) == {"control": "did not come up in 30.5 s"}


@pytest.mark.parametrize("slept", [3.0, 3600.0])
def test_after_a_sleep_of_the_supervisor_everybody_has_a_new_chance(slept: float) -> None:
    detector = HangDetector(100.0, PATIENCE)
    pulses = [Pulse("worker-0", started=90.0, beat=96.0), Pulse("worker-1", started=90.0, beat=0.0)]
    awake = 100.0 + slept
    assert watch(detector, pulses, *steps(awake, awake + 5.0)) == {}
    assert detector.hung(awake + 5.5, pulses) == {"worker-0": "hung for 5.5 s"}
    assert watch(detector, pulses[1:], *steps(awake + 6.0, awake + 10.0)) == {}
    assert detector.hung(awake + 10.5, pulses[1:]) == {"worker-1": "did not come up in 10.5 s"}


def test_a_detector_that_is_just_made_holds_nothing_against_anybody() -> None:
    """After a re-exec the workers are old, the detector is new, and starting took its time."""
    detector = HangDetector(100.0, PATIENCE)
    assert detector.hung(100.5, [Pulse("worker-0", started=1.0, beat=90.0)]) == {}


def test_being_on_time_is_no_excuse() -> None:
    detector = HangDetector(100.0, PATIENCE)
    pulses = [Pulse("worker-0", started=90.0, beat=99.0)]
    found = watch(detector, pulses, *(100.0 + 2.4 * number for number in range(1, 10)))
    assert min(found) == pytest.approx(107.2)


def test_endings_in_words() -> None:
    assert [ending(code) for code in (0, 7, -9)] == ["exit 0", "exit 7", "signal 9"]
