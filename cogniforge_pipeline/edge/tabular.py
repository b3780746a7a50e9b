"""Tables that users bring: regions, round-trip times and prices in CSV or Parquet (also JSON), checked and named.

Belongs here: columns, their other names, and what is refused. Does not: YAML (`place_files.py`), or the package's tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cogniforge_pipeline.edge.catalog import STATUSES, Catalog, EdgeError, Origin, Region, countries

Row = dict[str, Any]

_ID = ("region_id", "region", "id")
_NAMES = {
    "cloud": ("cloud", "provider"),
    "name": ("name", "display_name", "city", "place"),
    "country": ("country", "country_id", "country_code"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "continent": ("continent",),
    "jurisdictions": ("jurisdictions", "jurisdiction"),
    "capabilities": ("capabilities",),
    "zones": ("zones",),
    "status": ("status",),
    "price_factor": ("price_factor", "cost_factor"),
    "carbon_gco2_kwh": ("carbon_gco2_kwh", "carbon_factor", "carbon"),
}
_SRC = ("src", "source", "from", "from_region")
_DST = ("dst", "target", "to", "to_region")
_RTT = ("rtt_ms", "avg_rtt_ms", "latency_ms", "ms", "rtt")
_PRICE = ("usd_per_gb", "price_per_gb", "egress_per_gb", "egress_usd_per_gb")


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV, Parquet or JSON file, empty cells as None. Raises EdgeError for one that cannot be read."""
    if not path.is_file():
        raise EdgeError(f"there is no file {path}", "give a CSV, Parquet or JSON file")
    import polars as pl

    try:
        match path.suffix.lower():
            case ".parquet":
                frame = pl.read_parquet(path)
            case ".json":
                frame = pl.read_json(path)
            case ".jsonl" | ".ndjson":
                frame = pl.read_ndjson(path)
            case _:
                frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise EdgeError(
            f"{path} cannot be read: {str(error).splitlines()[0]}", "expected CSV with a header, or Parquet"
        ) from error
    return [{key: _cell(value) for key, value in row.items()} for row in frame.to_dicts()]


def read_regions(path: Path, base: Catalog) -> list[Region]:
    """The regions of a file in its order; what a row leaves out comes from `base` where that knows the region.

    Raises EdgeError for missing columns, numbers that are none, positions off the globe, unknown statuses, negative
    capacities and ids that are there twice.
    """
    return regions_of(read_rows(path), base, str(path))


def regions_of(rows: Sequence[Row], base: Catalog, where: str) -> list[Region]:
    """As `read_regions`, of rows."""
    if not rows:
        raise EdgeError(f"{where} has no regions", "write one row for each region")
    key = _column(rows[0], _ID, where)
    cloud_key = next((name for name in _NAMES["cloud"] if name in rows[0]), None)
    bare = [str(row[key]) for row in rows if row[key]]
    found: dict[str, Region] = {}
    for number, row in enumerate(rows, 1):
        if not row[key]:
            raise EdgeError(f"{where}, row {number}: {key} is empty", "every region needs an id")
        given = str(row[key]).strip()
        cloud = str(row[cloud_key] or "").strip().lower() if cloud_key else ""
        cloud = "gcp" if cloud == "google" else cloud
        known = base.find_region(f"{cloud}-{given}" if cloud and not given.startswith(f"{cloud}-") else given)
        if known is not None and cloud and known.cloud != cloud:
            known = None
        region_id = known.region_id if known else given
        if known is None and cloud and bare.count(given) > 1 and not given.startswith(f"{cloud}-"):
            region_id = f"{cloud}-{given}"
        place = f"{where}, row {number}, region {region_id}"
        if region_id in found:
            raise EdgeError(f"{where} has the region {region_id} twice", "remove one of the rows")
        found[region_id] = _region(row, region_id, cloud, known, place)
    return list(found.values())


def read_latency(path: Path, resolve: Callable[[str], str | None]) -> dict[tuple[str, str], float]:
    """Measured times in ms by (source, target); of several for one pair the median counts.

    Raises EdgeError for an endpoint that `resolve` does not know, and for times that are not positive numbers.
    """
    rows = read_rows(path)
    return pairs_of(rows, _RTT, resolve, str(path), "a round-trip time in ms", lowest=0.0)


def read_egress(path: Path, resolve: Callable[[str], str | None]) -> dict[tuple[str, str], float]:
    """Prices in USD per GB by (source, target). Raises EdgeError as `read_latency`."""
    return pairs_of(read_rows(path), _PRICE, resolve, str(path), "a price in USD per GB", lowest=0.0)


def pairs_of(
    rows: Sequence[Row],
    columns: Sequence[str],
    resolve: Callable[[str], str | None],
    where: str,
    what: str,
    *,
    lowest: float,
) -> dict[tuple[str, str], float]:
    """Numbers between two places."""
    from statistics import median

    if not rows:
        return {}
    src, dst, value = _column(rows[0], _SRC, where), _column(rows[0], _DST, where), _column(rows[0], columns, where)
    found: dict[tuple[str, str], list[float]] = {}
    ids: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        ends = []
        for column in (src, dst):
            name = str(row[column] or "")
            if name not in ids:
                known = resolve(name)
                if known is None:
                    raise EdgeError(
                        f"{where}, row {number}: {column} is {name!r}, which is no known region or place",
                        "declare the region, or correct the name",
                    )
                ids[name] = known
            ends.append(ids[name])
        amount = _number(row[value], f"{where}, row {number} ({ends[0]} to {ends[1]}): {value}", what)
        if amount < lowest:
            raise EdgeError(
                f"{where}, row {number} ({ends[0]} to {ends[1]}): {value} is {amount:g}",
                f"expected {what}, not below {lowest:g}",
            )
        found.setdefault((ends[0], ends[1]), []).append(amount)
    return {pair: median(values) for pair, values in found.items()}


def _region(row: Row, region_id: str, cloud: str, known: Region | None, place: str) -> Region:
    text = {name: _text(row, aliases) for name, aliases in _NAMES.items()}
    origins = dict(known.origins) if known else {}
    mine = Origin("the user's file")
    country = text["country"].upper() or (known.country if known else "")
    lat, lon = (_position(row, axis, known, place) for axis in ("lat", "lon"))
    about = countries().get(country)
    carbon = text["carbon_gco2_kwh"]
    if text["lat"]:
        origins["position"] = mine
    if text["price_factor"]:
        origins["price"] = mine
    if carbon:
        origins["carbon"] = mine
        grid: float | None = _positive(carbon, f"{place}: carbon", zero=True)
    elif known:
        grid = known.carbon_gco2_kwh
    else:
        grid = about[2] if about else None
        if about:
            origins["carbon"] = about[3]
    status = (text["status"] or (known.status if known else "active")).lower()
    if status not in STATUSES:
        raise EdgeError(f"{place}: status is {status!r}", f"expected one of {', '.join(STATUSES)}")
    made = known or Region(region_id, cloud or "other", region_id, country, lat, lon)
    return replace(
        made,
        cloud=cloud or made.cloud,
        name=text["name"] or made.name,
        country=country,
        lat=lat,
        lon=lon,
        continent=text["continent"] or made.continent or (about[0] if about else ""),
        jurisdictions=_listed(text["jurisdictions"]) or made.jurisdictions or (about[1] if about else ()),
        capabilities=frozenset(_listed(text["capabilities"])) or made.capabilities,
        zones=_listed(text["zones"]) or made.zones,
        status=status,
        price_factor=_positive(text["price_factor"], f"{place}: price_factor")
        if text["price_factor"]
        else made.price_factor,
        carbon_gco2_kwh=grid,
        capacity={**made.capacity, **_capacity(row, place)},
        origins=origins,
    )


def _capacity(row: Row, place: str) -> dict[str, float]:
    """Columns `capacity_<resource>`, or `capacity` for the resource named `units`."""
    found = {}
    for column, value in row.items():
        if value is not None and (column == "capacity" or column.startswith("capacity_")):
            resource = column.removeprefix("capacity").removeprefix("_") or "units"
            amount = _number(value, f"{place}: {column}", "an amount")
            if amount < 0:
                raise EdgeError(f"{place}: {column} is {amount:g}", "a capacity is not negative; 0 closes the region")
            found[resource] = amount
    return found


def _position(row: Row, axis: str, known: Region | None, place: str) -> float:
    limit = 90 if axis == "lat" else 180
    text = _text(row, _NAMES[axis])
    if not text:
        if known is None:
            raise EdgeError(f"{place}: {axis} is missing", "the catalog does not know this region: give lat and lon")
        return known.lat if axis == "lat" else known.lon
    degrees = _number(text, f"{place}: {axis}", "degrees")
    if abs(degrees) > limit:
        raise EdgeError(f"{place}: {axis} is {degrees:g}", f"expected degrees from -{limit} to {limit}")
    return degrees


def _positive(text: str, where: str, *, zero: bool = False) -> float:
    amount = _number(text, where, "a number")
    if amount < 0 or (amount == 0 and not zero):
        raise EdgeError(f"{where} is {amount:g}", f"expected a number {'from' if zero else 'above'} 0")
    return amount


def _number(value: Any, where: str, what: str) -> float:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = math.nan
    if not math.isfinite(amount):
        raise EdgeError(f"{where} is {value!r}", f"expected {what}, a finite number; leave out what is not known")
    return amount


def _column(row: Mapping[str, Any], names: Iterable[str], where: str) -> str:
    for name in names:
        if name in row:
            return name
    raise EdgeError(
        f"{where} has no column {' or '.join(names)}; its columns are {', '.join(row)}",
        "name the columns in the header",
    )


def _text(row: Row, names: Iterable[str]) -> str:
    for name in names:
        value = row.get(name)
        if value is not None:
            return ";".join(map(str, value)) if isinstance(value, list | tuple) else str(value).strip()
    return ""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("|", ";").replace(",", ";").split(";") if word.strip())


def _cell(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value
