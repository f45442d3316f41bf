"""``ls.draw``: drawings as fast as they can be made, on a clock that jumps, in the thread that asks."""

import threading
from collections.abc import Sequence
from typing import Final

from ..errors import ControlError
from ..events import PenAction
from ..outputs.base import Output
from ..streams.drawing import Drawing
from ..values import whole
from .clock import Clock, OfflineClock
from .conductor import clock as conductor
from .desk import Desk
from .playable import Drawable, stage_of
from .roster import checked_outputs
from .tempo import Tempo

DRAW_RATE: Final = 60.0
"""Steps per second of the offline clock: only outputs that look at ``at`` notice."""


def draw(stream: Drawable, to: Sequence[Output] | Output = (), n: int = 1) -> list[Drawing]:
    """Draws n drawings offline, as fast as it can, to the outputs; closes them and returns the drawings.

    The first one is the rest of the stream's present drawing. Handwriting gives as many as its text has, where that is
    fewer. An interruption leaves the files complete.

    Raises:
        ControlError: n below 1.
        OutputError: an output that cannot be opened or written.
    """
    n = whole("drawings", n, 1, 10**9)
    if not isinstance(stream, Drawable):
        raise ControlError(
            f"{stream!r:.80} cannot be drawn offline; expected one stream, such as ls.sketch('cat'), or "
            "ls.handwrite(...) of a text"
        )
    desk = Desk(stream.name, checked_outputs(to) if to else (), tempo=Tempo(conductor.bpm))
    clock, never = OfflineClock(), threading.Event()
    done: list[Drawing] = []
    desk.open(desk.outputs, 1, stage_of(stream))
    try:
        for _ in range(n):
            drawing = stream.drawing()
            for action in list(drawing.actions):  # what was fed or drawn before
                _send(desk, action, clock, never)
            for action in drawing:
                _send(desk, action, clock, never)
            if not drawing.actions:  # the stream is over
                break
            done.append(drawing)
    finally:
        desk.finish(clock.now(), "hush")
    for trouble in desk.troubles.values():
        if trouble.first is not None:
            raise trouble.first
    return done


def _send(desk: Desk, action: PenAction, clock: Clock, never: threading.Event) -> None:
    desk.send(action, clock.now())
    clock.wait_until(clock.now() + 1 / DRAW_RATE, never)
    desk.tick(clock.now())
