from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common.radix import Editor, Radix

Key = tuple[bytes, bool]
Edit = tuple[Key, int | None]  # None removes the key

paths = st.lists(st.sampled_from([b"", b"a", b"b", b"ab"]), min_size=1, max_size=4).map(lambda s: b"/" + b"/".join(s))
keys = st.tuples(paths, st.booleans())
edits = st.lists(st.tuples(keys, st.none() | st.integers(0, 99)), max_size=20)


class Model:
    """The semantics, without a tree: a dict of keys in which prefixes have lost the slash at their end."""

    def __init__(self) -> None:
        self.values: dict[Key, int] = {}

    @staticmethod
    def key(path: bytes, exact: bool) -> Key:
        return path if exact else path.removesuffix(b"/"), exact

    def apply(self, edits: list[Edit]) -> "Model":
        after = Model()
        after.values = self.values.copy()
        for key, value in edits:
            if value is None:
                after.values.pop(self.key(*key), None)
            else:
                after.values[self.key(*key)] = value
        return after

    def match(self, path: bytes) -> list[int]:
        exacts = [value for (own, exact), value in self.values.items() if exact and path == own]
        prefixes = [
            (own, value)
            for (own, exact), value in self.values.items()
            if not exact and (path == own or path.startswith(own + b"/"))
        ]
        return exacts + [value for _, value in sorted(prefixes, key=lambda pair: -len(pair[0]))]


def bulk(tree: Radix[int], edits: list[Edit]) -> Radix[int]:
    editor = tree.edit()
    for (path, exact), value in edits:
        if value is not None:
            editor.insert(path, value, exact=exact)
        elif editor.get(path, exact=exact) is not None:
            editor.remove(path, exact=exact)
    return editor.freeze()


def one_by_one(tree: Radix[int], edits: list[Edit]) -> Radix[int]:
    for (path, exact), value in edits:
        if value is not None:
            tree = tree.insert(path, value, exact=exact)
        elif tree.get(path, exact=exact) is not None:
            tree = tree.remove(path, exact=exact)
    return tree


def check(tree: Radix[int], model: Model, requests: list[bytes]) -> None:
    assert len(tree) == len(model.values)
    assert {Model.key(path, exact): value for path, exact, value in tree.items()} == model.values
    for path, exact, value in tree.items():
        assert tree.get(path, exact=exact) == value
    for path in requests:
        assert tree.match(path) == model.match(path)


def edges(path: bytes, exact: bool) -> list[bytes]:
    return Model.key(path, exact)[0].split(b"/")


def node_count(tree: Radix[int]) -> int:
    nodes = [tree._root]
    for node in nodes:
        nodes.extend(node.children.values())
    return len(nodes)


@given(st.lists(st.tuples(st.sampled_from([bulk, one_by_one]), edits), max_size=4), st.lists(paths, max_size=20))
@settings(deadline=None)
def test_every_version_keeps_agreeing_with_the_model(
    batches: list[tuple[Callable[[Radix[int], list[Edit]], Radix[int]], list[Edit]]], requests: list[bytes]
) -> None:
    versions = [(Radix[int](), Model())]
    for way, batch in batches:
        tree, model = versions[-1]
        versions.append((way(tree, batch), model.apply(batch)))
    for tree, model in versions:
        check(tree, model, requests)


@given(edits, edits, paths, paths)
@settings(deadline=None)
def test_nothing_matters_after_as_many_slashes_as_the_tree_is_deep(
    before: list[Edit], after: list[Edit], begin: bytes, rest: bytes
) -> None:
    tree = one_by_one(bulk(Radix(), before), after)
    assert tree.depth >= max((len(edges(path, exact)) for path, exact, _ in tree.items()), default=0)
    parts = begin.split(b"/", tree.depth)
    if len(parts) > tree.depth:
        assert tree.match(begin) == tree.match(b"/".join((*parts[:-1], rest)))


@given(edits)
@settings(deadline=None)
def test_items_come_in_one_order_and_rebuild_the_tree(batch: list[Edit]) -> None:
    tree = bulk(Radix(), batch)
    items = list(tree.items())
    backwards = bulk(Radix(), [((path, exact), value) for path, exact, value in reversed(items)])
    assert list(backwards.items()) == items
    order = [(edges(path, exact), not exact) for path, exact, _ in items]
    assert order == sorted(order)


@given(edits)
@settings(deadline=None)
def test_removed_keys_leave_no_node_behind(batch: list[Edit]) -> None:
    tree = bulk(Radix(), batch)
    for path, exact, _ in tree.items():
        before = node_count(tree)
        tree = tree.remove(path, exact=exact)
        assert node_count(tree) <= before
    assert len(tree) == 0
    assert node_count(tree) == 1


@given(edits, keys)
@settings(deadline=None)
def test_an_insert_shares_every_node_off_its_path(batch: list[Edit], key: Key) -> None:
    path, exact = key
    old = bulk(Radix(), batch)
    before, after = old._root, old.insert(path, 100, exact=exact)._root
    for edge in edges(path, exact):
        assert after is not before
        assert {e: child for e, child in before.children.items() if e != edge}.items() <= after.children.items()
        if edge not in before.children:
            break
        before, after = before.children[edge], after.children[edge]


def test_an_editor_copies_a_wide_node_once() -> None:
    """What keeps a bulk load linear: 10,000 routes below one node, each insert changing the same dict in place."""
    tree = Radix[int]().insert(b"/old", 0, exact=True)
    editor = tree.edit()
    editor.insert(b"/new", 0, exact=True)
    children = editor._root.children[b""].children
    for i in range(10_000):
        editor.insert(b"/%d" % i, i, exact=True)
    assert editor._root.children[b""].children is children
    assert len(editor.freeze()) == 10_002
    assert [path for path, _, _ in tree.items()] == [b"/old"]


@pytest.mark.parametrize(
    "use",
    [
        lambda editor: editor.get(b"/a", exact=True),
        lambda editor: editor.insert(b"/a", 2, exact=True),
        lambda editor: editor.remove(b"/a", exact=True),
        lambda editor: editor.freeze(),
    ],
)
def test_a_frozen_editor_refuses(use: Callable[[Editor[int]], object]) -> None:
    editor = Radix[int]().insert(b"/a", 1, exact=True).edit()
    tree = editor.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        use(editor)
    assert tree.match(b"/a") == [1]


@pytest.mark.parametrize(
    ("path", "matched"),
    [
        (b"/", ["/"]),
        (b"/foo", ["=/foo", "/foo", "/"]),
        (b"/foo/", ["=/foo/", "/foo", "/"]),
        (b"/foo/bar", ["/foo", "/"]),
        (b"/foo/bar/baz/", ["/foo/bar/baz", "/foo", "/"]),
        (b"/foobar", ["/"]),
        (b"//foo", ["/"]),
        (b"/a//b", ["/a//b", "/"]),
        (b"/a/b", ["/"]),
        (b"*", []),
        (b"", ["/"]),
    ],
)
def test_gateway_api_semantics(path: bytes, matched: list[str]) -> None:
    editor = Radix[str]().edit()
    for prefix in ("/", "/foo", "/foo/bar/baz/", "/a//b"):
        editor.insert(prefix.encode(), prefix.rstrip("/") or "/", exact=False)
    for exact in ("/foo", "/foo/"):
        editor.insert(exact.encode(), "=" + exact, exact=True)
    assert editor.freeze().match(path) == matched


def test_what_is_no_key_is_refused() -> None:
    tree = Radix[int]().insert(b"/a/b", 1, exact=False)
    for missing in ((b"/a", False), (b"/a/b", True), (b"/a/b/c", False)):
        with pytest.raises(KeyError):
            tree.remove(missing[0], exact=missing[1])
    for malformed in (b"", b"a", b"*"):
        with pytest.raises(ValueError, match="does not start with a slash"):
            tree.insert(malformed, 1, exact=True)
    with pytest.raises(ValueError, match="None is no value"):
        tree.insert(b"/a", None, exact=True)  # type: ignore[arg-type]
