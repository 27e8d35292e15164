"""The fixtures that several files of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rauta_control import ir
from rauta_control.bodyharness_test import CHUNKS, LENGTH, Kind, Pipes
from rauta_control.faketransport_test import FakeLoop, patch_sockets
from rauta_control.fakewire_test import CONFIGURATION, MakeWire, Wire
from rauta_control.messages import Ack, Hello
from rauta_control.proxyharness_test import Backend, Handler, Proxy, Put, Shared, echo, site
from rauta_control.sharedmem import SharedWords
from rauta_control.supervisorharness_test import Gateway, Start


@pytest.fixture
def make_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWire]:
    """Make workers over fake transports, of which nothing may be left at the end of the test."""
    patch_sockets(monkeypatch)
    made: list[Wire] = []

    def make(resources: tuple[ir.Resource, ...] = CONFIGURATION, **settings: object) -> Wire:
        made.append(Wire(str(tmp_path / "access.log"), resources, **settings))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    """A worker over fake transports. Files with resources of their own have a fixture of this name."""
    return make_wire()


@pytest.fixture(scope="module")
def loop() -> Iterator[FakeLoop]:
    """A loop of fake transports in which nothing goes wrong unseen."""
    made = FakeLoop()
    yield made
    assert not made.errors
    made.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """A real worker, and its echo backend, for all tests of a file."""
    with Backend(echo) as backend, Proxy(site(backend.port)) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        yield Shared(proxy, backend)


@pytest.fixture
def proxy(shared: Shared) -> Proxy:
    """The worker that the tests of a file share."""
    return shared.proxy


@pytest.fixture
def behind(shared: Shared) -> Iterator[Put]:
    """Put another backend behind the proxy for the rest of the test."""
    made: list[Backend] = []

    def put(handler: Handler) -> Backend:
        made.append(Backend(handler))
        assert isinstance(shared.proxy.publish(site(made[-1].port)), Ack)
        return made[-1]

    yield put
    assert isinstance(shared.proxy.publish(site(shared.backend.port)), Ack)
    for backend in made:
        backend.__exit__()


@pytest.fixture(params=[LENGTH, CHUNKS], ids=["length", "chunks"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """How a large body is sent."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def pipes(proxy: Proxy) -> Iterator[Pipes]:
    """No test may leave anything behind."""
    found = Pipes(proxy)
    yield found
    found.disappear()


@pytest.fixture
def shared_words() -> Iterator[SharedWords]:
    """Shared words in which nothing was counted yet."""
    made = SharedWords.create()
    yield made
    made.close()


@pytest.fixture
def words(shared_words: SharedWords) -> memoryview:
    """The same as workers and readers see them: an array of numbers."""
    return shared_words.words


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start supervisors with fake children, of which nothing may run at the end of the test."""
    running: list[Gateway] = []

    def start(*args: str, workers: int = 2, patience: dict[str, object] | None = None, **extra: str) -> Gateway:
        gateway = Gateway(tmp_path, ["--workers", str(workers), *args], patience or {}, **extra)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.end()
