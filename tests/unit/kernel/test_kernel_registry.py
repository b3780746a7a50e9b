"""The registry of declarations and the copy of the event log in the lake, both written exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cogniforge_pipeline import registry
from cogniforge_pipeline.aiops.model import Topology
from cogniforge_pipeline.data_mesh import projection
from cogniforge_pipeline.data_mesh.projection import EVENTS, project_events
from cogniforge_pipeline.declarations import DeclarationsInvalid, Kind
from cogniforge_pipeline.declarations import declare as declare_by_api
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.registry import REGISTRY, declared, record
from cogniforge_pipeline.sources.declared import SOURCE_KIND
from tests.support.pipeline import Pipeline

SHOWN = "kind, name, version, origin, path, withdrawn_at IS NULL"


def declare(work: Pipeline, name: str, text: str) -> None:
    path = work.folder / "platform" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def from_files(work: Pipeline) -> Any:
    return record(work.home, work.home.platform(), run_id="r")[1]


def by_api(work: Pipeline, spec: dict[str, Any]) -> Any:
    return record(work.home, [declare_by_api(SOURCE_KIND, spec)], run_id="r")[1]


def test_a_file_becomes_a_row_and_its_changes_become_versions(pipeline: Pipeline) -> None:
    declare(pipeline, "sources/a.yaml", "name: a\ntype: host\n")
    assert from_files(pipeline).rows == 1
    declare(pipeline, "sources/a.yaml", "name: a\ntype: host\nservice: box\n")
    from_files(pipeline)
    assert pipeline.rows(REGISTRY, SHOWN) == [
        ("source", "a", 1, "file", "sources/a.yaml", False),
        ("source", "a", 2, "file", "sources/a.yaml", True),
    ]
    specs = [json.loads(spec) for (spec,) in pipeline.rows(REGISTRY, "spec")]
    assert [spec for spec in specs if spec.get("service") == "box"]


def test_unchanged_files_write_nothing(pipeline: Pipeline) -> None:
    declare(pipeline, "sources/a.yaml", "name: a\ntype: host\n")
    from_files(pipeline)
    before = pipeline.rows(MATERIALIZATIONS)
    assert from_files(pipeline) is None
    assert pipeline.rows(MATERIALIZATIONS) == before


def test_a_removed_file_withdraws_its_declaration_and_keeps_the_history(pipeline: Pipeline) -> None:
    declare(pipeline, "sources/a.yaml", "name: a\ntype: host\n")
    from_files(pipeline)
    (pipeline.folder / "platform" / "sources" / "a.yaml").unlink()
    from_files(pipeline)
    assert pipeline.rows(REGISTRY, SHOWN) == [("source", "a", 1, "file", "sources/a.yaml", False)]


def test_the_api_writes_the_same_table_and_runs_leave_its_rows_alone(pipeline: Pipeline) -> None:
    by_api(pipeline, {"name": "b", "type": "host"})
    declare(pipeline, "sources/a.yaml", "name: a\ntype: host\n")
    from_files(pipeline)
    from_files(pipeline)
    assert pipeline.rows(REGISTRY, SHOWN) == [
        ("source", "a", 1, "file", "sources/a.yaml", True),
        ("source", "b", 1, "api", None, True),
    ]


def test_quotes_and_other_alphabets_in_a_declaration_arrive_as_they_were(pipeline: Pipeline) -> None:
    text = 'it\'s "quoted"; DROP TABLE x; -- Größe 日本'
    by_api(pipeline, {"name": "b", "type": "host", "description": text})
    assert json.loads(pipeline.rows(REGISTRY, "spec")[0][0])["description"] == text


def test_a_registry_that_another_process_wrote_meanwhile_is_read_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = registry.changes
    once = iter([lambda: by_api(pipeline, {"name": "b", "type": "host"})])

    def overtaken(*args: Any, **named: Any) -> Any:
        found = changes(*args, **named)
        next(once, lambda: None)()
        return found

    monkeypatch.setattr(registry, "changes", overtaken)
    by_api(pipeline, {"name": "c", "type": "host"})
    assert [name for (name,) in pipeline.rows(REGISTRY, "name")] == ["b", "c"]


def test_what_is_in_force_is_read_back_with_its_origin_and_what_is_withdrawn_is_not(pipeline: Pipeline) -> None:
    declare(pipeline, "sources/a.yaml", "# the box\nname: a\ntype: host\n")
    declare(pipeline, "sources/gone.yaml", "name: gone\ntype: host\n")
    from_files(pipeline)
    declare(pipeline, "sources/a.yaml", "# the box\nname: a\ntype: host\nservice: box\n")
    (pipeline.folder / "platform" / "sources" / "gone.yaml").unlink()
    from_files(pipeline)
    by_api(pipeline, {"name": "b", "type": "host"})
    written = pipeline.home.platform().of(SOURCE_KIND)
    by_python = declare_by_api(SOURCE_KIND, {"name": "b", "type": "host"})
    assert declared(pipeline.home.lake.cursor(), SOURCE_KIND) == [*written, by_python]


def test_a_row_that_its_kind_no_longer_accepts_is_an_error_with_its_file_and_line(pipeline: Pipeline) -> None:
    declare(pipeline, "sources/a.yaml", "# the box\nname: a\ntype: host\n")
    from_files(pipeline)
    stricter = Kind("source", "sources", Topology, key=lambda _: "a")
    with pytest.raises(DeclarationsInvalid, match=r"sources/a\.yaml:2: services: required"):
        declared(pipeline.home.lake.cursor(), stricter)


@pytest.fixture
def publish_events(pipeline: Pipeline) -> Callable[[int], None]:
    def publish(count: int) -> None:
        for number in range(count):
            data = {"n": number, "text": 'it\'s \u0000 "x"'}
            pipeline.home.events.publish("shop.order.placed", data, source="/shop", subject=f"order {number}")

    return publish


def test_events_are_copied_once_each_and_in_order(
    pipeline: Pipeline, publish_events: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "BATCH", 4)
    publish_events(10)
    project_events(pipeline.home, run_id="r")
    assert project_events(pipeline.home, run_id="r") is None
    publish_events(1)
    last = project_events(pipeline.home, run_id="r")
    assert last is not None and last.rows == 1
    rows = pipeline.rows(EVENTS, "seq, subject, data, id, time")
    logged = list(pipeline.home.events.read())
    assert [row[0] for row in rows] == [event.seq for event in logged] == list(range(1, 12))
    assert [json.loads(row[2]) for row in rows] == [event.data for event in logged]
    assert [row[3] for row in rows] == [event.id for event in logged]
    assert [row[4] for row in rows] == [event.time for event in logged]


def test_two_copies_at_once_copy_no_event_twice(
    pipeline: Pipeline, publish_events: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_events(3)
    stage = projection.publish.stage
    once = iter([lambda: project_events(pipeline.home, run_id="other")])

    def overtaken(*args: Any, **named: Any) -> Any:
        next(once, lambda: None)()
        return stage(*args, **named)

    monkeypatch.setattr(projection.publish, "stage", overtaken)
    project_events(pipeline.home, run_id="r")
    assert [seq for (seq,) in pipeline.rows(EVENTS, "seq")] == [1, 2, 3]
