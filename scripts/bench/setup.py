"""What every proxy of a row is told to route, in no proxy's own words. Pure."""

from dataclasses import dataclass, replace

SHARED_HOST = "shop.example"


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for a host (empty: any) whose path begins with a prefix, by whole segments, go to a loopback port."""

    host: str
    prefix: str  # "/" or "/name"
    port: int

    @property
    def slashed(self) -> str:
        """The prefix with a slash at its end, for proxies that compare characters."""
        return self.prefix if self.prefix.endswith("/") else self.prefix + "/"


@dataclass(frozen=True, slots=True)
class Setup:
    """The routes of a row, the first of which leads to the fast backend. `secure`: clients speak TLS to the proxy."""

    routes: tuple[Route, ...]
    secure: bool = False

    @property
    def ports(self) -> tuple[int, ...]:
        """Every backend once, in order."""
        return tuple(sorted({route.port for route in self.routes}))

    def of_few(self, count: int) -> "Setup":
        """The same with `count` of its routes, of all kinds and backends."""
        return replace(self, routes=self.routes[:: len(self.routes) // count + 1][:count])

    def hosts(self) -> dict[str, list[Route]]:
        """Routes by host, in order."""
        found: dict[str, list[Route]] = {}
        for route in self.routes:
            found.setdefault(route.host, []).append(route)
        return found


def plain(web: int, python: int) -> Setup:
    """Everything to the fast backend, and `/py` to the one that makes streams and swallows bodies."""
    return Setup((Route("", "/", web), Route("", "/py", python)))


def many(count: int, ports: tuple[int, ...]) -> Setup:
    """`count` routes over the backends in turn: half by path on one host, half each on a host of its own."""
    half = count // 2
    return Setup(
        tuple(
            Route(SHARED_HOST, f"/r{i}", ports[i % len(ports)])
            if i < half
            else Route(f"h{i}.example", "/", ports[i % len(ports)])
            for i in range(count)
        )
    )
