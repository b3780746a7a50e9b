"""The shop's telemetry as strangers bring it: Parquet by day, CSV by metric, OTLP/JSON lines, and some
damage.

Belongs here: writing series in each format, and the rows and files that are bad on purpose.
Does not: what the values are (`shop_model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from shop_model import DAY, Floats, Series, since_restart

LABELS = ("code", "quantile")
DUPLICATED, UNPARSABLE, BEFORE_1970, FAR_FUTURE = 24, 12, 6, 6
BUCKETS_MS = (10, 25, 50, 75, 100, 150, 250, 500, 1000, 2500)


def _times(series: Series, start: datetime) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    first = np.datetime64(start.replace(tzinfo=None), "us")
    return first + np.arange(len(series.values)) * np.timedelta64(series.step, "m")


def _words(words: Sequence[str | None], repeat: Sequence[int]) -> pa.DictionaryArray:
    """One word for each series, repeated for its points."""
    return pa.array(words, pa.string()).dictionary_encode().take(pa.array(np.repeat(np.arange(len(words)), repeat)))


def write_parquet(series: Sequence[Series], start: datetime, days: int, folder: Path) -> tuple[list[Path], int]:
    """One file a day with all series: `dt=YYYY-MM-DD.parquet`. Returns the files and the number of distinct
    rows.

    The second day's file repeats some of its rows, as an exporter that retries does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, rows = [], 0
    for day in range(days):
        ts, values, sizes = [], [], []
        for one in series:
            per_day = DAY // one.step
            window = slice(day * per_day, (day + 1) * per_day)
            keep = one.present[window]
            ts.append(_times(one, start)[window][keep])
            values.append(one.values[window][keep])
            sizes.append(int(keep.sum()))
        table = pa.table(
            {
                "ts": pa.array(np.concatenate(ts), pa.timestamp("us", tz="UTC")),
                "service": _words([one.service for one in series], sizes),
                "metric": _words([one.metric for one in series], sizes),
                "value": np.concatenate(values),
                "unit": _words([one.unit for one in series], sizes),
                "kind": _words([one.kind for one in series], sizes),
                **{label: _words([one.labels.get(label) for one in series], sizes) for label in LABELS},
                "region": _words([one.region for one in series], sizes),
            }
        )
        rows += table.num_rows
        if day == 1:
            table = pa.concat_tables([table, table.slice(5000, DUPLICATED)])
        path = folder / f"dt={start + timedelta(days=day):%Y-%m-%d}.parquet"
        pq.write_table(table, path, compression="zstd", use_dictionary=True)
        files.append(path)
    return files, rows


def write_half_parquet(whole: Path, start: datetime, days: int) -> Path:
    """The file of the day after the data as a stopped writer leaves it: the first half of `whole`."""
    path = whole.parent / f"dt={start + timedelta(days=days):%Y-%m-%d}.parquet"
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def write_csv(series: Sequence[Series], start: datetime, folder: Path) -> tuple[list[Path], int]:
    """One file for each metric: `time` in UTC without a zone, a column for the label if any, `value`, `unit`.

    The file of request_latency_ms also has rows with text instead of a number, and times before 1970 and in
    2099. Returns the files and the number of good rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, rows = [], 0
    for metric in dict.fromkeys(one.metric for one in series):
        parts = []
        for one in (one for one in series if one.metric == metric):
            times = np.datetime_as_string(_times(one, start)[one.present], unit="s")
            columns: dict[str, Any] = {"time": pc.replace_substring(pa.array(times), "T", " ")}
            columns |= {name: pa.repeat(pa.scalar(word), len(times)) for name, word in one.labels.items()}
            values = one.values[one.present]
            whole = bool(np.all(values == np.floor(values)))
            columns["value"] = pa.array(values.astype(np.int64) if whole else values).cast(pa.string())
            columns["unit"] = pa.repeat(pa.scalar(one.unit), len(times))
            parts.append(pa.table(columns))
        table = pa.concat_tables(parts)
        rows += table.num_rows
        if metric == "request_latency_ms":
            table = pa.concat_tables([table, _bad_rows(table)])
        path = folder / f"{metric}.csv"
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="none"))
        files.append(path)
    return files, rows


def _bad_rows(table: pa.Table) -> pa.Table:
    """Rows of `table` again, spoilt in their value or in their time."""
    spoilt = table.slice(700, UNPARSABLE + BEFORE_1970 + FAR_FUTURE)
    time, value = spoilt["time"].to_pylist(), spoilt["value"].to_pylist()
    value[:UNPARSABLE] = ["n/a"] * UNPARSABLE
    for i in range(UNPARSABLE, len(time)):
        time[i] = ("1901" if i < UNPARSABLE + BEFORE_1970 else "2099") + time[i][4:]
    return spoilt.set_column(0, "time", pa.array(time)).set_column(
        spoilt.schema.get_field_index("value"), "value", pa.array(value)
    )


_OTLP_SQL = """
WITH stamped AS (
    SELECT *, epoch_ns(ts)::VARCHAR AS at_ns, epoch_ns(began)::VARCHAR AS since_ns,
        time_bucket(INTERVAL 5 MINUTE, ts) AS batch
    FROM numbers
), sums AS (
    SELECT batch, metric, to_json({name: metric, unit: any_value(unit), sum: {dataPoints: list({
        attributes: [{key: 'code', value: {stringValue: code}}],
        startTimeUnixNano: since_ns, timeUnixNano: at_ns, asInt: value::BIGINT::VARCHAR} ORDER BY ts, code),
        aggregationTemporality: 2, isMonotonic: true}}) AS body
    FROM stamped WHERE kind = 'counter' GROUP BY batch, metric
), gauges AS (
    SELECT batch, metric, to_json({name: metric, unit: any_value(unit), gauge: {dataPoints: list({
        timeUnixNano: at_ns, asDouble: value} ORDER BY ts)}}) AS body
    FROM stamped WHERE kind = 'gauge' GROUP BY batch, metric
), distributions AS (
    SELECT time_bucket(INTERVAL 5 MINUTE, ts) AS batch, 'request_latency_ms' AS metric,
        to_json({name: 'request_latency_ms', unit: 'ms', histogram: {dataPoints: list({
        startTimeUnixNano: epoch_ns(began)::VARCHAR, timeUnixNano: epoch_ns(ts)::VARCHAR,
        count: list_sum(buckets)::BIGINT::VARCHAR, sum: total,
        bucketCounts: buckets::BIGINT[]::VARCHAR[], explicitBounds: $bounds} ORDER BY ts),
        aggregationTemporality: 2}}) AS body
    FROM histograms GROUP BY batch
)
SELECT to_json({resourceMetrics: [{
    resource: {attributes: [
        {key: 'service.name', value: {stringValue: $service}},
        {key: 'cloud.region', value: {stringValue: $region}}]},
    scopeMetrics: [{scope: {name: 'shop'}, metrics: list(body ORDER BY metric)}]}]})
FROM (FROM sums UNION ALL FROM gauges UNION ALL FROM distributions)
GROUP BY batch ORDER BY batch
"""


def write_otlp(
    series: Sequence[Series], start: datetime, restarts: list[int], days: int, path: Path
) -> tuple[list[Path], int]:
    """The last `days` days of one service as the OpenTelemetry Collector's file exporter writes them, 5
    minutes a line.

    Latency becomes a cumulative histogram; its minutes are log-normal with the series' median and 99th
    percentile. Returns the file and the number of data points.
    """
    size = len(series[0].values)
    process = np.searchsorted(np.array(restarts), np.arange(size), side="right")
    began = _times(series[0], start)[np.array([0, *restarts])[process]]
    first = size - days * DAY
    numbers = []
    for one in (one for one in series if one.metric != "request_latency_ms"):
        length = len(one.values[first // one.step :])
        numbers.append(
            pa.table(
                {
                    "ts": _times(one, start)[first // one.step :],
                    "began": began[:: one.step][first // one.step :],
                    "metric": pa.repeat(one.metric, length),
                    "kind": pa.repeat(one.kind, length),
                    "unit": pa.repeat(one.unit, length),
                    "code": pa.repeat(pa.scalar(one.labels.get("code"), pa.string()), length),
                    "value": one.values[first // one.step :],
                }
            )
        )
    buckets, total = _distribution(series, restarts)
    histograms = pa.table(
        {
            "ts": _times(series[0], start)[first:],
            "began": began[first:],
            "buckets": pa.FixedSizeListArray.from_arrays(pa.array(buckets[first:].ravel()), buckets.shape[1]),
            "total": total[first:],
        }
    )
    with duckdb.connect() as con:
        con.register("numbers", pa.concat_tables(numbers))
        con.register("histograms", histograms)
        parameters = {"bounds": list(BUCKETS_MS), "service": series[0].service, "region": series[0].region}
        lines = [line for (line,) in con.execute(_OTLP_SQL, parameters).fetchall()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path], sum(table.num_rows for table in numbers) + histograms.num_rows


def _distribution(series: Sequence[Series], restarts: list[int]) -> tuple[Floats, Floats]:
    """Requests by latency bucket (minutes x buckets) and summed ms, both cumulative since the restart."""
    p50, p99 = (
        next(one.values for one in series if one.labels.get("quantile") == quantile) for quantile in ("0.5", "0.99")
    )
    requests = np.zeros(len(p50))
    for one in (one for one in series if one.kind == "counter"):
        rise = np.diff(one.values, prepend=0)
        requests += np.where(rise < 0, one.values, rise)
    sigma = np.log(p99 / p50) / 2.3263
    z = (np.log(np.array(BUCKETS_MS))[None, :] - np.log(p50)[:, None]) / sigma[:, None]
    below = 0.5 * (1 + np.tanh(0.79788 * (z + 0.044715 * z**3)))
    share = np.diff(below, axis=1, prepend=0, append=1)
    counts = np.floor(np.cumsum(requests[:, None] * share, axis=0))
    total = np.cumsum(requests * p50 * np.exp(sigma**2 / 2))
    return since_restart(counts, restarts), np.round(since_restart(total, restarts), 1)
