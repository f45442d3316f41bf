"""Five hundred cats drawn by many voices at once; the twelve with the fewest strokes share a page, simplest.svg.

Each drawing has a number: cat 123 of seed 5 is the same cat whenever, wherever and among how many others it is drawn.
"""

import livesketch as ls


def strokes(drawing: ls.FinishedDrawing) -> int:
    """How often the pen lifts."""
    return int(drawing.rows[:, 2].sum())


cats = [cat for cat in ls.bulk("cat", 500, seed=5, temperature=0.5) if cat.ended and len(cat.rows)]
simplest = sorted(cats, key=strokes)[:12]
page = ls.svg("simplest.svg")
for cat in simplest:
    for action in cat.actions:
        page.send(action)
page.close()
print("simplest.svg: cats", ", ".join(f"{cat.number} ({strokes(cat)})" for cat in simplest))
