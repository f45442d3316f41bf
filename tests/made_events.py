"""Drawings made by hand for the tests of outputs."""

import math
from collections.abc import Iterable, Iterator

from livesketch.cues import CueMaker
from livesketch.events import Event, Pen, PenAction
from livesketch.outputs.base import Stage

STAGE = Stage(model="cat", seed=7, units=100.0, temperature=0.65)


def action(step: int, x: float, y: float, **changed: object) -> PenAction:
    values: dict[str, object] = {
        "at": step / 60, "name": "cat", "voice": 0, "drawing": 0, "step": step, "x": x, "y": y, "dx": 1.0, "dy": 1.0,
        "ink": True, "pen": Pen.DOWN, "last": False, "ended": False, "source": "model",
    }  # fmt: skip
    return PenAction(**{**values, **changed})  # type: ignore[arg-type]


def end(step: int, x: float, y: float, **changed: object) -> PenAction:
    return action(
        step, x, y, **{"dx": 0.0, "dy": 0.0, "ink": False, "pen": Pen.END, "last": True, "ended": True} | changed
    )


def drawing(n: int = 40, *, size: float = 0.3, **changed: object) -> Iterator[PenAction]:
    """A wavy ring of ``n`` steps in strokes of eight, then END. ``changed`` sets name, voice, drawing and so on."""
    x = y = 0.5
    for step in range(n):
        turn = math.tau * step / n
        x = 0.5 + size * math.cos(turn) * (1 + 0.1 * math.sin(9 * turn))
        y = 0.5 + size * math.sin(turn)
        pen = Pen.UP if step % 8 == 7 else Pen.DOWN
        yield action(step, x, y, **{"ink": step % 8 != 0 or step == 0, "pen": pen} | changed)
    yield end(n, x, y, **changed)


def played(actions: Iterable[PenAction]) -> Iterator[list[Event]]:
    """What a player sends at each step: the action with its cues, each voice for itself."""
    makers: dict[tuple[str, int], CueMaker] = {}
    for made in actions:
        yield makers.setdefault((made.name, made.voice), CueMaker()).events(made)
