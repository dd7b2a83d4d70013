"""Bar charts as SVG: pure text, readable in light and in dark, nothing loaded from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, LABEL, ROW, BAR, TOP, MARGIN = 760, 250, 30, 18, 54, 16
STYLE = """
text{font:14px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:16px}.note{fill:#59636e;font-size:12px}
.ours{fill:#2f6fde}.floor{fill:#b7c0cc}.line{stroke:#c4554d;stroke-width:1.5;stroke-dasharray:5 4}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.ours{fill:#5b9bff}.floor{fill:#4a5462}}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; a floor is drawn paler."""

    label: str
    value: float
    floor: bool = False


def bars(title: str, unit: str, rows: tuple[Bar, ...], target: float | None = None) -> str:
    """A chart of horizontal bars; ``target`` is the dashed line."""
    top = max([*(row.value for row in rows), target or 0.0, 1e-9])
    scale = (WIDTH - LABEL - 90) / top
    height = TOP + ROW * len(rows) + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{MARGIN}" y="24">{escape(title)}</text>',
        f'<text class="note" x="{MARGIN}" y="42">{escape(unit)}</text>',
    ]
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        length = max(row.value * scale, 1.0)
        kind = "floor" if row.floor else "ours"
        lines += [
            f'<text x="{LABEL - 10}" y="{y + 14}" text-anchor="end">{escape(row.label)}</text>',
            f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LABEL + length + 8:.1f}" y="{y + 14}">{row.value:.3g}</text>',
        ]
    if target is not None:
        x = LABEL + target * scale
        lines.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - MARGIN + 4}"/>')
    return "\n".join([*lines, "</svg>", ""])
