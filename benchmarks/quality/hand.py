"""How long a hand takes for a move: the figures of the pace ``human``, fitted on timed drawings.

    python -m benchmarks.quality.hand TIMED_FOLDER --out results/

TIMED_FOLDER holds Quick, Draw! raw ``.ndjson`` files: points with the milliseconds at which they were drawn. Each
drawing is simplified as the models' training data were; the time of a simplified point is that of the place on the
drawn path.
Fitted by least squares, on half of the drawings, the other half is measured:

* log milliseconds of a move with ink over log(1 + its length in data units) and the turn before it, 0 (straight on) to
  1 (back);
* of a move in the air over log(1 + its length).

What is left over is taken for a normal number: its standard deviation is the breathing.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livesketch.data.simplify import SIDE, rdp, resampled

from . import record

LONGEST = 5_000.0
"""Milliseconds; a hand that rested for longer was not drawing."""


def moves_of(strokes: list[NDArray[np.float64]]) -> Iterator[tuple[bool, float, float, float]]:
    """Of raw strokes, each (k, 3) with x, y, ms: (ink, length, turn, milliseconds) of each simplified move."""
    points = np.concatenate(strokes)[:, :2]
    corner = points.min(axis=0)
    side = float((points.max(axis=0) - corner).max()) or 1.0
    before: NDArray[np.float64] | None = None
    for stroke in strokes:
        line, ms = (stroke[:, :2] - corner) * SIDE / side, stroke[:, 2]
        fine = resampled(line)
        kept = np.flatnonzero(rdp(fine))
        lengths = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
        fine_lengths = np.minimum(np.arange(len(fine), dtype=np.float64), lengths[-1])
        at = np.interp(fine_lengths[kept], lengths, ms)
        places = fine[kept]
        if before is not None:
            yield False, float(np.hypot(*(places[0] - before[:2]))), 0.0, float(at[0] - before[2])
        steps = np.diff(places, axis=0)
        for k, step in enumerate(steps):
            turn = _turn(steps[k - 1], step) if k else 0.0
            yield True, float(np.hypot(*step)), turn, float(at[k + 1] - at[k])
        before = np.array([*places[-1], at[-1]])


def _turn(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    size = float(np.hypot(*one) * np.hypot(*other))
    return 0.5 - 0.5 * float(one @ other) / size if size else 0.0


def fitted(rows: NDArray[np.float64], terms: int, measured: NDArray[np.float64]) -> dict[str, Any]:
    """Least squares of log ms over the first ``terms`` terms, and the share of the variance that they explain."""

    def design(part: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.ones(len(part)), np.log1p(part[:, 0]), part[:, 1]][:terms], 1)

    wanted = np.log(rows[:, 2])
    factors, *_ = np.linalg.lstsq(design(rows), wanted, rcond=None)
    rest = np.log(measured[:, 2]) - design(measured) @ factors
    return {
        "factors": factors.round(4).tolist(),
        "spread": round(float(rest.std()), 4),
        "explained": round(1 - float(rest.var() / np.log(measured[:, 2]).var()), 4),
        "moves": len(rows) + len(measured),
        "median ms": float(np.median(np.concatenate([rows, measured])[:, 2])),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.hand", description=__doc__)
    parser.add_argument("folder", type=Path, help="raw .ndjson files with times")
    parser.add_argument("--out", type=Path, default=record.RESULTS)
    asked = parser.parse_args(arguments)
    halves: tuple[list[Any], list[Any]] = ([], [])
    drawings = 0
    for path in sorted(asked.folder.glob("*.ndjson")):
        for line in path.read_text().splitlines():
            strokes = [np.array(stroke, np.float64).T for stroke in json.loads(line)["drawing"]]
            halves[drawings % 2].extend(moves_of([stroke for stroke in strokes if len(stroke)]))
            drawings += 1
    found: dict[str, Any] = {"drawings": drawings}
    for name, ink, terms in (("ink", True, 3), ("air", False, 2)):
        parts = [
            np.array([move[1:] for move in half if move[0] is ink and 1.0 <= move[3] <= LONGEST]) for half in halves
        ]
        found[name] = fitted(parts[0], terms, parts[1])
    print(json.dumps(found, indent=1))
    record.write("hand", found, asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
