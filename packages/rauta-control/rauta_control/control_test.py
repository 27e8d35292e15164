"""Control from its start to its end: what it publishes, keeps over a restart, follows and shows."""

from pathlib import Path

import pytest

from rauta_control import binding, commandline
from rauta_control.controlharness_test import FakeWorker, endpoints, rules, run, two_workers
from rauta_control.messages import (
    Draining,
    Reload,
)
from rauta_control.parts import join
from rauta_control.recorder import Recorder
from rauta_control.resolve import Resolver
from rauta_control.sharedmem import CONTROL_HEARTBEAT, RouteWord, SharedWords
from rauta_control.state import EMPTY


def test_a_first_start_publishes_to_all_and_becomes_ready(shared_words: SharedWords) -> None:
    gateway = two_workers(shared_words, "--to", "127.0.0.1:9001", "--from", "127.0.0.1:0")

    async def body() -> None:
        await gateway.until_ready()
        for worker in gateway.workers.values():
            assert [(p.base, p.generation) for p in worker.received] == [(-1, 1)]
            assert rules(worker.state)["/"].epoch == 1
        assert gateway.snapshot is not None
        beat = shared_words.words[CONTROL_HEARTBEAT]
        assert beat
        await gateway.until(lambda: shared_words.words[CONTROL_HEARTBEAT] > beat)
        status = (await gateway.get("/api/v1/status"))[1]
        assert (status["status"], status["generation"], status["problems"]) == ("ok", 1, [])
        assert status["listeners"][0]["port"] == 4711
        assert [worker["generation"] for worker in status["workers"]] == [1, 1]

    run(gateway, body)


def test_ready_waits_for_every_worker(shared_words: SharedWords) -> None:
    gateway = two_workers(shared_words, "--to", "127.0.0.1:9001")
    gateway.workers.pop(1).close()

    async def body() -> None:
        await gateway.until_generation(1)
        assert (await gateway.get("/readyz"))[0] == 503
        await gateway.replace(FakeWorker(1, 101))
        await gateway.until_ready()

    run(gateway, body)


def test_a_restart_publishes_nothing_and_keeps_generation_slots_and_counters(shared_words: SharedWords) -> None:
    first = two_workers(shared_words, "--to", "127.0.0.1:9001", "--route", "/api=127.0.0.1:9002")

    async def start() -> None:
        await first.until_ready()

    run(first, start)
    recorder = Recorder(shared_words.words, 0)
    counter = recorder.route(rules(first.workers[0].state)["/api"].slot, 1)
    counter.words[RouteWord.STATUS_1XX + 1] = 7
    recorder.touch(counter)
    recorder.flush(1)

    again = two_workers(shared_words, "--to", "127.0.0.1:9001", "--route", "/api=127.0.0.1:9002", after=first)

    async def restart() -> None:
        await again.until_ready()
        await again.until(lambda: bool(again.binds))
        routes = (await again.get("/api/v1/routes?name=standalone/*/api"))[1]
        assert routes[0]["requests_total"] == 7
        assert (await again.get("/api/v1/status"))[1]["generation"] == 1

    run(again, restart)
    assert [worker.received for worker in again.workers.values()] == [[], []]
    assert again.snapshot == first.snapshot
    assert again.since == []


def test_a_reload_publishes_what_changed(shared_words: SharedWords, tmp_path: Path) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("--route /a=127.0.0.1:9001\n--route /b=127.0.0.1:9002\n")
    gateway = two_workers(shared_words, f"@{routes}")

    async def body() -> None:
        await gateway.until_ready()
        before = rules(gateway.workers[0].state)
        routes.write_text("--route /c=127.0.0.1:9001\n--route /b=127.0.0.1:9002\n")
        gateway.tell(Reload())
        await gateway.until_generation(2)
        publish = gateway.workers[0].received[-1]
        assert publish.base == 1
        assert [key for key in publish.upserts if "cluster/" in key] == []
        assert [key for key in publish.upserts if key.endswith("/c")] == list(publish.upserts)
        assert [key for key in publish.deletes if key.endswith("/a")] == list(publish.deletes)
        after = rules(gateway.workers[0].state)
        assert after["/b"] == before["/b"]
        assert (after["/c"].slot, after["/c"].epoch) == (2, 2), "the slot of /a is not drained yet"
        await gateway.until(lambda: len(gateway.since) == 1 or gateway.since == [])

    run(gateway, body)
    messages = [join([data]) for data in (gateway.snapshot or b"", *gateway.since)]
    kept = EMPTY
    for publish in messages:
        kept = kept.apply(publish)
    assert kept == gateway.workers[0].state


def test_ready_waits_for_no_worker_that_is_wanted_no_more(shared_words: SharedWords, tmp_path: Path) -> None:
    flags = tmp_path / "flags"
    flags.write_text("--to 127.0.0.1:9001\n")
    gateway = two_workers(shared_words, f"@{flags}")
    gateway.workers.pop(1).close()  # it never comes up

    async def body() -> None:
        await gateway.until_generation(1)
        assert (await gateway.get("/readyz"))[0] == 503
        flags.write_text("--to 127.0.0.1:9001\n--workers 1\n")
        gateway.tell(Reload())
        await gateway.until_ready()

    run(gateway, body)


def test_an_invalid_reload_keeps_the_last_good_settings_and_shows_why(
    shared_words: SharedWords, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("--to 127.0.0.1:9001\n")
    gateway = two_workers(shared_words, f"@{routes}")

    async def problems() -> list[str]:
        found: list[str] = (await gateway.get("/api/v1/status"))[1]["problems"]
        return found

    async def body() -> None:
        await gateway.until_ready()
        routes.write_text("--to nonsense\n--workers 0\n")
        gateway.tell(Reload())

        async def refused() -> bool:
            return len(await problems()) == 2

        await gateway.until(refused)
        assert (await problems())[0].startswith("not reloaded: --to nonsense: expected")
        routes.write_text("--kubernetes\n")
        gateway.tell(Reload())

        async def kept() -> bool:
            return (await problems())[0].startswith("not reloaded: --kubernetes: expected what it was at the start")

        await gateway.until(kept)
        assert gateway.workers[0].state.generation == 1
        routes.write_text("--to 127.0.0.1:9002\n")
        gateway.tell(Reload())
        await gateway.until_generation(2)
        assert await problems() == []

    run(gateway, body)
    assert capfd.readouterr().err.count("settings not reloaded") == 3


def test_a_new_worker_gets_what_it_lacks(shared_words: SharedWords) -> None:
    gateway = two_workers(shared_words, "--to", "127.0.0.1:9001")

    async def body() -> None:
        await gateway.until_ready()
        state = gateway.workers[0].state
        from_snapshot, from_nothing = FakeWorker(0, 200, state), FakeWorker(1, 201)
        await gateway.replace(from_snapshot)
        await gateway.replace(from_nothing)
        await gateway.until(lambda: from_nothing.state == state)
        assert from_snapshot.received == []
        assert (await gateway.get("/readyz"))[0] == 200

    run(gateway, body)


def test_a_refusal_is_shown(shared_words: SharedWords) -> None:
    gateway = two_workers(shared_words, "--to", "127.0.0.1:9001")
    gateway.workers[1].refuses = 9

    async def body() -> None:
        async def shown() -> bool:
            status = (await gateway.get("/api/v1/status"))[1]
            return bool(status["problems"] == ["worker 1 does not follow generation 1: because"])

        await gateway.until(shown)
        assert (await gateway.get("/readyz"))[0] == 503

    run(gateway, body)


def test_a_listener_of_a_flag_must_be_bound_and_is_tried_again(
    shared_words: SharedWords, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(binding, "BIND_RETRY", 0.05)
    flags = ("--to", "127.0.0.1:9001", "--from", "127.0.0.1:1", "--from", "127.0.0.1:2")
    gateway = two_workers(shared_words, *flags)
    gateway.errors["standalone/127.0.0.1:1"] = "cannot listen: address already in use"
    problem = "--from 127.0.0.1:1: cannot listen: address already in use (set by --from or RAUTA_BIND_ADDR)"

    async def body() -> None:
        await gateway.until_generation(1)
        await gateway.until(lambda: len(gateway.binds) > 2)
        assert (await gateway.get("/readyz"))[0] == 503
        status = (await gateway.get("/api/v1/status"))[1]
        assert status["listeners"][0]["bound"] is False
        assert status["listeners"][0]["message"] == "cannot listen: address already in use"
        assert status["problems"] == [problem]
        assert capfd.readouterr().err.count(f' error control configuration problem problem="{problem}"') == 1
        gateway.errors.clear()
        await gateway.until_ready()
        assert (await gateway.get("/api/v1/status"))[1]["problems"] == []

    run(gateway, body)


@pytest.mark.parametrize(("failing", "ready"), [((1,), True), ((1, 2), False)])
def test_a_restart_takes_readiness_back_only_where_nobody_is_reached(
    shared_words: SharedWords, failing: tuple[int, ...], ready: bool
) -> None:
    flags = ("--to", "127.0.0.1:9001", "--from", "127.0.0.1:1", "--from", "127.0.0.1:2")
    first = two_workers(shared_words, *flags)
    run(first, first.until_ready)
    again = two_workers(shared_words, *flags, after=first)
    for port in failing:
        del again.bound[f"standalone/127.0.0.1:{port}"]
        again.errors[f"standalone/127.0.0.1:{port}"] = "cannot listen: address already in use"

    async def body() -> None:
        await again.until(lambda: sum(bool(bound.error) for bound in again.bound.values()) == len(failing))
        if ready:
            await again.until_ready()

        async def shown() -> bool:
            return len((await again.get("/api/v1/status"))[1]["problems"]) == len(failing)

        await again.until(shown)
        assert (await again.get("/readyz"))[0] == (200 if ready else 503)

    run(again, body)


def test_draining_turns_readiness_off(shared_words: SharedWords) -> None:
    gateway = two_workers(shared_words, "--to", "127.0.0.1:9001")

    async def body() -> None:
        await gateway.until_ready()
        gateway.tell(Draining())

        async def draining() -> bool:
            return await gateway.get("/readyz", probe=True) == (503, "draining\n")

        await gateway.until(draining)
        assert (await gateway.get("/healthz"))[0] == 200

    run(gateway, body)


class Dns:
    """Answers from `known`, which tests change."""

    def __init__(self, **known: list[str]) -> None:
        self.known = known

    async def lookup(self, host: str) -> list[str]:
        if host not in self.known:
            raise OSError("not known")
        return self.known[host]


def with_dns(monkeypatch: pytest.MonkeyPatch, dns: Dns) -> None:
    monkeypatch.setattr(commandline, "Resolver", lambda changed: Resolver(changed, dns.lookup))


def test_host_names_are_followed_and_their_last_addresses_kept(
    shared_words: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns = Dns(web=["10.0.0.1", "10.0.0.2"])
    with_dns(monkeypatch, dns)
    gateway = two_workers(shared_words, "--to", "web:80", "--route", "/other=other:80")

    async def body() -> None:
        await gateway.until_ready()
        assert endpoints(gateway.workers[0].state) == {"10.0.0.1:80", "10.0.0.2:80"}
        problems = (await gateway.get("/api/v1/status"))[1]["problems"]
        assert problems == ["other does not resolve (not known); it has no addresses yet"]
        dns.known = {"web": ["10.0.0.3"], "other": ["10.0.0.9"]}
        gateway.tell(Reload())
        await gateway.until(lambda: endpoints(gateway.workers[0].state) == {"10.0.0.3:80", "10.0.0.9:80"})
        dns.known = {}
        gateway.tell(Reload())

        async def both_reported() -> bool:
            return len((await gateway.get("/api/v1/status"))[1]["problems"]) == 2

        await gateway.until(both_reported)
        assert endpoints(gateway.workers[0].state) == {"10.0.0.3:80", "10.0.0.9:80"}

    run(gateway, body)


def test_a_restart_without_a_name_server_keeps_the_endpoints(
    shared_words: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_dns(monkeypatch, Dns(web=["10.0.0.1"]))
    first = two_workers(shared_words, "--to", "web:80")

    async def start() -> None:
        await first.until_ready()

    run(first, start)

    with_dns(monkeypatch, Dns())
    again = two_workers(shared_words, "--to", "web:80", after=first)

    async def restart() -> None:
        await again.until_ready()

        async def reported() -> bool:
            return len((await again.get("/api/v1/status"))[1]["problems"]) == 1

        await again.until(reported)
        assert endpoints(again.workers[0].state) == {"10.0.0.1:80"}

    run(again, restart)
    assert [worker.received for worker in again.workers.values()] == [[], []]
