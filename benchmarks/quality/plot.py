"""Draws the curve of a result of ``benchmarks.quality.guess``.

python -m benchmarks.quality.plot benchmarks/results/guess-DATE.json docs/guess.svg
"""

import json
import sys
from pathlib import Path

from svgwrite import Drawing

WIDTH, HEIGHT, EDGE = 480, 300, 45


def at(share: float, value: float) -> tuple[float, float]:
    """Where a point of the curve is on the page."""
    return EDGE + share * (WIDTH - 2 * EDGE), HEIGHT - EDGE - value * (HEIGHT - 2 * EDGE)


def curve(shares: list[float], values: dict[str, list[float]]) -> Drawing:
    """Both accuracies over the share of the drawing that was seen."""
    svg = Drawing(size=(WIDTH, HEIGHT), debug=False)
    svg.add(svg.rect((0, 0), (WIDTH, HEIGHT), fill="white"))
    text = {"font_family": "sans-serif", "font_size": 11, "fill": "#333"}
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        svg.add(svg.line(at(0, tick), at(1, tick), stroke="#ddd"))
        svg.add(svg.text(f"{tick:.0%}", (EDGE - 34, at(0, tick)[1] + 4), **text))
        svg.add(svg.text(f"{tick:.0%}", (at(tick, 0)[0] - 10, HEIGHT - EDGE + 16), **text))
    svg.add(svg.text("share of the drawing's rows seen", (WIDTH / 2 - 80, HEIGHT - 8), **text))
    for (name, points), color in zip(values.items(), ("#c0392b", "#2c3e80"), strict=True):
        svg.add(
            svg.polyline([at(*p) for p in zip(shares, points, strict=True)], fill="none", stroke=color, stroke_width=2)
        )
        svg.add(svg.text(name, (at(1, 0)[0] + 4, at(1, points[-1])[1] + 4), **(text | {"fill": color})))
    return svg


if __name__ == "__main__":
    result = json.loads(Path(sys.argv[1]).read_text())
    svg = curve(result["shares"], {"top-1": result["top1"], "top-5": result["top5"]})
    Path(sys.argv[2]).write_text(svg.tostring() + "\n")
