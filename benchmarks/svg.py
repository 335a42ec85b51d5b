"""Bars and lines as SVG, by hand: small files, and readable in light and dark mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 760
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.note, .tick { fill: #59636e; font-size: 12px }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.ours { fill: #1a7f37; stroke: #1a7f37 }
.floor { fill: #818b98; stroke: #818b98 }
.other { fill: #6e9bd8; stroke: #6e9bd8 }
.second { fill: #bf8700; stroke: #bf8700 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.dashed { stroke-dasharray: 5 4 }
rect { stroke: none }
text.ours, text.floor, text.other, text.second { stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.note, .tick { fill: #9198a1 }
.grid { stroke: #3d444d }
.ours { fill: #3fb950; stroke: #3fb950 }
.other { fill: #79a8e6; stroke: #79a8e6 }
.second { fill: #d29922; stroke: #d29922 }
}
</style>"""


class Bar(NamedTuple):
    label: str
    value: float
    kind: str
    """``ours``, ``floor`` or ``other``: its colour."""


class Line(NamedTuple):
    label: str
    points: Sequence[tuple[float, float]]
    kind: str
    dashed: bool = False


def bars(title: str, note: str, groups: Sequence[tuple[str, Sequence[Bar]]], unit: str) -> str:
    """Horizontal bars in groups, all to one scale; the longest are cut and say so."""
    values = sorted(bar.value for _, group in groups for bar in group)
    limit = min(values[-1], 4 * values[len(values) // 2])
    left, right, step = 210, WIDTH - 110, 24
    body, y = [], 70
    for name, group in groups:
        body.append(f'<text class="group" x="16" y="{y}">{escape(name)}</text>')
        y += 10
        for bar in group:
            length = (right - left) * min(bar.value, limit) / limit
            body.append(
                f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(bar.label)}</text>'
            )
            body.append(
                f'<rect class="{bar.kind}" x="{left}" y="{y}" rx="2" '
                f'width="{max(length, 1):.1f}" height="18"/>'
            )
            cut = " →" if bar.value > limit else ""
            body.append(
                f'<text class="tick" x="{left + length + 8:.1f}" y="{y + 14}">'
                f"{bar.value:,.{0 if bar.value >= 10 else 2}f}{unit}{cut}</text>"
            )
            y += step
        y += 24
    return _document(title, note, body, y)


def lines(title: str, note: str, series: Sequence[Line], x_name: str, y_name: str) -> str:
    """Lines on two logarithmic axes."""
    left, right, top, bottom = 70, WIDTH - 190, 80, 360
    xs = [math.log10(x) for line in series for x, _ in line.points]
    ys = [math.log10(y) for line in series for _, y in line.points]
    low, high = math.floor(min(ys)), math.ceil(max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - min(xs)) / ((max(xs) - min(xs)) or 1)
        up = (math.log10(y) - low) / ((high - low) or 1)
        return left + across * (right - left), bottom - up * (bottom - top)

    body = []
    for power in range(low, high + 1):
        _, y = place(10 ** min(xs), 10.0**power)
        body.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(
            f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{10.0**power:,g}</text>"
        )
    for value in sorted({x for line in series for x, _ in line.points}):
        x, _ = place(value, 10.0**low)
        body.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">'
            f"{value:,.0f}</text>"
        )
    for line, label_y in zip(series, _label_places(series, place), strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        dashed = " dashed" if line.dashed else ""
        body.append(
            f'<polyline class="line {line.kind}{dashed}" points="{path}" style="fill: none"/>'
        )
        body.append(
            f'<text class="{line.kind}" x="{right + 10}" y="{label_y:.1f}">'
            f"{escape(line.label)}</text>"
        )
    body.append(
        f'<text class="note" x="{right}" y="{bottom + 42}" text-anchor="end">'
        f"{escape(x_name)}</text>"
    )
    body.append(f'<text class="note" x="16" y="{top - 14}">{escape(y_name)}</text>')
    return _document(title, note, body, bottom + 60)


def _label_places(series: Sequence[Line], place: object) -> list[float]:
    """Beside each line's end, moved apart where two would touch."""
    assert callable(place)
    ends = sorted((place(*line.points[-1])[1], number) for number, line in enumerate(series))
    places = [0.0] * len(series)
    last = -math.inf
    for y, number in ends:
        last = places[number] = max(y + 4, last + 16)
    return places


def _document(title: str, note: str, body: Sequence[str], height: float) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<text class="title" x="16" y="26">{escape(title)}</text>',
            f'<text class="note" x="16" y="46">{escape(note)}</text>',
            *body,
            "</svg>\n",
        ]
    )
