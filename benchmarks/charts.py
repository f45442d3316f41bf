"""Two kinds of plot as SVG: bars, and lines over logarithmic or plain axes."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from svgwrite import Drawing

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 64, 262, 34, 44
BAR, BARS_LEFT = 26, 380
INK, RULE = "#333", "#ddd"
COLORS = ("#c0392b", "#2c3e80", "#1e8449", "#b9770e", "#6c3483", "#566573")
TEXT = {"font_family": "sans-serif", "font_size": 11, "fill": INK}


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one engine; a limit is dashed."""

    name: str
    points: Sequence[tuple[float, float]]
    limit: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows; a plain one begins at 0."""

    title: str
    low: float
    high: float
    log: bool = True

    def share(self, value: float) -> float:
        """Where a value is, 0 to 1."""
        if not self.log:
            return value / self.high
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        if not self.log:
            step = 10 ** math.floor(math.log10(self.high / 2))
            step *= next(k for k in (1, 2, 5, 10) if self.high / (k * step) <= 6)
            return [k * step for k in range(int(self.high / step) + 1)]
        found = [
            k * 10.0**power
            for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for k in (1, 2, 5)
        ]
        within = [tick for tick in found if self.low <= tick * 1.0001 and tick <= self.high * 1.0001]
        return within if len(within) <= 9 else [tick for tick in within if round(math.log10(tick), 6) % 1 == 0]


def around(values: Sequence[float]) -> tuple[float, float]:
    """Limits of a logarithmic axis."""
    return min(values) / 1.25, max(values) * 1.25


def said(value: float) -> str:
    """A number with three digits, without zeros behind."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def page(title: str, height: float) -> Drawing:
    svg = Drawing(size=(WIDTH, round(height)), debug=False)
    svg.add(svg.rect((0, 0), (WIDTH, round(height)), fill="white"))
    svg.add(svg.text(title, (12, 20), **(TEXT | {"font_size": 13, "font_weight": "bold"})))
    return svg


def bars(title: str, rows: Sequence[tuple[str, float, bool]], unit: str) -> str:
    """Rows of (name, value, whether it is ours), from the top down."""
    svg = page(title, TOP + BAR * len(rows) + 12)
    longest = max(value for _, value, _ in rows)
    for k, (name, value, ours) in enumerate(rows):
        y, wide = TOP + k * BAR, value / longest * (WIDTH - BARS_LEFT - 80)
        svg.add(svg.text(name, (BARS_LEFT - 8, y + 16), text_anchor="end", **TEXT))
        svg.add(svg.rect((BARS_LEFT, y + 4), (round(wide, 1), BAR - 9), fill=COLORS[0] if ours else "#aab"))
        svg.add(svg.text(f"{said(value)} {unit}", (round(BARS_LEFT + wide + 6, 1), y + 16), **TEXT))
    return finished(svg)


def lines(title: str, across: Axis, up: Axis, drawn: Sequence[Line]) -> str:
    height, top = 360, TOP + 16
    svg = page(title, height)
    right, bottom = WIDTH - RIGHT, height - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + across.share(x) * (right - LEFT), 1),
            round(bottom - up.share(y) * (bottom - top), 1),
        )

    for tick in up.ticks():
        y = at(across.low, tick)[1]
        svg.add(svg.line((LEFT, y), (right, y), stroke=RULE))
        svg.add(svg.text(short(tick), (LEFT - 6, y + 4), text_anchor="end", **TEXT))
    for tick in across.ticks():
        x = at(tick, up.low or up.high)[0]
        svg.add(svg.line((x, bottom), (x, bottom + 4), stroke=INK))
        svg.add(svg.text(short(tick), (x, bottom + 17), text_anchor="middle", **TEXT))
    svg.add(svg.line((LEFT, bottom), (right, bottom), stroke=INK))
    svg.add(svg.text(across.title, ((LEFT + right) / 2, height - 8), text_anchor="middle", **TEXT))
    svg.add(svg.text(up.title, (12, top - 8), **TEXT))
    ends = beside([at(*line.points[-1])[1] for line in drawn])
    for k, (line, end) in enumerate(zip(drawn, ends, strict=True)):
        color = INK if line.limit else COLORS[k % len(COLORS)]
        dashed = {"stroke_dasharray": "5,4"} if line.limit else {}
        svg.add(
            svg.polyline([at(*point) for point in line.points], fill="none", stroke=color, stroke_width=1.8, **dashed)
        )
        svg.add(svg.text(line.name, (right + 8, end + 4), **(TEXT | {"fill": color})))
    return finished(svg)


def beside(heights: Sequence[float]) -> list[float]:
    """Where labels go that belong at these heights: at least a line apart, in the same order."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    found = list(heights)
    for before, k in itertools.pairwise(order):
        found[k] = max(found[k], found[before] + 14)
    return [round(height, 1) for height in found]


def short(tick: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if tick >= size:
            return f"{tick / size:g}{letter}"
    return f"{tick:g}"


def finished(svg: Drawing) -> str:
    text: str = svg.tostring()
    return text.replace("><", ">\n<") + "\n"
