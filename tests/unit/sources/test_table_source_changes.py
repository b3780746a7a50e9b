"""What a table becomes as its files come, change and go: exactly what the files give, and only the days that changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline import publish
from cogniforge_pipeline.publish import AuditFailed
from cogniforge_pipeline.sources.landed import _Filling
from tests.support.table_files import COUNTRIES, NOW, ORDERS, Shop

HEAD = "order_id,ordered_at,amount\n"
AT_LEAST_TWO = """\
      - {name: at_least_two, description: at least two rows, type: library, metric: rowCount, mustBeGreaterOrEqualTo: 2}
"""


def orders(*rows: tuple[int, str, object]) -> str:
    """A file of number, day of March 2026 and amount."""
    return HEAD + "".join(f"{number},2026-03-{day} 12:00:00,{amount}\n" for number, day, amount in rows)


def test_a_second_look_without_news_does_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5)))
    shop.fill()
    before = shop.ask("SELECT count(*) FROM ducklake_snapshots('lake')")
    assert shop.fill().items == 0
    assert shop.ask("SELECT count(*) FROM ducklake_snapshots('lake')") == before


def test_a_changed_file_replaces_its_rows_and_touches_only_the_days_that_differ(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5), (2, "02", 5), (3, "03", 5), (9, "03", "much")))
    shop.write("b.csv", orders((4, "02", 7)))
    shop.fill()
    shop.write("a.csv", orders((8, "04", 5), (2, "02", 6), (1, "01", 5), (9, "03", 1), (3, "03", 5)))
    shop.fill()
    assert shop.publications() == [(1, ["03-01", "03-02", "03-03"]), (2, ["03-02", "03-03", "03-04"])]
    assert [(n, f"{at:%d}", int(amount)) for n, at, amount in shop.rows()] == [
        (1, "01", 5),
        (2, "02", 6),
        (3, "03", 5),
        (4, "02", 7),
        (8, "04", 5),
        (9, "03", 1),
    ]
    assert shop.aside() == {}
    assert shop.ledger() == [
        ("a.csv", "ingested", 4, 3, 1),
        ("b.csv", "ingested", 1, 1, 0),
        ("a.csv", "ingested", 5, 5, 0),
    ]


def test_late_rows_of_an_old_day_touch_that_day_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5), (2, "05", 5)))
    shop.fill()
    shop.write("late.csv", orders((3, "01", 1)))
    shop.fill()
    assert shop.publications()[1:] == [(2, ["03-01"])]
    assert shop.rows("order_id") == [(1,), (2,), (3,)]


def test_a_growing_file_gives_its_whole_lines_at_once_and_the_rest_when_it_is_written(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    first = orders((1, "01", 5), (2, "02", 5))
    shop.write("a.csv", first + "3,2026-03-0", at=NOW - timedelta(seconds=5))
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,)]
    assert shop.fill().items == 0
    shop.write("a.csv", first + "3,2026-03-02 12:00:00,5", at=NOW - timedelta(seconds=4))
    assert shop.fill().items == 0
    shop.write("a.csv", first + "3,2026-03-02 12:00:00,5", at=NOW - timedelta(seconds=100))
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,), (3,)]
    assert shop.publications() == [(1, ["03-01", "03-02"]), (2, ["03-02"])]


def test_a_file_that_is_written_again_as_it_was_publishes_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    text = orders((1, "01", 5), (2, "02", -1), (3, "02", "x")) + "4,never,1\n"
    shop.write("a.csv", text)
    shop.parquet("b.parquet", "SELECT 5 AS order_id, TIMESTAMP '2026-03-01 10:00' AS ordered_at, 1 AS amount")
    shop.fill()
    before = (shop.rows(), shop.aside())
    shop.write("a.csv", text)
    shop.parquet("b.parquet", "SELECT 5 AS order_id, TIMESTAMP '2026-03-01 10:00' AS ordered_at, 1 AS amount")
    shop.fill()
    shop.write("a.csv", HEAD + "\n".join(reversed(text.removeprefix(HEAD).splitlines())) + "\n")
    shop.fill()
    assert len(shop.publications()) == 1
    assert shop.rows() == before[0]
    assert sorted(shop.aside().values()) == sorted(before[1].values())
    assert shop.ledger()[-1] == ("a.csv", "ingested", 4, 1, 3)


def test_a_removed_file_leaves_its_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5)))
    path = shop.write("b.csv", orders((2, "01", 5)))
    shop.fill()
    path.unlink()
    shop.write("a.csv", orders((1, "01", 6)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 6), (2, 5)]


def test_other_globs_for_the_same_files_change_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("deep/a.csv", orders((1, "01", 5)))
    shop.fill()
    shop.declared["path"] = ["landing/in/deep/*.csv", "landing/more/*.csv"]
    assert shop.fill().items == 0
    shop.write("../more/a.csv", orders((2, "01", 5)))
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,)]


def test_a_key_that_two_files_give_is_set_aside_once_and_comes_back_when_the_other_goes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5)))
    shop.fill()
    shop.write("b.csv", orders((1, "01", 9), (2, "01", 1), (2, "01", 1)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 5), (2, 1)]
    assert shop.aside().keys() == {"b.csv:2", "b.csv:4"}
    assert shop.ledger()[-1] == ("b.csv", "ingested", 3, 1, 2)
    shop.write("a.csv", orders((7, "01", 5)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 9), (2, 1), (7, 5)]


def test_a_key_that_comes_on_two_days_is_held_over_all_days(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "02", 5), (2, "02", 5), (3, "03", 5)))
    shop.fill()
    shop.write("b.csv", orders((1, "05", 9), (4, "05", 5)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 5), (2, 5), (3, 5), (4, 5)]
    assert set(shop.aside()) == {"b.csv:2"}
    assert shop.publications()[-1] == (2, ["03-02", "03-05"])
    shop.write("c.csv", orders((7, "05", 5)))
    shop.fill()
    assert set(shop.aside()) == {"b.csv:2"}, "its day was computed again, but the key is still taken"
    shop.write("a.csv", orders((2, "02", 5), (3, "03", 5)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 9), (2, 5), (3, 5), (4, 5), (7, 5)]
    assert shop.aside() == {}
    shop.write("d.csv", orders((8, "03", 5)))
    shop.fill()
    assert shop.publications()[-1] == (5, ["03-03"])


def test_rows_that_break_a_rule_say_their_file_and_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", -5), (2, "01", 1)))
    shop.write("b.csv", orders((3, "02", 1), (1, "02", -5), (1, "02", -5)))
    shop.fill()
    assert set(shop.aside()) == {"a.csv:2", "b.csv:3", "b.csv:4"}
    assert shop.ledger() == [("a.csv", "ingested", 2, 1, 1), ("b.csv", "ingested", 3, 1, 2)]


def test_rows_without_a_day_are_set_aside_until_their_file_is_corrected(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", HEAD + "1,never,5\n")
    shop.write("b.csv", orders((2, "01", 5)))
    shop.fill()
    shop.write("c.csv", HEAD + "3,,5\n")
    shop.fill()
    assert set(shop.aside()) == {"a.csv:2", "c.csv:2"}
    assert len(shop.publications()) == 1, "no day was touched"
    shop.write("c.csv", orders((3, "02", 5)))
    shop.fill()
    assert set(shop.aside()) == {"a.csv:2"}
    shop.write("a.csv", orders((1, "01", 5)))
    shop.fill()
    assert shop.aside() == {}
    assert shop.rows("order_id") == [(1,), (2,), (3,)]


def test_a_broken_table_rule_stops_the_commit_and_the_file_is_read_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, rules=AT_LEAST_TWO)
    shop.write("a.csv", orders((1, "01", 5)))
    for _ in range(2):
        with pytest.raises(AuditFailed, match="at_least_two"):
            shop.fill()
    assert shop.rows() == shop.ledger() == shop.publications() == []
    assert shop.ask("FROM landed.shop__orders") == []
    shop.write("b.csv", orders((2, "01", 5)))
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,)]


def test_in_mode_replace_the_newest_file_is_the_whole_table(tmp_path: Path) -> None:
    shop = Shop(tmp_path, mode="replace")
    shop.write("old.csv", orders((1, "01", 5)))
    shop.write("monday.csv", orders((2, "01", 5), (3, "02", 5), (4, "03", "?")))
    shop.fill()
    assert shop.rows("order_id") == [(2,), (3,)]
    assert [item for item, *_ in shop.ledger()] == ["monday.csv"]
    path = shop.write("tuesday.csv", orders((2, "01", 5), (3, "02", 6), (5, "04", 1)))
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(2, 5), (3, 6), (5, 1)]
    assert shop.publications() == [(1, ["03-01", "03-02", "03-03"]), (2, ["03-02", "03-03", "03-04"])]
    assert shop.aside() == {}
    shop.write("_SUCCESS", "")
    assert [refusal.item for refusal in shop.fill().refused] == ["landing/in/_SUCCESS"]
    path.unlink()
    assert shop.fill().items == 0, "an older dump is no news"
    shop.write("wednesday.csv", HEAD)
    shop.fill()
    assert shop.rows() == []


def test_in_mode_replace_a_file_that_is_still_written_or_unreadable_leaves_the_table(tmp_path: Path) -> None:
    shop = Shop(tmp_path, mode="replace")
    shop.write("a.csv", orders((1, "01", 5), (2, "02", 5)))
    shop.fill()
    shop.write("b.csv", orders((3, "01", 5)) + "4,2026", at=NOW - timedelta(seconds=5))
    assert shop.fill().items == 0
    shop.write("b.csv", b"\0\1\2\n", at=NOW - timedelta(seconds=4))
    assert len(shop.fill().refused) == 1
    assert shop.rows("order_id") == [(1,), (2,)]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_table_without_days_is_replaced_as_a_whole(tmp_path: Path, mode: str) -> None:
    shop = Shop(tmp_path, COUNTRIES, mode=mode)
    shop.write("a.csv", "code,people\nde,84\nfr,many\nde,83\n")
    shop.fill()
    assert shop.rows() == [("de", 83)]
    assert set(shop.aside()) == {"a.csv:2", "a.csv:3"}
    shop.write("a.csv", "code,people\nde,84\nfr,many\nde,83\n")
    shop.fill()
    assert len(shop.publications()) == 1
    assert set(shop.aside()) == {"a.csv:2", "a.csv:3"}
    shop.write("b.csv", "code,people\nat,9\n")
    shop.fill()
    assert shop.rows("code") == ([("at",), ("de",)] if mode == "append" else [("at",)])
    assert len(shop.aside()) == (2 if mode == "append" else 0)


def test_another_definition_reads_all_files_again_and_keeps_what_gone_files_gave(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("gone.csv", orders((1, "01", 5), (2, "01", 0.5), (6, "02", "x")))
    shop.fill()
    (tmp_path / "landing/in/gone.csv").unlink()
    shop.write("here.csv", "order_id,ordered_at,price\n3,2026-03-02 12:00:00,4\n")
    shop.fill()
    assert shop.rows("order_id, amount::DOUBLE") == [(1, 5), (2, 0.5), (3, None)]
    shop.declared["columns"] = {"amount": "price"}
    shop.fill()
    assert shop.rows("order_id, amount::DOUBLE") == [(1, 5), (2, 0.5), (3, 4)]
    shop.define(ORDERS.replace("minimum: 0", "minimum: 1"), version="2.0.0")
    shop.fill()
    assert shop.rows("order_id") == [(1,), (3,)]
    assert set(shop.aside()) == {"gone.csv:3", "gone.csv:4"}
    assert shop.publications()[-1] == (4, ["03-01", "03-02"])
    assert shop.fill().items == 0


def test_a_process_that_dies_before_the_end_of_its_commit_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5)) + "2,never,1\n")
    shop.fill()
    look = ("FROM landed.shop__orders", "FROM shop.orders", "FROM quarantine.shop__orders")
    before = [shop.ask(query) for query in look], shop.ledger(), shop.publications()
    shop.write("a.csv", orders((1, "01", 6), (3, "02", 1)) + "4,never,1\n")
    real = publish.commit

    def dies(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            shop.fill()
    assert ([shop.ask(query) for query in look], shop.ledger(), shop.publications()) == before
    shop.fill()
    assert shop.rows("order_id, amount::INTEGER") == [(1, 6), (3, 1)]
    assert set(shop.aside()) == {"a.csv:4"}


def test_two_at_once_give_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", orders((1, "01", 5)))
    shop.write("b.csv", orders((2, "01", 5)) + "3,never,5\n")
    real, others = _Filling._counts, [shop.fill]

    def counts(self: _Filling, *args: Any) -> Any:
        if others:
            others.pop()()
        return real(self, *args)

    monkeypatch.setattr(_Filling, "_counts", counts)
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,)]
    assert set(shop.aside()) == {"b.csv:3"}
    assert [version for version, _ in shop.publications()] == [1]
    assert len(shop.ledger()) == 2
