"""Rules that do everything a rule can do, and what each promises: the configuration of the target `events`."""

from __future__ import annotations

import msgspec

from rauta_control import ir
from rauta_control.action import Cors, Filters, HeaderEdit, Mirror, PathEdit, Redirect, Retry, Rewrite
from rauta_control.fakewire_test import cluster

SHADOWS = (8101, 8102)  # ports of mirrors
EDITS = HeaderEdit((("X-Set", "ü"),), (("X-Add", "b"),), ("x-gone",))
ANSWERED = HeaderEdit((("X-Version", "é"),), (("Set-Cookie", "c=3"),), ("Content-Type", "set-cookie"))
CORS = Cors(("https://*.example", "http://*"), ("*",), ("*",), ("x-id",), True)


def _rule(path: str, *shares: ir.ClusterWeight | str, name: str = "", **more: object) -> ir.Rule:
    weights = tuple(ir.ClusterWeight(each) if isinstance(each, str) else each for each in shares)
    rule = ir.Rule(name or path, path, "l|*", path, "prefix", weights, slot=len(path), epoch=1)
    return msgspec.structs.replace(rule, **more)


RULES = {
    each.name: each
    for each in (
        _rule("/plain", "one"),
        _rule("/edit", "one", filters=Filters(EDITS, ANSWERED)),
        _rule("/prefix", "one", filters=Filters(rewrite=Rewrite("new.example", PathEdit("/new/", prefix=True)))),
        _rule("/full", "one", filters=Filters(rewrite=Rewrite("", PathEdit("/all")))),
        _rule("/redirect", filters=Filters(response=ANSWERED, redirect=Redirect(308, "https", 8443))),
        _rule("/cors", "one", filters=Filters(EDITS, ANSWERED, cors=CORS), retry=Retry(1, (500,), 0)),
        _rule("/mirror", "one", filters=Filters(mirrors=(Mirror("shadow"), Mirror("shade", 1, 2)))),
        _rule("/retry", "three", request_timeout=4_000, backend_timeout=1_000, retry=Retry(2, (503,), 20)),
        _rule("/timed", "three", request_timeout=900),
        _rule("/gate", "three", filters=Filters(EDITS, mirrors=(Mirror("shadow"),)), retry=Retry(3, (500, 503), 0)),
        _rule("/turns", "turns", retry=Retry(1, (503,), 0)),
        _rule("/choice", "turns", name="x-kind", headers=(ir.Predicate("x-kind", "[a-z]+ ?.*", regex=True),)),
        _rule("/choice", "three", name="query", query=(ir.Predicate("a b", "1"),), retry=Retry(2, (503,), 0)),
        _rule(
            "/shares",
            ir.ClusterWeight("one", 3, Filters(EDITS, ANSWERED)),
            ir.ClusterWeight("three", 3, Filters(mirrors=(Mirror("shade"),))),
            ir.ClusterWeight("", 1, fault="nothing"),
            retry=Retry(1, (503,), 0),
        ),
    )
}
PATHS = tuple(dict.fromkeys(each.path for each in RULES.values()))
GATED = "/gate"

_TURNS = msgspec.structs.replace(cluster("turns", 8005, 8006), balance=ir.Balance("round-robin"))
_COMMON = (
    ir.Listener("l", "0.0.0.0", 80, 80),
    ir.VirtualHost("l", "*"),
    cluster("shadow", SHADOWS[0]),
    cluster("shade", SHADOWS[1]),
)
FULL: tuple[ir.Resource, ...] = (
    *_COMMON,
    cluster("one", 8001),
    cluster("three", 8002, 8003, 8004),
    _TURNS,
    *RULES.values(),
)

#: Configurations that take each other's place while requests are under way.
CONFIGURATIONS: tuple[tuple[ir.Resource, ...], ...] = (
    FULL,
    (*_COMMON, cluster("one", 8001), cluster("three", 8003), _TURNS, *RULES.values()),
    (*_COMMON, cluster("one"), cluster("three"), cluster("turns", 8006), *RULES.values()),
    (*_COMMON, cluster("one", 8001), cluster("three", 8002), RULES["/plain"]),
)

#: One rule for everything, which changes all that can be changed.
CHANGED = (
    ir.Listener("l", "0.0.0.0", 80, 80),
    ir.VirtualHost("l", "*"),
    cluster("c", 8001),
    _rule(
        "/",
        "c",
        filters=Filters(EDITS, ANSWERED, None, Rewrite("new.example", PathEdit("/new", prefix=True)), cors=CORS),
        retry=Retry(1, (500,), 0),
        backend_timeout=1_000,
    ),
)
