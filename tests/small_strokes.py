"""Characters of few strokes, made for the tests of handwriting, on the grid of stroke medians (1024 units, y up)."""

import json
from pathlib import Path

TEN = {"character": "十", "medians": [[[100, 400], [900, 400]], [[512, 800], [512, -24]]]}
MOUTH = {
    "character": "口",
    "medians": [[[250, 600], [260, 200]], [[250, 600], [760, 620], [740, 200]], [[260, 230], [740, 230]]],
}
DOT = {"character": "丶", "medians": [[[512, 388]], [[100, 388], [100, 388], [100, 388]]]}
"""Two strokes without length: one point, and three in one place."""
HOOK = {"character": "乙", "medians": [[[200, 700], [700, 720], [300, 100], [420, 20], [800, 40], [820, 180]]]}


def write_medians(path: Path, *records: object) -> str:
    """A file of these lines (those above, where none are given); its path."""
    records = records or (TEN, MOUTH, DOT, HOOK)
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)
