"""Derived values that keep themselves up to date: change an input, and only what depends on it is computed again.

Pure. A rule is a plain function of a graph and hashable arguments. What it reads through the graph, inputs and results
of other rules, is recorded, so nobody declares dependencies and none is forgotten. A change marks what it may touch;
reading a marked value computes it anew only if something it read came out different (so a change that changes nothing
ends where it is noticed). This is the scheme of incremental compilers (Adapton, Salsa), in a hundred lines.

Rules must depend on nothing but the graph and their arguments, and values must never be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

from rauta_control.slices import Slices, finish

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: Any = object()


class _Node:
    """An input (`rule` None) or the result of a rule. `reads` keeps the order in which the rule read."""

    __slots__ = ("args", "changed", "marked", "pinned", "reads", "rule", "users", "value", "verified")

    def __init__(self, rule: Callable[..., Any] | None, args: tuple[Hashable, ...]) -> None:
        self.rule = rule
        self.args = args
        self.value: Any = _NOTHING
        self.reads: dict[_Node, None] = {}
        self.users: set[_Node] = set()
        self.changed = 0  # the revision in which the value came to be what it is
        self.verified = 0  # the revision as of which it is known to be right
        self.marked = False
        self.pinned = False


class Graph:
    """Inputs by key, and everything derived from them."""

    def __init__(self) -> None:
        self._inputs: dict[Hashable, _Node] = {}
        self._results: dict[tuple[Callable[..., Any], tuple[Hashable, ...]], _Node] = {}
        self._revision = 1
        self._frames: list[dict[_Node, None]] = []
        self._marked_pins: dict[Callable[..., Any], dict[_Node, None]] = {}  # by rule
        self._loose: dict[_Node, None] = {}  # results that lost their last user
        self._touched: list[_Node] = []  # to be marked, with all that use them

    def __len__(self) -> int:
        return len(self._inputs) + len(self._results)

    def put(self, key: Hashable, value: Any) -> None:
        """Set an input. None is the value of an input that was never set. Not to be called by a rule."""
        node = self._inputs.get(key)
        if node is None:
            node = self._inputs[key] = _Node(None, (key,))
            node.value = None
        if node.value != value:
            self._revision += 1
            node.value = value
            node.changed = node.verified = self._revision
            self._touched.extend(node.users)
        if value is None and not node.users:
            self._loose[node] = None

    def read(self, key: Hashable) -> Any:
        """Return an input."""
        node = self._inputs.get(key)
        if node is None:
            node = self._inputs[key] = _Node(None, (key,))
            node.value = None
        if self._frames:
            self._frames[-1][node] = None
        return node.value

    def spreading(self) -> Slices[None]:
        """Mark what changed inputs may touch, some of it at a time. What is read before does it at once."""
        while self._touched:
            node = self._touched.pop()
            if not node.marked:
                node.marked = True
                if node.pinned:
                    self._name(node)
                self._touched.extend(node.users)
                yield

    def get(self, rule: Callable[Concatenate[Graph, P], T], *args: P.args, **_: P.kwargs) -> T:
        """Return what `rule` makes of `args`, computed at most once while nothing it read has changed."""
        if self._touched:
            finish(self.spreading())
        node = self._node(rule, args)
        self._refresh(node)
        if self._frames:
            self._frames[-1][node] = None
        value: T = node.value
        return value

    def pin(self, rule: Callable[Concatenate[Graph, P], Any], *args: P.args, **_: P.kwargs) -> None:
        """Keep the result of `rule`, and name it in `stale` whenever it may have changed; now too."""
        node = self._node(rule, args)
        if not node.pinned:
            node.pinned = True
            self._name(node)

    def unpin(self, rule: Callable[Concatenate[Graph, P], Any], *args: P.args, **_: P.kwargs) -> None:
        """Forget the result of `rule`, unless another needs it."""
        node = self._results.get((rule, args))
        if node is not None and node.pinned:
            node.pinned = False
            self._marked_pins.get(rule, {}).pop(node, None)
            if not node.users:
                self._loose[node] = None

    def stale(self, *rules: Callable[..., Any]) -> list[tuple[Hashable, ...]]:
        """Return, and no more name, the arguments of pinned results of these rules that may have changed."""
        if self._touched:
            finish(self.spreading())
        found = [node for rule in rules for node in self._marked_pins.pop(rule, ())]
        return [node.args for node in found]

    def sweep(self) -> Slices[None]:
        """Drop results that nothing uses any more, and inputs that are None and that nothing reads, one at a time."""
        while self._loose:
            yield
            node, _ = self._loose.popitem()
            if node.users or node.pinned:
                continue
            if node.rule is None:
                if node.value is None:
                    self._inputs.pop(node.args[0], None)
                continue
            self._results.pop((node.rule, node.args), None)
            self._leave(node, node.reads)

    def _node(self, rule: Callable[..., Any], args: tuple[Hashable, ...]) -> _Node:
        node = self._results.get((rule, args))
        if node is None:
            node = self._results[rule, args] = _Node(rule, args)
            node.marked = True
            self._loose[node] = None
        return node

    def _refresh(self, node: _Node) -> None:
        if not node.marked:
            return
        node.marked = False
        if node.value is not _NOTHING:
            for read in node.reads:
                self._refresh(read)
                if read.changed > node.verified:
                    break
            else:
                node.verified = self._revision
                return
        self._compute(node)

    def _compute(self, node: _Node) -> None:
        frame: dict[_Node, None] = {}
        self._frames.append(frame)
        try:
            assert node.rule is not None  # noqa: S101 - inputs are never marked
            value = node.rule(self, *node.args)
        except BaseException:
            node.marked = True
            raise
        finally:
            self._frames.pop()
        for read in frame:
            read.users.add(node)
        self._leave(node, node.reads.keys() - frame.keys())
        node.reads = frame
        if node.value is _NOTHING or node.value != value:
            node.value = value
            node.changed = self._revision
        node.verified = self._revision

    def _leave(self, node: _Node, reads: Iterable[_Node]) -> None:
        for read in reads:
            read.users.discard(node)
            if not read.users and not read.pinned:
                self._loose[read] = None

    def _name(self, node: _Node) -> None:
        """Have `stale` name a pinned result."""
        assert node.rule is not None  # noqa: S101 - inputs are never pinned
        self._marked_pins.setdefault(node.rule, {})[node] = None


class Index:
    """A graph input for each key: the frozen set of members that some emitter says belong to it, None if there is none.

    An emitter is whatever owns a set of (key, member) pairs: an object, or a result of a rule.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self._name = name
        self._emitted: dict[Hashable, frozenset[tuple[Hashable, Hashable]]] = {}
        self._members: dict[Hashable, dict[Hashable, int]] = {}  # by key, how many emitters say so

    def emit(self, emitter: Hashable, pairs: Iterable[tuple[Hashable, Hashable]]) -> set[Hashable]:
        """Replace what `emitter` says; return the keys whose members changed; `settle` sets their inputs."""
        new = frozenset(pairs)
        old = self._emitted.get(emitter, frozenset())
        if new:
            self._emitted[emitter] = new
        else:
            self._emitted.pop(emitter, None)
        changed = set()
        for key, member in new - old:
            members = self._members.setdefault(key, {})
            members[member] = members.get(member, 0) + 1
            changed.add(key)
        for key, member in old - new:
            members = self._members[key]
            members[member] -= 1
            if not members[member]:
                del members[member]
            changed.add(key)
        return changed

    def settle(self, keys: Iterable[Hashable]) -> Slices[None]:
        """Set the inputs of these keys, one at a time."""
        for key in keys:
            members = self._members.get(key)
            if not members:
                self._members.pop(key, None)
            self._graph.put((self._name, key), frozenset(members) if members else None)
            yield
