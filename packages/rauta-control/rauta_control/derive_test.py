from rauta_control.derive import Graph, Index
from rauta_control.slices import finish

calls: list[str] = []


def double(q: Graph, name: str) -> int:
    calls.append(f"double {name}")
    return 2 * (q.read(name) or 0)


def sign(q: Graph, name: str) -> bool:
    calls.append(f"sign {name}")
    return q.get(double, name) > 0


def either(q: Graph) -> str:
    calls.append("either")
    return "a" if q.get(sign, "a") else f"b={q.get(double, 'b')}"


def graph(**inputs: int) -> Graph:
    calls.clear()
    made = Graph()
    for name, value in inputs.items():
        made.put(name, value)
    return made


def test_a_value_is_computed_once() -> None:
    q = graph(a=1)
    assert [q.get(double, "a"), q.get(double, "a"), q.get(sign, "a")] == [2, 2, True]
    assert calls == ["double a", "sign a"]


def test_a_change_that_changes_nothing_ends_where_it_is_noticed() -> None:
    q = graph(a=1)
    assert q.get(either) == "a"
    calls.clear()
    q.put("a", 5)
    assert q.get(either) == "a"
    assert calls == ["double a", "sign a"]


def test_what_was_not_read_does_not_matter_until_it_is() -> None:
    q = graph(a=1, b=1)
    assert q.get(either) == "a"
    calls.clear()
    q.put("b", 7)
    assert (q.get(either), calls) == ("a", [])
    q.put("a", -1)
    assert q.get(either) == "b=14"
    q.put("b", 8)
    assert q.get(either) == "b=16"


def test_an_input_that_comes_later_is_noticed() -> None:
    q = graph()
    assert q.get(sign, "a") is False
    q.put("a", 1)
    assert q.get(sign, "a") is True


def test_pinned_results_are_named_when_they_may_have_changed() -> None:
    q = graph(a=1, b=1)
    q.pin(sign, "a")
    q.pin(sign, "b")
    assert q.stale(sign) == [("a",), ("b",)]
    assert [q.get(sign, "a"), q.get(sign, "b"), q.stale(sign)] == [True, True, []]
    q.put("b", 0)
    assert q.stale(double) == []
    assert q.stale(sign) == [("b",)]


def test_what_nothing_uses_is_dropped() -> None:
    q = graph(a=1, b=1)
    q.pin(either)
    q.get(either)
    finish(q.sweep())
    everything = len(q)
    q.unpin(either)
    finish(q.sweep())
    assert (everything, len(q)) == (5, 2)


def test_a_rule_that_raises_is_tried_again() -> None:
    def fragile(q: Graph) -> int:
        return 10 // int(q.read("a"))

    q = graph(a=0)
    for _ in range(2):
        try:
            q.get(fragile)
        except ZeroDivisionError:
            pass
        else:
            raise AssertionError
    q.put("a", 5)
    assert q.get(fragile) == 2


def test_an_index_counts_who_says_so() -> None:
    q = graph()
    index = Index(q, "set")
    finish(index.settle(index.emit("one", [("k", "x"), ("k", "y")])))
    finish(index.settle(index.emit("two", [("k", "x")])))
    assert q.read(("set", "k")) == {"x", "y"}
    finish(index.settle(index.emit("one", [])))
    assert q.read(("set", "k")) == {"x"}
    finish(index.settle(index.emit("two", [])))
    assert q.read(("set", "k")) is None
