"""The pages as a browser shows them: the asset graph with all groups, a table's checks and its plot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chromium import EXECUTABLE, Page

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no chromium; Debian: apt-get install chromium")

OPEN_PLOT = """(() => {
  const row = [...document.querySelectorAll('tr')].find(row => row.innerText.startsWith('plot'))
  const link = row && [...row.querySelectorAll('*')].find(e => !e.children.length && /Show Markdown/.test(e.innerText))
  if (link) link.click()
  return Boolean(link)
})()"""
PICTURE = """(() => {
  const picture = document.querySelector('img[alt="plot"]')
  return picture && picture.complete && [picture.naturalWidth, picture.clientWidth]
})()"""
CUT = """[...document.querySelectorAll('div')].filter(
  e => !e.children.length && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).textOverflow === 'ellipsis'
).map(e => e.innerText)"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with Page() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_errors(page: Page) -> Iterator[None]:
    yield
    assert not page.errors
    assert "PythonError" not in page.text() and "failed to load" not in page.text().lower()


def test_the_asset_graph_shows_every_group(ui, page, tmp_path):
    page.open(f"{ui.url}/asset-groups")
    for group in ("aiops", "data_mesh", "platform", "reports", "sre"):
        page.wait_for_text(group)
    assert "Join the Dagster community" not in page.text(), "nobody is asked for an address"
    page.screenshot(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 20_000


def test_a_group_s_graph_shows_its_tables_with_their_whole_names(ui, page):
    page.open(f"{ui.url}/locations/__repository__@cogniforge_pipeline.definitions/asset-groups/aiops")
    for table in ("telemetry", "series", "rollup_5m"):  # of the others some are outside the window, and not drawn
        page.wait_for_text(table)
    assert not page.evaluate(CUT)


def test_a_table_s_page_opens_its_plot_as_a_picture(ui, page):
    page.open(f"{ui.url}/assets/aiops/service_health?view=events")
    page.wait_for(OPEN_PLOT)
    natural, shown = page.wait_for(PICTURE)
    assert natural == shown >= 600, "the picture is neither small nor shrunk"


def test_a_table_s_page_lists_its_checks_with_what_they_say(ui, page):
    page.open(f"{ui.url}/assets/aiops/telemetry?view=checks&checkDetail=rows_readable")
    page.wait_for_text("rows_readable")
    page.wait_for_text("1 rows were set aside")
    page.wait_for_text("every row that was read became a point")


def test_a_table_s_page_shows_its_columns_and_where_it_lies(ui, page):
    page.open(f"{ui.url}/assets/aiops/service_health?view=overview")
    page.wait_for_text("Name of the service.")
    page.wait_for_text("aiops.service_health")
    page.wait_for_text("decide_eagerly")
