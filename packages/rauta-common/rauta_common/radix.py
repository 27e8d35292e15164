"""A persistent radix tree over request paths, one level a segment, with the path semantics of the Gateway API.

Keys are raw paths as bytes, without query, and of two kinds (HTTPPathMatch of the Gateway API):

* exact: the whole path and nothing else; `/foo/` is another path than `/foo`.
* prefix: whole segments; `/foo` takes `/foo`, `/foo/` and `/foo/bar`, not `/foobar`. One slash at its end does not
  count, so `/foo/` is the same prefix, and `/` takes everything.

Nothing is normalised: an empty segment, as in `/a//b`, is a segment like any other, and whoever asks has decoded and
cleaned the path before. A path splits at its slashes and every part is an edge, the empty one before the first slash
too. So the prefix `/` sits at the node of that first edge, the exact `/` one empty edge below it, and no case is
special.

A Radix never changes. `insert` and `remove` return a new one that shares every node off the edited path with the old
(path copying; Driscoll et al., "Making Data Structures Persistent", 1989): a request keeps the tree it started with. An
`Editor` makes many edits for the price of one copy of each touched node, by marking the nodes it made as its own (the
transients of Clojure and Bagwell's tries). Bulk loads must use it: a persistent insert below a node of 10,000 children
copies that node each time.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class _Node(Generic[V]):
    """One segment: the values of the path that ends here, and the next segments. Only its owner may change it."""

    __slots__ = ("children", "exact", "owner", "prefix")

    def __init__(self, owner: object, children: "dict[bytes, _Node[V]]", exact: V | None, prefix: V | None) -> None:
        self.owner = owner
        self.children = children
        self.exact = exact
        self.prefix = prefix


class Radix(Generic[V]):
    """An immutable map from (path, kind) to a value that is not None.

    depth: no key has more edges. Whatever else a path has after so many slashes, the same keys take it.
    """

    __slots__ = ("_root", "_size", "depth")

    def __init__(self, _root: _Node[V] | None = None, _size: int = 0, depth: int = 0) -> None:
        self._root: _Node[V] = _root or _Node(None, {}, None, None)
        self._size = _size
        self.depth = depth

    def match(self, path: bytes) -> list[V]:
        """Return the values of all keys that take the request path `path`: the exact one, then prefixes, longest first.

        The hot path, about 0.5 us for three segments. What does not start with a slash (`*`) is taken by nothing,
        the empty path by the prefix `/` alone.
        """
        found = []
        node = self._root
        for segment in path.split(b"/"):
            child = node.children.get(segment)
            if child is None:
                break
            node = child
            if node.prefix is not None:
                found.append(node.prefix)
        else:
            if node.exact is not None:
                found.append(node.exact)
        found.reverse()
        return found

    def get(self, path: bytes, *, exact: bool) -> V | None:
        """Return the value of the key, or None. Raises ValueError if `path` does not start with a slash."""
        return _value(self._root, _edges(path, exact=exact), exact=exact)

    def insert(self, path: bytes, value: V, *, exact: bool) -> "Radix[V]":
        """Return a tree in which the key has this value; errors as in Editor.insert."""
        editor = self.edit()
        editor.insert(path, value, exact=exact)
        return editor.freeze()

    def remove(self, path: bytes, *, exact: bool) -> "Radix[V]":
        """Return a tree without the key; errors as in Editor.remove."""
        editor = self.edit()
        editor.remove(path, exact=exact)
        return editor.freeze()

    def edit(self) -> "Editor[V]":
        """Return an editor that starts from this tree and leaves it as it is."""
        return Editor(self._root, self._size, self.depth)

    def items(self) -> Iterator[tuple[bytes, bool, V]]:
        """Yield (path, exact, value) of every key, by segments in byte order, whatever the order of the edits."""
        stack = list(self._root.children.items())
        while stack:
            path, node = stack.pop()
            if node.exact is not None:
                yield path, True, node.exact
            if node.prefix is not None:
                yield path + b"/" if path.endswith(b"/") or not path else path, False, node.prefix
            stack.extend((path + b"/" + edge, child) for edge, child in sorted(node.children.items(), reverse=True))

    def __len__(self) -> int:
        return self._size


class Editor(Generic[V]):
    """A mutable view of a tree, for one thread and until `freeze`; then every call raises RuntimeError.

    `replaced` are the nodes of the tree it started from that the result does not share, each after the one it hangs on.
    Who lets go of many drops them one by one, in this order: with the last reference to a tree goes all of it at once.
    """

    __slots__ = ("_depth", "_root", "_size", "_token", "replaced")

    def __init__(self, root: _Node[V], size: int, depth: int) -> None:
        self.replaced: list[object] = []
        self._root = root
        self._size = size
        self._depth = depth  # of the deepest key there ever was: to know it after a removal would take a search
        self._token: object | None = object()  # what our nodes are marked with; not self, or they would keep us alive

    def get(self, path: bytes, *, exact: bool) -> V | None:
        """Return the value of the key as edited so far, or None; errors as in Radix.get."""
        self._check_open()
        return _value(self._root, _edges(path, exact=exact), exact=exact)

    def insert(self, path: bytes, value: V, *, exact: bool) -> None:
        """Give the key this value. Raises ValueError for a value of None or a path that does not start with a slash."""
        if value is None:
            raise ValueError("None is no value: it is how get says that there is none")
        edges = _edges(path, exact=exact)
        self._depth = max(self._depth, len(edges))
        node = self._claim(edges)[-1]
        if exact:
            self._size += node.exact is None
            node.exact = value
        else:
            self._size += node.prefix is None
            node.prefix = value

    def remove(self, path: bytes, *, exact: bool) -> None:
        """Remove the key, and the nodes that then lead nowhere. Raises KeyError if it is missing."""
        edges = _edges(path, exact=exact)
        if _value(self._root, edges, exact=exact) is None:
            raise KeyError(path)
        nodes = self._claim(edges)
        node = nodes.pop()
        if exact:
            node.exact = None
        else:
            node.prefix = None
        self._size -= 1
        while edges and not node.children and node.exact is None and node.prefix is None:
            node = nodes.pop()
            del node.children[edges.pop()]

    def freeze(self) -> Radix[V]:
        """End the edit and return its result."""
        self._check_open()
        self._token = None
        return Radix(self._root, self._size, self._depth)

    def _claim(self, edges: list[bytes]) -> list[_Node[V]]:
        """Make the nodes from the root along `edges` our own, copying or creating them, and return them."""
        self._check_open()
        node = self._root = self._own(self._root)
        nodes = [node]
        for edge in edges:
            children = node.children
            node = children[edge] = self._own(children.get(edge))
            nodes.append(node)
        return nodes

    def _own(self, node: _Node[V] | None) -> _Node[V]:
        if node is None:
            return _Node(self._token, {}, None, None)
        if node.owner is self._token:
            return node
        self.replaced.append(node)
        return _Node(self._token, node.children.copy(), node.exact, node.prefix)

    def _check_open(self) -> None:
        if self._token is None:
            raise RuntimeError("this editor is frozen")


def _edges(path: bytes, *, exact: bool) -> list[bytes]:
    """Return the edges from the root to the node of a key; the first is always empty."""
    if not path.startswith(b"/"):
        raise ValueError(f"path {path!r} does not start with a slash")
    return (path if exact else path.removesuffix(b"/")).split(b"/")


def _value(node: _Node[V], edges: list[bytes], *, exact: bool) -> V | None:
    """Return what stands at the end of `edges`, or None."""
    for edge in edges:
        child = node.children.get(edge)
        if child is None:
            return None
        node = child
    return node.exact if exact else node.prefix
