from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.events import Event, EventError, EventLog, NewEvent

words = st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[a-z0-9][a-z0-9_-]{0,8}){0,3}", fullmatch=True)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
times = st.datetimes(
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11, minutes=-30))]),
)
new_events = st.builds(
    NewEvent,
    type=words,
    source=st.from_regex(r"[!-~]{1,30}", fullmatch=True),
    data=json_values,
    subject=st.none() | names,
    time=times,
    id=names,
    extensions=st.dictionaries(
        st.from_regex(r"x[a-z0-9]{1,10}", fullmatch=True),
        names | st.booleans() | st.integers(-(2**31), 2**31 - 1),
        max_size=3,
    ),
)


@settings(max_examples=30, deadline=None)
@given(events=st.lists(new_events, max_size=5, unique_by=lambda event: (event.source, event.id)))
def test_events_survive_the_log_and_cloudevents_json(
    tmp_path_factory: pytest.TempPathFactory, events: list[NewEvent]
) -> None:
    with EventLog(tmp_path_factory.mktemp("log") / "events.sqlite") as log:
        stored = log.publish_many(events)
        assert list(log.read()) == stored
    for event, given_event in zip(stored, events, strict=True):
        for attribute in (
            "type",
            "source",
            "data",
            "subject",
            "time",
            "id",
            "extensions",
        ):
            assert getattr(event, attribute) == getattr(given_event, attribute)
        assert Event.from_cloudevent(json.loads(json.dumps(event.to_cloudevent()))) == event


def test_the_structured_form_has_the_names_of_the_specification(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.sqlite")
    time = datetime(2024, 5, 1, 12, tzinfo=UTC)
    event = log.publish("order.placed", {"total": 3}, source="/shop", subject="o-1", time=time, id="7")
    assert event.to_cloudevent() == {
        "specversion": "1.0",
        "id": "7",
        "source": "/shop",
        "type": "order.placed",
        "subject": "o-1",
        "time": "2024-05-01T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": {"total": 3},
        "cogniforgeseq": "1",
    }


def test_a_foreign_event_keeps_its_extensions_and_gets_a_place_in_the_log(
    tmp_path: Path,
) -> None:
    foreign = {
        "specversion": "1.0",
        "id": "A234",
        "source": "https://example.com/x",
        "type": "com.example.thing_done",
        "time": "2018-04-05T17:31:00.123+02:00",
        "dataschema": "https://example.com/schema",
        "sequence": "0001",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01",
        "sampled": True,
        "subject": None,
        "data": "plain",
        "datacontenttype": "text/plain",
    }
    event = Event.from_cloudevent(foreign)
    assert event.seq == 0
    [stored] = EventLog(tmp_path / "events.sqlite").publish_many([event])
    written = stored.to_cloudevent()
    assert written.pop("cogniforgeseq") == "1"
    assert written == {k: v for k, v in foreign.items() if v is not None} | {"time": "2018-04-05T15:31:00.123000Z"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specversion": "0.3"}, "specversion '1.0', got '0.3'"),
        ({"id": None}, "needs id"),
        ({"type": "Bad Type"}, "dotted lower-case words"),
        ({"time": "yesterday"}, "RFC 3339"),
        ({"time": "2018-04-05T17:31:00"}, "with a time zone"),
        ({"data_base64": "aGk="}, "binary"),
        ({"camelCase": "x"}, "extension name"),
        ({"bignumber": 2**31}, "32-bit"),
        ({"nested": {}}, "to be text, a 32-bit integer or a boolean"),
        ({"cogniforgeseq": "-1"}, "expected digits"),
    ],
)
def test_a_malformed_cloudevent_is_refused_with_the_reason(change: dict[str, object], message: str) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "a.b",
        "time": "2018-04-05T17:31:00Z",
    }
    assert Event.from_cloudevent(event).type == "a.b"
    with pytest.raises(EventError, match=message):
        Event.from_cloudevent(event | change)
