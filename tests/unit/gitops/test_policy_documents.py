"""Manifests as Kubernetes reads them, and texts that are meant to do harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.gitops.policy.documents import MAX_BYTES, DocumentRefused, documents, manifests, read_manifests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 2024-05-01", {"a": "2024-05-01"}),
        ("a: 2024-05-01T10:00:00Z", {"a": "2024-05-01T10:00:00Z"}),
        ("a: 22:22", {"a": "22:22"}),
        ("a: 190:20:30.15", {"a": "190:20:30.15"}),
        ("a: yes\nb: off", {"a": True, "b": False}),
        ("1: x\ntrue: y\n1.5: z", {"1": "x", "true": "y", "1.5": "z"}),
        ("a: 0x10\nb: 1e3\nc: 1.50", {"a": 16, "b": "1e3", "c": 1.5}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("\ufeffa: é", {"a": "é"}),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert documents(text.encode(), "f.yaml") == [expected]


def test_documents_and_lists_become_manifests() -> None:
    text = "---\n# nothing\n---\nkind: A\n---\nkind: PodList\nitems: [{kind: B}, {kind: C}]\n"
    assert [each["kind"] for each in manifests(text, "f.yaml")] == ["A", "B", "C"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "f.yaml: its aliases unfold to more than"),
        ("a: &a\n  b: *a", "f.yaml:1: an alias of what it lies in"),
        ("[" * 100_000, "nested deeper|nested too deep"),
        ("- " * 100_000 + "a", "nested deeper"),
        ("{a: " * 50_000, "nested deeper"),
        ("\n".join(" " * number + "a:" for number in range(3000)), "nested deeper"),
        ("? " * 50_000, "nested deeper"),
        ('{"a":' * 100_000, "nested"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3: the key 'a' twice"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml:1:4: could not determine a constructor"),
        ("a: !!binary aGVsbG8=", "binary"),
        ("a: .nan", "finite"),
        ("? [1, 2]\n: x", "key"),
        ("a: b: c", "f.yaml:1:5"),
        ("a: *nobody", "undefined alias"),
        ("just text", "expected an object, got str"),
        (b"a: \xff", "not UTF-8"),
        ("a: \x00", "f.yaml"),
    ],
)
def test_what_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(DocumentRefused, match=words):
        list(manifests(text, "f.yaml"))


def test_a_file_of_100_mb_is_refused_after_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(DocumentRefused, match=f"larger than {MAX_BYTES // 1024 // 1024} MB"):
        read_manifests(path)


def test_a_deep_text_within_the_limit_is_read() -> None:
    text = "a: '" + "[" * 5000 + "'\nb: " + "[" * 50 + "]" * 50
    assert documents(text, "f.yaml")[0]["a"] == "[" * 5000
