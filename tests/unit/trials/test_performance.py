"""The performance page says what was measured and nothing else, and does not hide a missed target."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from clawmates.trials.charts import Bar, bars
from clawmates.trials.figures import BY_KEY, FIGURES, missed, table
from clawmates.trials.performance import charts, page, split, write

FOUND = {
    "overhead_ms_p50": 3.0,
    "floor_overhead_ms_p50": 4.0,
    "overhead_ms_p95": 40.0,
    "floor_overhead_ms_p95": 8.0,
    "idle_mib_per_bot_20": 13.5,
    "floor_idle_mib_20": 6.75,
    "gateway_ratio": 0.4,
}


def test_keys_are_declared_once_and_floors_are_no_figures_of_ours() -> None:
    assert len(BY_KEY) == len(FIGURES)
    assert not [figure.key for figure in FIGURES if figure.floor and not figure.floor.startswith("floor_")]


def test_a_floor_and_the_ratio_to_it_stand_beside_the_figure() -> None:
    (row,) = [line for line in page(FOUND, {}).splitlines() if "`idle_mib_per_bot_20`" in line and line.startswith("|")]
    assert [cell.strip() for cell in row.split("|")[2:6]] == ["13.5", "6.75", "2.00", "≤ 14 met"]


def test_what_is_missed_is_marked_on_page_and_screen() -> None:
    text = page(FOUND, {})
    assert "≤ 15 **missed**" in text
    assert "≥ 0.5 **missed**" in text
    assert "Missed: `overhead_ms_p95`, `gateway_ratio`." in text
    assert "(target ≤ 15: MISSED)" in table(FOUND)
    assert [figure.key for figure in missed(FOUND)] == ["overhead_ms_p95", "gateway_ratio"]


def test_what_was_not_measured_is_said_so() -> None:
    assert "| not measured |" in page(FOUND, {})


def test_the_machine_is_described() -> None:
    assert "| kernel | Linux 6.1 |" in page(FOUND, {"kernel": "Linux 6.1"})


def test_charts_are_drawn_only_from_what_the_run_has() -> None:
    assert sorted(charts(FOUND)) == ["memory", "overhead"]
    assert "performance/starts.svg" not in page(FOUND, {})
    assert "performance/memory.svg" in page(FOUND, {})


def test_a_chart_is_svg_whose_bars_are_as_long_as_their_values() -> None:
    drawing = bars("Two & two", "MiB", (Bar("ours", 10.0), Bar("<floor>", 5.0, floor=True)), 12.0)
    root = ET.fromstring(drawing)
    lengths = [float(one.attrib["width"]) for one in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert lengths[0] == 2 * lengths[1]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}line"))) == 1


def test_a_run_is_written_with_its_charts(tmp_path: Path) -> None:
    source = tmp_path / "performance.json"
    source.write_text(json.dumps(FOUND | {"machine_kernel": "Linux 6.1"}))
    write(source)
    assert (tmp_path / "performance.md").read_text() == page(FOUND, {"kernel": "Linux 6.1"})
    assert (tmp_path / "performance" / "memory.svg").read_text() == charts(FOUND)["memory"]


def test_figures_and_facts_are_told_apart() -> None:
    assert split({"a": 1, "machine_cpu": "some"}) == ({"a": 1.0}, {"cpu": "some"})


def test_the_page_in_the_documents_is_what_was_measured() -> None:
    source = Path(__file__).parents[3] / "docs" / "performance.json"
    found, facts = split(json.loads(source.read_text()))
    assert source.with_suffix(".md").read_text() == page(found, facts)
    drawn = charts(found)
    assert {path.stem: path.read_text() for path in source.with_suffix("").iterdir()} == drawn
