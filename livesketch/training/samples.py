"""A page of drawings of a model that is still learning."""

from pathlib import Path

from ..controls import Controls
from ..events import PenAction
from ..files import replacing
from ..models.checkpoint import Checkpoint
from ..paper import Sketch, make_page, page_svg
from ..streams.sketch import SketchStream
from ..strokes import to_polylines

TEMPERATURE = 0.65
"""As ``livesketch.sketch`` draws."""


def draw_samples(checkpoint: Checkpoint, path: Path, *, count: int, seed: int) -> int:
    """Writes a contact sheet of ``count`` drawings as SVG; several labels take turns. Returns how many ended.

    Raises:
        OutputError: the file cannot be written.
    """
    labels: list[str | None] = [*checkpoint.labels] or [None]
    step = max(1, len(labels) // count)
    sketches, ended = [], 0
    for k in range(count):
        label = labels[k * step % len(labels)]
        stream = SketchStream(checkpoint, label, Controls(TEMPERATURE, "js"), seed, "auto", k)
        actions: list[PenAction] = list(stream.drawing())
        ended += actions[-1].ended
        sketches.append(Sketch(to_polylines(actions)))
    page = page_svg(sketches, make_page("a4", landscape=True), about=[{"model": checkpoint.name, "seed": str(seed)}])
    with replacing(path) as stream_out:
        stream_out.write(page.encode())
    return ended
