"""Files in, edits and faults out: what is new counts, what is broken takes nothing away."""

import pytest

from rauta_control.catalog import Catalog
from rauta_control.documents import pieces
from rauta_control.samples_test import service
from rauta_control.slices import finish
from rauta_control.world import Key


def key(name: str) -> Key:
    return Key("Service", "default", name)


class Folder(Catalog):
    """A catalog in which a file is written at once, and that says what changed by name: `web`, or `-web` if gone."""

    def write(self, name: str, *documents: str) -> list[str]:
        finish(self.update(name, "---\n".join(documents)))
        return self.changed()

    def changed(self) -> list[str]:
        return [each.name if resource is not None else f"-{each.name}" for each, resource in self.edits().items()]

    def said(self) -> list[str]:
        return [str(fault) for fault in self.faults()]


def test_only_what_changed_is_an_edit() -> None:
    folder = Folder()
    assert folder.write("a.yaml", service("one"), service("two")) == ["one", "two"]
    assert folder.write("a.yaml", service("one"), service("two")) == []
    assert folder.write("a.yaml", service("one"), "# a word\n" + service("two")) == []
    assert folder.write("a.yaml", service("zero"), service("one"), service("two", 81)) == ["two", "zero"]
    assert sorted(folder.write("a.yaml", service("one"))) == ["-two", "-zero"]
    folder.remove("a.yaml")
    assert folder.changed() == ["-one"]
    assert not folder.objects


def test_a_refused_document_leaves_what_it_was() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"), service("two"))
    assert folder.write("a.yaml", service("one", 99999), service("two", 81)) == ["two"]
    assert folder.objects.keys() == {key("one"), key("two")}
    (fault,) = folder.said()
    assert fault.startswith("Error a.yaml#1 (Service default/one) spec.ports[0].port: ")
    assert fault.endswith("the last good one counts")
    assert folder.write("a.yaml", service("one", 82), service("two", 81)) == ["one"]
    assert not folder.said()


def test_what_was_never_good_is_only_a_fault() -> None:
    folder = Folder()
    assert folder.write("a.yaml", service("one", 99999), service("two")) == ["two"]
    (fault,) = folder.said()
    assert "last good" not in fault


def test_a_text_that_is_no_yaml_keeps_what_nothing_else_of_the_file_names() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"), service("two"))
    assert folder.write("a.yaml", "kind: [\n", service("two", 81)) == ["two"]
    assert folder.objects.keys() == {key("one"), key("two")}
    (fault,) = folder.said()
    assert fault.startswith("Error a.yaml#1 not YAML: ")
    assert "(line 2, column " in fault


def test_the_line_of_an_error_is_that_of_the_file_also_when_it_moves() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"), "b: [1}\n")
    (fault,) = folder.said()
    assert "a.yaml#2" in fault
    assert "(line 6, column 6)" in fault
    folder.write("a.yaml", "# more\n" + service("one"), "b: [1}\n")
    (fault,) = folder.said()
    assert "(line 7, column 6)" in fault


def test_a_document_that_names_nothing_any_more_keeps_what_it_may_have_been() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"))
    assert folder.write("a.yaml", "apiVersion: v1\nkind: Service\n") == []
    assert folder.objects.keys() == {key("one")}


def test_an_empty_file_is_taken_for_half_written() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"))
    assert folder.write("a.yaml", "") == []
    assert folder.write("a.yaml", "\n") == []
    (fault,) = folder.said()
    assert fault.startswith("Error a.yaml is empty")
    assert folder.write("a.yaml", service("one")) == []
    assert not folder.said()
    folder.write("a.yaml", "")
    assert folder.write("a.yaml", "# nothing left\n") == ["-one"]


def test_a_file_without_documents_is_said() -> None:
    folder = Folder()
    for text in ("", "# nothing yet\n", "---\n"):
        folder.write("a.yaml", text)
        assert folder.said() == ["Warning a.yaml there is no document in it"]
    assert folder.write("a.yaml", service("one")) == ["one"]
    assert folder.said() == []
    assert folder.write("a.yaml", "# " + service("one").replace("\n", "\n# ")) == ["-one"]


def test_of_two_documents_for_one_object_the_first_counts() -> None:
    folder = Folder()
    folder.write("b.yaml", service("one", 82), service("one", 83))
    assert folder.write("a.yaml", service("one", 81)) == ["one"]
    assert [fault.partition(":")[0] for fault in folder.said()] == [
        "Error b.yaml#2 (Service default/one) metadata.name",
        "Error b.yaml#1 (Service default/one) metadata.name",
    ]
    folder.remove("a.yaml")
    assert folder.changed() == ["one"]
    assert len(folder.said()) == 1


def test_a_file_that_is_gone_for_a_moment_changes_nothing_unless_it_was_renamed() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"), service("two"))
    folder.vanish("a.yaml")
    assert folder.changed() == []
    assert folder.write("b.yaml", service("one", 81)) == ["one"]
    assert not folder.said()
    folder.remove("a.yaml")
    assert folder.changed() == ["-two"]
    folder.vanish("b.yaml")
    assert folder.write("b.yaml", service("one", 81)) == []


def test_a_file_that_cannot_be_read_keeps_what_it_gave() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"))
    folder.fail("a.yaml", "cannot be read: permission denied")
    assert folder.changed() == []
    assert folder.said() == [
        "Error a.yaml cannot be read: permission denied; until that is mended the last good one counts"
    ]
    assert folder.write("a.yaml", service("one")) == []
    assert not folder.said()


def test_what_is_kept_of_broken_documents_outlives_a_restart() -> None:
    folder = Folder()
    folder.write("a.yaml", service("one"), service("two"))
    folder.write("b.yaml", service("three"))
    folder.write("c.yaml", service("four"))
    assert folder.kept == {}
    folder.write("a.yaml", service("one"), service("two", "high"))
    folder.write("b.yaml", "kind: [")
    folder.fail("c.yaml", "cannot be read: permission denied")
    names = {name: [each.name for each in resources] for name, resources in folder.kept.items()}
    assert names == {"a.yaml": ["two"], "b.yaml": ["three"], "c.yaml": ["four"]}

    again = Folder()
    for name, resources in folder.kept.items():
        again.recall(name, resources)
    assert again.kept == folder.kept
    assert again.write("a.yaml", service("one"), service("two", "high")) == ["two", "three", "four", "one"]
    assert again.write("b.yaml", "kind: [") == []
    again.fail("c.yaml", "cannot be read: permission denied")
    assert again.objects == folder.objects
    assert again.kept == folder.kept
    assert again.write("a.yaml", service("one")) == ["-two"]
    again.remove("b.yaml")
    assert again.changed() == ["-three"]
    assert again.write("c.yaml", service("four")) == []
    assert again.kept == {}


def test_lists_are_opened() -> None:
    folder = Folder()
    items = "".join(
        f"- {line}" if not i % 4 else f"  {line}"
        for i, line in enumerate((service("one") + service("two", 0)).splitlines(keepends=True))
    )
    assert folder.write("a.yaml", service("zero"), f"apiVersion: v1\nkind: List\nitems:\n{items}") == ["zero", "one"]
    (fault,) = folder.said()
    assert fault.startswith("Error a.yaml#2.items[1] (Service default/two) spec.ports[0].port: ")


def test_lists_of_one_kind_are_opened() -> None:
    folder = Folder()
    text = "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: one}, spec: {ports: [{port: 80}]}}]\n"
    assert folder.write("a.yaml", text) == ["one"]
    assert folder.write("b.yaml", text.replace("Service", "Sevice").replace("one", "two")) == []
    assert folder.said() == ['Error b.yaml#1 (SeviceList) kind: no kind "SeviceList" in v1; did you mean "Service"?']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "item: []",
            ["Warning a.yaml#1 (List) item: unknown field", "Error a.yaml#1 (List) items: Required value"],
        ),
        ("items: {}", ["Error a.yaml#1 (List) items: Invalid value"]),
        ("items: null", []),
        ("items: [null]", ["Error a.yaml#1.items[0] Invalid value"]),
    ],
)
def test_a_list_without_its_items_is_a_fault(text: str, said: list[str]) -> None:
    folder = Folder()
    folder.write("a.yaml", f"apiVersion: v1\nkind: List\nmetadata: {{}}\n{text}\n")
    assert len(folder.said()) == len(said)
    assert all(found.startswith(start) for found, start in zip(folder.said(), said, strict=True))


def test_json() -> None:
    folder = Folder()
    assert folder.write("a.json", '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}}') == []
    assert folder.said()  # a Service without ports
    text = '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}}'
    assert folder.write("a.json", text) == ["one"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n", []),
        ("a: 1", [(0, "a: 1")]),
        ("---\na: 1\n---\nb: 1\n", [(0, "---\na: 1\n"), (2, "---\nb: 1\n")]),
        ("a: 1\n--- # next\nb: 1\n---", [(0, "a: 1\n"), (1, "--- # next\nb: 1\n"), (3, "---")]),
        ("a: |\n  ---\n  x\n", [(0, "a: |\n  ---\n  x\n")]),
        ("a: |\n  -----BEGIN\n----\n", [(0, "a: |\n  -----BEGIN\n----\n")]),
        ("\ufeffa: 1\r\n---\r\nb: 1", [(0, "a: 1\r\n"), (1, "---\r\nb: 1")]),
        ("%YAML 1.2\n---\na: 1\n---\nb: 1\n", [(0, "%YAML 1.2\n---\na: 1\n---\nb: 1\n")]),
    ],
)  # fmt: skip
def test_pieces(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(pieces(text)) == expected
