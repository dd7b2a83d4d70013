"""``docs/performance.md`` and its charts, made from the figures of a run: nobody writes a number by hand.

.venv/bin/python -m clawmates.trials.performance docs/performance.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.trials.charts import Bar, bars
from clawmates.trials.figures import FIGURES, Figure, Group

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = (20, 100, 300)
HEAD = """\
# Performance

Made by `make bench` from one run on one machine; `docs/performance.json` holds the figures as they were measured, and
a test fails when this page says anything else. Absolute times on a shared machine mean little: look at the ratio to
the floor, which was measured in the same run. **A missed target is marked as missed.**

The floors: a bare script of forty lines on a well-known HTTP library, without container or gateway, against the same
TLS stand-ins; a plain asyncio relay that checks nothing; bare containers of the same image behind the same walls in
which an idle Python waits; connections to the vault that ask for nothing; Pythons that import what the services import.
"""


def machine(facts: Mapping[str, str]) -> str:
    """The paragraph that describes where it was measured."""
    if not facts:
        return ""
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in sorted(facts.items()))
    return f"## The machine\n\n| what | |\n|---|---|\n{rows}\n"


def page(found: Mapping[str, float], facts: Mapping[str, str]) -> str:
    """The whole page; figures that the run does not have are named as not measured."""
    parts = [HEAD, machine(facts)]
    for group in Group:
        rows = [figure for figure in FIGURES if figure.group is group]
        pictures = [
            f"![{title}](performance/{name}.svg)\n" for name, title in _pictures(group) if name in charts(found)
        ]
        parts.append("\n".join([f"## {group.value}\n", *pictures, _table(rows, found)]))
    parts.append(_promised(found))
    return "\n".join(part for part in parts if part)


def charts(found: Mapping[str, float]) -> dict[str, str]:
    """File name without ending → SVG, for every chart whose figures the run has."""
    wanted = {
        "memory": (
            "Host memory of an idle bot",
            "MiB each, everything counted; dashed: the target",
            _memory(found),
            14.0,
        ),
        "overhead": ("What we add to a message", "milliseconds; pale: the bare script", _overhead(found), None),
        "starts": ("Bots started in a second", "pale: bare containers, one after the other", _starts(found), 3.0),
    }
    return {
        name: bars(title, unit, rows, target) for name, (title, unit, rows, target) in wanted.items() if len(rows) > 1
    }


def _pictures(group: Group) -> tuple[tuple[str, str], ...]:
    match group:
        case Group.MEMORY:
            return (("memory", "Host memory of an idle bot beside a bare container"),)
        case Group.MESSAGES:
            return (("overhead", "What we add to a message beside a bare script"),)
        case Group.STARTS:
            return (("starts", "Bots started in a second beside bare containers"),)
        case _:
            return ()


def _table(rows: list[Figure], found: Mapping[str, float]) -> str:
    lines = ["| figure | measured | floor | ratio | target |", "|---|---:|---:|---:|---|"]
    for figure in rows:
        value, floor = found.get(figure.key), found.get(figure.floor)
        ratio = f"{value / floor:.2f}" if value is not None and floor else ""
        beside = _number(floor) if figure.floor else ""
        cells = (f"{figure.says} (`{figure.key}`)", _number(value), beside, ratio, _target(figure, value))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _target(figure: Figure, value: float | None) -> str:
    if not figure.target or value is None:
        return figure.target
    return f"{figure.target} {'met' if figure.held(value) else '**missed**'}"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"


def _promised(found: Mapping[str, float]) -> str:
    bound = [figure for figure in FIGURES if figure.target and figure.key in found]
    missed = [figure.key for figure in bound if figure.held(found[figure.key]) is False]
    ending = f"Missed: {', '.join(f'`{key}`' for key in missed)}." if missed else "None was missed."
    return f"Of {len(bound)} targets {len(bound) - len(missed)} were met. {ending}\n"


def _memory(found: Mapping[str, float]) -> tuple[Bar, ...]:
    rows: list[Bar] = []
    for stage in STAGES:
        rows += _bar(found, f"idle_mib_per_bot_{stage}", f"a bot among {stage}")
        rows += _bar(found, f"floor_idle_mib_{stage}", "bare container", floor=True)
    return tuple(rows)


def _overhead(found: Mapping[str, float]) -> tuple[Bar, ...]:
    return (
        *_bar(found, "overhead_ms_p50", "median"),
        *_bar(found, "floor_overhead_ms_p50", "bare script, median", floor=True),
        *_bar(found, "overhead_ms_p95", "95th percentile"),
        *_bar(found, "floor_overhead_ms_p95", "bare script, 95th percentile", floor=True),
        *_bar(found, "loaded_overhead_ms_p95", "300 bots, 95th percentile"),
    )


def _starts(found: Mapping[str, float]) -> tuple[Bar, ...]:
    rows: list[Bar] = []
    for stage in STAGES:
        rows += _bar(found, f"bots_started_per_s_{stage}", f"up to {stage} bots")
        rows += _bar(found, f"floor_started_per_s_{stage}", "bare containers", floor=True)
    return tuple(rows)


def _bar(found: Mapping[str, float], key: str, label: str, *, floor: bool = False) -> tuple[Bar, ...]:
    return (Bar(label, found[key], floor),) if key in found else ()


def split(document: Mapping[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    """The figures of a run and the facts about its machine (keys ``machine_…``)."""
    figures = {key: float(value) for key, value in document.items() if isinstance(value, int | float)}
    facts = {key.removeprefix("machine_"): value for key, value in document.items() if isinstance(value, str)}
    return figures, facts


def write(source: Path) -> None:
    """Writes page and charts beside ``source``. Raises ``OSError`` and ``ValueError``."""
    found, facts = split(json.loads(source.read_text()))
    folder = source.with_suffix("")
    folder.mkdir(exist_ok=True)
    source.with_suffix(".md").write_text(page(found, facts))
    for name, drawing in charts(found).items():
        (folder / f"{name}.svg").write_text(drawing)


def main() -> int:
    """Exit 1 when the figures cannot be read."""
    parser = argparse.ArgumentParser(prog="clawmates.trials.performance", description=__doc__)
    parser.add_argument("source", type=Path)
    try:
        write(parser.parse_args().source)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: the figures cannot be read: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
