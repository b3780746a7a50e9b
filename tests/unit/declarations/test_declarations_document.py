from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.declarations import canonical_json
from cogniforge_pipeline.declarations.document import parse_json, parse_yaml
from cogniforge_pipeline.declarations.reader import CORE_SCHEMA


class Dumper(yaml.SafeDumper):
    """Leaves unquoted all that the YAML 1.2 core schema reads as text."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}


for name, form in CORE_SCHEMA.items():
    Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{form.pattern})\Z"), None)

text = st.text() | st.sampled_from(["yes", "no", "on", "~", "", "<<", "0o17", "1e3", "1:20", "2024-05-01", "null", "-"])
documents = st.dictionaries(
    text,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=5,
)


def value_of(yaml_text: str) -> Any:
    nodes, problems = parse_yaml(yaml_text, "f.yaml")
    assert problems == []
    [node] = nodes
    return node.value


def problem_of(yaml_text: str) -> str:
    _, [problem] = parse_yaml(yaml_text, "f.yaml")
    return str(problem)


@settings(max_examples=150, deadline=None)
@given(
    document=documents,
    flow=st.booleans(),
    ascii_only=st.booleans(),
    width=st.sampled_from([20, 80, 10_000]),
)
@example(
    document={"a": [[], {}, [{"b": [1.0, 1, True]}]]},
    flow=False,
    ascii_only=True,
    width=80,
)
def test_any_document_dumped_to_yaml_is_read_back_the_same(
    document: dict[str, Any], flow: bool, ascii_only: bool, width: int
) -> None:
    written = yaml.dump(
        document,
        Dumper=Dumper,
        default_flow_style=flow,
        allow_unicode=not ascii_only,
        width=width,
        sort_keys=False,
    )
    assume(not re.search("[\x85\u2028\u2029]", written))
    assert canonical_json(value_of(written)) == canonical_json(document)


@settings(max_examples=100, deadline=None)
@given(
    document=documents,
    indent=st.sampled_from([None, 2, "\t"]),
    ascii_only=st.booleans(),
)
@example(document={"a\u007f": "\U0001f600 / \u2028 \\ud83d"}, indent="\t", ascii_only=True)
@example(
    document={"a\u007f": "\U0001f600 / \u2028 \\ud83d \\"},
    indent="\t",
    ascii_only=False,
)
def test_any_document_written_as_json_is_read_back_the_same(
    document: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    nodes, problems = parse_json(json.dumps(document, indent=indent, ensure_ascii=ascii_only), "f.json")
    assert problems == []
    assert canonical_json(nodes[0].value) == canonical_json(document)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("~", None),
        ("", None),
        ("=", "="),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("! 5", "5"),
        ("'true'", "true"),
    ],
)
def test_scalars_follow_the_yaml_core_schema(scalar: str, value: object) -> None:
    found = value_of(f"a: {scalar}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written() -> None:
    assert value_of("on: 1\n200: 2\ntrue: 3\n~: 4\n1.0: 5\n") == {
        "on": 1,
        "200": 2,
        "true": 3,
        "~": 4,
        "1.0": 5,
    }


def test_aliases_are_expanded_and_documents_are_parted() -> None:
    nodes, problems = parse_yaml("a: &x [1, {b: 2}]\nc: *x\n---\n# nothing\n---\nd: 1\n", "f.yaml")
    assert problems == []
    assert [node.value for node in nodes] == [
        {"a": [1, {"b": 2}], "c": [1, {"b": 2}]},
        {"d": 1},
    ]
    assert [(node.line, node.column) for node in nodes] == [(1, 1), (6, 1)]
    assert (nodes[0].children["c"].line, nodes[0].children["a"].line) == (2, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a: b: c\n", "f.yaml:1:5: a second 'key:' inside a value"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab stands where YAML takes only spaces"),
        ("a: 1\n\tb: 1\n", "f.yaml:2:1: a tab stands where YAML takes only spaces"),
        (
            "a: [1,\n  2\nb: 3\n",
            "f.yaml:1:4: a list that starts with '[' is not closed",
        ),
        ("a: {b: 1\n", "f.yaml:1:4: a mapping that starts with '{' is not closed"),
        ("x: 1\na: 'text\nb: 1\n", "f.yaml:2:4: a quote is not closed"),
        (
            "a:\n  b: 1\n c: 2\n",
            "f.yaml:3:2: the indentation does not fit the lines above",
        ),
        ("- a\nb: 1\n", "f.yaml:2:1: the indentation does not fit the list above"),
        ("a: 1\nfoo\nb: 2\n", "f.yaml:3:1: a line that is not 'key: value'"),
        ("a: @x\n", "f.yaml:1:4: '@' cannot start a value (quote the text)"),
        ("é: 1\na: \x01\n", "f.yaml:2:4: the control character U+0001 is not allowed"),
        (
            "a: 1\nb: 'x\u2028y'\n",
            "f.yaml:2:6: the control character U+2028 is not allowed",
        ),
        ("a: *x\n", "f.yaml:1:4: a: the alias *x has no anchor before it"),
        ("a: &x [*x]\n", "f.yaml:1:8: a[0]: the alias *x stands inside what it names"),
        (
            "a: 1\nb:\n  c: 1\n  c: 2\n",
            "f.yaml:4:3: b.c: the key 'c' is here twice, first in line 3",
        ),
        ("1: a\n'1': b\n", "f.yaml:2:1: 1: the key '1' is here twice, first in line 1"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a list or mapping cannot be a key"),
        (
            "a: !!python/object:os.system x\n",
            "f.yaml:1:4: a: the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        (
            "a: !!int x\n",
            "f.yaml:1:4: a: the tag 'tag:yaml.org,2002:int' is not allowed here",
        ),
        ("a: [.inf]\n", "f.yaml:1:5: a[0]: expected a finite number, got .inf"),
        ("a: 1e999\n", "f.yaml:1:4: a: expected a finite number, got 1e999"),
        ("a: " + "9" * 5000, "f.yaml:1:4: a: expected a finite number, got 999"),
    ],
)
def test_what_is_wrong_is_said_plainly_with_line_and_column(written: str, said: str) -> None:
    assert problem_of(written).startswith(said)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"a": 1,\n "b": }', "f.json:2:7: not JSON: expecting value"),
        ('{"a": NaN}', "f.json: not JSON: NaN is no JSON number"),
        (
            '{"a": 1,\n "a": 2}',
            "f.json:2:2: a: the key 'a' is here twice, first in line 1",
        ),
        ("[" * 100_000, "f.json: nested deeper than 64 levels"),
        ("a: 1", "f.json:1:1: not JSON"),
        (r'{"a": "\\ud83d\ude00"}', "f.json:1:17: an \\u escape of half a character"),
    ],
)
def test_what_is_wrong_in_json_is_said_too(written: str, said: str) -> None:
    _, [problem] = parse_json(written, "f.json")
    assert str(problem).startswith(said)


def test_alias_bombs_and_depth_stop_before_they_grow() -> None:
    levels = "".join(f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert "more than 100000 values" in problem_of("a: &a [x, x, x, x]\n" + levels)
    long = "a: &a " + "x" * 500_000 + "\n" + "".join(f"k{n}: *a\n" for n in range(20))
    assert "8000000 characters" in problem_of(long)
    assert "nested deeper than 64 levels" in problem_of("a: " + "[" * 500_000)
    nested = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 30 + "*a" + "]" * 30 + "\n"
    assert "nested deeper than 64 levels" in problem_of(nested)
    assert len(value_of("a: " + "[" * 63 + "]" * 63)) == 1


def test_a_file_of_comments_declares_nothing() -> None:
    assert parse_yaml("# later\n---\n# and more\n", "f.yaml") == ([], [])
