"""A reflector beside a model of a server: whatever happens to connections, both end with the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.reflector import Edits
from rauta_control.reflector_test import bookmark, event, made, page, route
from rauta_control.slices import finish


class Model:
    """A server of one kind, and a reflector that follows it as long as connections last."""

    def __init__(self) -> None:
        self.version, self.oldest = 10, 0
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, bytes]] = []
        self.stream: bytes | None = None  # what a watch has to read
        self.told: dict[str, str] = {}  # what a sink has, by name the host
        self.now = 0.0
        self.reflector = made()

    def change(self, name: str, host: str) -> None:
        self.version += 1
        if host:
            kind = "MODIFIED" if name in self.objects else "ADDED"
            self.objects[name] = route(name, self.version, {"spec.hostnames": [host]})
            self.emit(event(kind, self.objects[name]))
        elif name in self.objects:
            self.emit(event("DELETED", self.objects.pop(name) | {"metadata": route(name, self.version)["metadata"]}))

    def emit(self, line: bytes) -> None:
        self.history.append((self.version, line))
        if self.stream is not None:
            self.stream += line

    def take(self, edits: Edits) -> None:
        for key, resource in edits.items():
            if resource is None:
                self.told.pop(key.name, None)
            else:
                self.told[key.name] = resource.spec.hostnames[0]  # type: ignore[union-attr]

    def connect(self) -> None:
        """Do what the reflector asks for until it watches."""
        while self.stream is None:
            self.now = max(self.now, self.reflector.due)
            ask = self.reflector.ask(0.5)
            if not ask.watch:
                self.take(finish(self.reflector.page(page(self.version, *self.objects.values()), self.now)))
            elif int(ask.params["resourceVersion"]) < self.oldest:
                self.reflector.refused(410, "410 expired", None, self.now, 0.5)
            else:
                self.reflector.opened(self.now)
                since = int(ask.params["resourceVersion"])
                self.stream = b"".join(line for version, line in self.history if version > since)

    def read(self, size: int) -> None:
        assert self.stream is not None
        data, self.stream = self.stream[:size], self.stream[size:]
        self.take(finish(self.reflector.events(data, self.now)))

    def cut(self, lasted: float) -> None:
        self.stream = None
        self.reflector.ended(lasted, self.now, 0.5)

    def compact(self) -> None:
        self.oldest = self.version
        self.history = []


_NAMES = st.sampled_from(["a", "b", "c"])
_HOSTS = st.sampled_from(["", "one.example", "two.example"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("change"), _NAMES, _HOSTS),
            st.tuples(st.just("read"), st.integers(1, 900)),
            st.tuples(st.just("cut"), st.sampled_from([0.0, 60.0])),
            st.tuples(st.just("bookmark")),
            st.tuples(st.just("repeat")),
            st.tuples(st.just("compact")),
        ),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_to_connections_the_sink_ends_with_what_the_server_has(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    for what, *rest in steps:
        model.connect()
        assert model.stream is not None
        match what:
            case "change":
                model.change(*rest)
            case "read":
                model.read(*rest)
            case "cut":
                model.cut(*rest)
            case "bookmark":
                model.stream += bookmark(model.version)
            case "repeat":  # a server may replay what it sent
                model.stream += b"".join(line for _, line in model.history[-2:])
            case "compact":
                model.compact()
    model.connect()
    model.read(1_000_000)
    assert model.told == {name: each["spec"]["hostnames"][0] for name, each in model.objects.items()}
