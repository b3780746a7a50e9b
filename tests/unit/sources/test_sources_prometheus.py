"""Prometheus over HTTP: a real server, and a small false one for what a real one does not do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from cogniforge_pipeline.sources import INGESTED, REFUSED, SOURCE, LedgerEntry, http_api
from cogniforge_pipeline.sources.prometheus import kind_of, next_window

NOW = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


def declared(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "prom", "type": "prometheus", "url": url, "step": "1s", "lookback": "5m"} | more


def values(points: list[dict[str, Any]], metric: str, **labels: str) -> list[float]:
    return [p["value"] for p in points if p["metric"] == metric and labels.items() <= p["labels"].items()]


def test_series_are_read_with_their_labels_kinds_and_units(station, prometheus):
    points = station.read(declared(prometheus.url, matchers=['{__name__=~"shop_.*_total|shop_q.*|shop_dur.*"}']))
    assert all(p["service"] == "shop" and p["problem"] is None for p in points)
    assert {p["metric"]: p["kind"] for p in points} == {
        "shop_requests_total": "counter",
        "shop_queue_length": "gauge",
        "shop_duration_seconds_bucket": "counter",
        "shop_duration_seconds_sum": "counter",
        "shop_duration_seconds_count": "counter",
    }
    assert {p["unit"] for p in points if p["metric"] == "shop_duration_seconds_sum"} == {"s"}
    assert set(values(points, "shop_queue_length")) == {7.0}
    pay = values(points, "shop_requests_total", route="/pay")
    assert pay == sorted(pay) and all(value % 10 == 0 for value in pay)
    assert {p["labels"]["le"] for p in points if p["metric"].endswith("_bucket")} == {"0.1", "+Inf"}
    assert all("job" not in p["labels"] and p["labels"]["instance"] for p in points)


def test_reading_on_takes_each_instant_once_and_leaves_none_out(station, prometheus):
    source = declared(prometheus.url, queries={"queue": "shop_queue_length"})
    prometheus.wait_for("count_over_time(shop_queue_length[1m]) >= 9")
    middle = datetime.now(UTC).replace(microsecond=500_000) - timedelta(seconds=4)
    first = station.read(source, middle)
    second = station.read(source, middle + timedelta(seconds=2))
    third = station.read(source, middle + timedelta(seconds=2.1))
    instants = [p["ts"] for p in first + second + third]
    assert first and len(second) == 2 and third == []
    assert all(b - a == timedelta(seconds=1) for a, b in pairwise(instants))
    assert instants[-1] <= middle + timedelta(seconds=1)


def test_an_expression_takes_the_name_of_its_query_and_is_a_gauge(station, prometheus):
    queries = {"request_rate": "sum by (job) (rate(shop_requests_total[5s]))"}
    points = station.read(declared(prometheus.url, queries=queries))
    assert {(p["metric"], p["kind"], p["service"]) for p in points} == {("request_rate", "gauge", "shop")}


def test_a_series_without_the_service_label_is_a_problem_unless_a_service_is_declared(station, prometheus):
    source = declared(prometheus.url, queries={"all": "sum(shop_queue_length)"})
    points = station.read(source)
    assert points and all("service is missing" in p["problem"] and p["raw"] for p in points)
    station.ledger.clear()
    assert {p["service"] for p in station.read(source | {"service": "shop"})} == {"shop"}


def test_nan_is_a_gap_that_is_counted_and_infinity_a_problem(station, prometheus):
    assert station.read(declared(prometheus.url, queries={"n": "shop_nothing"})) == []
    assert any("NaN" in notice for notice in station.reader.notices)
    points = station.read(declared(prometheus.url, queries={"e": "shop_endless"}))
    assert points and all("not finite" in p["problem"] for p in points)


def test_a_wrong_expression_is_refused_with_the_servers_words_and_tried_again(station, prometheus):
    bad = declared(prometheus.url, queries={"q": "sum(("})
    refusal = station.refused(bad)
    assert "parse error" in refusal.reason and "400" in refusal.reason
    assert "parse error" in station.refused(bad).reason
    assert station.read(declared(prometheus.url, queries={"q": "shop_queue_length"}))


def test_more_than_prometheus_allows_in_one_request_is_read_in_several(station, prometheus):
    source = declared(prometheus.url, step="50ms", lookback="15m", queries={"q": "vector(1)"}, service="s")
    points = station.read(source)
    assert len(points) == len({p["ts"] for p in points}) == 15 * 60 * 20 + 1


def test_a_server_that_is_not_there_is_refused_and_tried_again(station):
    source = declared("http://127.0.0.1:9", queries={"q": "up"}, timeout="1s")
    assert "ConnectionError" in station.refused(source).reason
    assert "ConnectionError" in station.refused(source).reason


def entry(status: str, **cursor: int) -> LedgerEntry:
    return LedgerEntry("prom", "q", status, None, "", dict(cursor), NOW)


def test_windows_are_whole_steps_behind_now_and_go_on_where_the_last_one_ended():
    source: Any = SOURCE.validate_python(declared("http://x", queries={"q": "up"}, step="1m", lookback="10m"))
    noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    minute = 60_000
    assert next_window(source, None, NOW) == (noon - 11 * minute, noon)
    assert next_window(source, entry(INGESTED, start=0, end=noon), NOW)[0] == noon
    later = next_window(source, entry(INGESTED, start=0, end=noon), NOW + timedelta(minutes=3))
    assert later == (noon, noon + 3 * minute)
    assert next_window(source, entry(REFUSED, start=noon - minute, end=noon), NOW) == (noon - minute, noon)
    start, end = next_window(source, entry(INGESTED, start=0, end=minute), NOW)
    assert start == minute and (end - start) / minute == 24 * 11_000


def test_kinds_follow_the_metadata_and_without_it_the_names():
    metadata = {
        "a": [{"type": "counter"}],
        "h": [{"type": "histogram"}],
        "s": [{"type": "summary"}],
        "g_count": [{"type": "gauge"}],
        "g_total": [{"type": "gauge"}],
        "c": [{"type": "counter"}],
    }
    found = {name: kind_of(name, metadata) for name in ("a", "h_bucket", "h_sum", "s", "s_count", "g_count", "g_total")}
    assert found == {
        "a": "counter",
        "h_bucket": "counter",
        "h_sum": "counter",
        "s": "gauge",
        "s_count": "counter",
        "g_count": "gauge",
        "g_total": "gauge",
    }
    assert kind_of("c_total", metadata) == "counter" and kind_of("job:rate5m", metadata) == "gauge"
    assert kind_of("x_total", None) == "counter" and kind_of("x", None) == "gauge"


Answer = Callable[[BaseHTTPRequestHandler, dict[str, list[str]]], None]


@pytest.fixture
def false_server() -> Iterator[Any]:
    class Server:
        answer: Answer
        requests: list[tuple[str, dict[str, str], dict[str, list[str]]]]
        url: str

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
            server.requests.append((self.path, dict(self.headers), form))
            server.answer(self, form)

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = Server()
    server.requests = []
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield server
    httpd.shutdown()
    httpd.server_close()


def reply(status: int, body: str, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, form: dict[str, list[str]]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def success(**more: Any) -> str:
    result = [{"metric": {"__name__": "m", "job": "s"}, "values": [[NOW.timestamp() // 1, "1"]]}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}} | more)


def test_a_token_goes_out_from_the_environment_and_never_into_a_message(station, false_server, monkeypatch):
    source = declared(
        false_server.url, queries={"q": "m"}, bearer_token="${PROM_TOKEN}", headers={"X-Scope": "team-${ORG}"}
    )
    false_server.answer = reply(200, success())
    refusal = station.refused(source)
    assert "is not set" in refusal.reason and not false_server.requests
    monkeypatch.setenv("PROM_TOKEN", "s3cret\n")
    monkeypatch.setenv("ORG", "blue")
    station.ledger.clear()
    assert [p["value"] for p in station.read(source, NOW)] == [1]
    sent = false_server.requests[0][1]
    assert (sent["Authorization"], sent["X-Scope"]) == ("Bearer s3cret", "team-blue")
    monkeypatch.setenv("PROM_TOKEN", "s3c\nret")
    station.ledger.clear()
    refusal = station.refused(source)
    assert "InvalidHeader" in refusal.reason and "s3c" not in refusal.reason + str(refusal.hint)


def test_redirects_are_not_followed(station, false_server):
    false_server.answer = reply(302, "", Location="http://127.0.0.1:1/elsewhere")
    refusal = station.refused(declared(false_server.url, queries={"q": "m"}))
    assert "redirects to 'http://127.0.0.1:1/elsewhere'" in refusal.reason
    assert len(false_server.requests) == 1


def test_warnings_of_the_server_are_passed_on(station, false_server):
    false_server.answer = reply(200, success(warnings=["store is away"], infos=["not a counter"]))
    points = station.read(declared(false_server.url, queries={"q": "m"}), NOW)
    assert [p["value"] for p in points] == [1]
    assert {"the server says: store is away", "the server says: not a counter"} <= set(station.reader.notices)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            503,
            '{"status":"error","errorType":"timeout","error":"too long"}',
            "answers 503: timeout: too long",
        ),
        (502, "<html>bad gateway</html>", "answers 502: <html>bad gateway"),
        (200, "<html>login</html>", "answers 200: <html>login"),
        (200, '{"status":"success","data":{"resultType":"vector","result":[]}}', "expected a matrix"),
    ],
)
def test_other_answers_are_refused_with_what_they_say(station, false_server, status, body, reason):
    false_server.answer = reply(status, body)
    assert reason in station.refused(declared(false_server.url, queries={"q": "m"})).reason


def test_an_answer_without_end_is_refused(station, false_server, monkeypatch):
    monkeypatch.setattr(http_api, "LARGEST_ANSWER", 1000)
    false_server.answer = reply(200, success(padding="x" * 5000))
    assert "more than 1,000 bytes" in station.refused(declared(false_server.url, queries={"q": "m"})).reason


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://x"},
        {"url": "file:///etc/passwd"},
        {"url": "http://user:pw@x"},
        {"url": "http://x/?q=1"},
        {"queries": {}},
        {"step": "soon"},
        {"step": "0s"},
        {"bearer_token": "literal-secret"},
        {"unknown": 1},
    ],
)
def test_a_wrong_declaration_is_refused(change):
    with pytest.raises(ValidationError):
        SOURCE.validate_python(declared("http://x", queries={"q": "up"}) | change)
