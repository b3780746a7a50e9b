from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.sre.selectors import Matcher, Selector, le_matcher, parse_matcher, parse_selector

SERIES = """
CREATE TABLE series (service VARCHAR, metric VARCHAR, labels MAP(VARCHAR, VARCHAR));
INSERT INTO series VALUES
    ('web', 'http', MAP {'code': '200', 'path': '/'}),
    ('web', 'http', MAP {'code': '500', 'path': '/it''s'}),
    ('web', 'http', MAP {'code': '5000'}),
    ('api', 'http', MAP {}),
    ('api', 'grpc', MAP {'code': '500'});
"""


def rows(selector: Selector) -> list[str]:
    with duckdb.connect() as connection:
        connection.execute(SERIES)
        found = connection.execute(
            f"SELECT service || ' ' || coalesce(s.labels['code'], '-') FROM series s "
            f"WHERE {selector.condition('s')} ORDER BY ALL"
        ).fetchall()
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http", ["api -", "web 200", "web 500", "web 5000"]),
        ('http{code="500"}', ["web 500"]),
        ('http{code!="500"}', ["api -", "web 200", "web 5000"]),
        ('http{code=~"5.."}', ["web 500"]),
        ('http{code!~"5..|200"}', ["api -", "web 5000"]),
        ('http{code=~".*"}', ["api -", "web 200", "web 500", "web 5000"]),
        ('http{code=~".+", path=""}', ["web 5000"]),
        ('http{path="/it\'s",}', ["web 500"]),
        ("http{code='500'}", ["web 500"]),
        ("http{code=~`5\\d\\d`}", ["web 500"]),
        ('http{code=~"5\\\\d\\\\d"}', ["web 500"]),
    ],
)
def test_matchers_mean_what_they_mean_in_prometheus(text: str, expected: list[str]) -> None:
    assert rows(parse_selector(text)) == expected


def test_a_service_narrows_and_hostile_text_stays_text() -> None:
    assert rows(Selector("http", "api")) == ["api -"]
    assert rows(Selector("http' OR true --")) == []
    assert rows(Selector("http", None, (Matcher("code", "=", "' OR true --"),))) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "http{", 'http{code="5" path="x"}', "http{code=5}", 'http{code="\\q"}', 'http{a="(" b}', "a-b"]
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown escape"):
        parse_selector(text)


@given(st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), st.sampled_from(["=", "!="]), st.text(max_size=20))
def test_a_matcher_printed_and_read_again_is_the_same(label: str, op: str, value: str) -> None:
    matcher = parse_matcher(str(Matcher(label, "=" if op == "=" else "!=", value)))

    assert (matcher.label, matcher.op, matcher.value) == (label, op, value)


@pytest.mark.parametrize(
    ("bound", "same", "other"),
    [
        ("1", ["1", "1.0", "1."], ["10", "11", "0.1", "1.5"]),
        ("0.25", ["0.25", ".25", "0.250"], ["0.2", "0.255", "025", "10.25"]),
        ("500", ["500", "500.0"], ["5", "50", "5000"]),
        ("0", ["0", "0.0"], ["00.1", "1"]),
        ("2.50", ["2.5", "2.50"], ["2.05", "215", "2"]),
        ("-0.5", ["-0.5"], ["0.5"]),
    ],
)
def test_a_bucket_is_found_however_its_bound_is_spelled(bound: str, same: list[str], other: list[str]) -> None:
    condition = le_matcher(Decimal(bound)).condition("MAP {'le': le}")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT le FROM unnest($words) AS t(le) WHERE {condition}", {"words": [*same, *other, "+Inf", ""]}
        ).fetchall()

    assert [row[0] for row in found] == same
