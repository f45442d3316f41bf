"""The cues around pen actions: where strokes and drawings begin and end."""

from typing import Final

from .events import Cue, CueKind, Event, Pen, PenAction

START: Final = (0.5, 0.5)
"""Where a live drawing starts on the stage."""


class CueMaker:
    """Puts the cues of one voice around its pen actions.

    A stroke begins before its first inked action, at the place where that move starts; a move without ink ends at the
    place where the next stroke begins, so there ``stroke/begin`` follows the action. ``stroke/end`` follows the action
    that lifts, ends or cuts. A lone point is ``stroke/begin`` and ``stroke/end`` at one place.

    Where a step does not follow the one before it (the stream was restored, or stepped elsewhere), where its move came
    from is not known, and no line is made up: an open stroke is ended where the pen was, and an inked action begins
    another at its own point.

    >>> import livesketch as ls
    >>> first = ls.sketch("cat", seed=7).feed([[(0, 0), (40, 10)]])[0]
    >>> [getattr(event, "kind", "pen") for event in CueMaker().events(first)]
    ['drawing/begin', 'stroke/begin', 'pen', 'stroke/end']
    """

    def __init__(self) -> None:
        self._previous: PenAction | None = None
        self._in_drawing = False
        self._in_stroke = False

    def events(self, action: PenAction) -> list[Event]:
        """The action with its cues, in the order in which outputs must get them; all due at ``action.at``.

        Step 0 or another drawing number begins a drawing; one still open is ended first. A voice joined in the middle
        of a stroke begins it at the action's own point.
        """
        out: list[Event] = []
        before = self._previous
        if before is not None and (action.step == 0 or action.drawing != before.drawing):
            out += self.close(action.at)
        elif before is not None and not _follows(before, action):
            out += self._end_stroke(before, action.at)
        start = self._start(action)
        if not self._in_drawing:
            out.append(_cue("drawing/begin", action, start))
            self._in_drawing = True
        if action.ink and not self._in_stroke:
            out.append(_cue("stroke/begin", action, start))
            self._in_stroke = True
        elif not action.ink and action.pen is not Pen.END and before is not None:
            out += self._end_stroke(before, action.at)
        out.append(action)
        self._previous = action
        if not self._in_stroke and action.pen is not Pen.END:
            out.append(_cue("stroke/begin", action, (action.x, action.y)))
            self._in_stroke = True
        if action.last:
            out += self.close(action.at)
        elif action.pen is not Pen.DOWN:
            out += self._end_stroke(action, action.at)
        return out

    def close(self, at: float) -> list[Cue]:
        """Ends what is open, a stroke before its drawing, where the pen stands; nothing when called again.

        The voice may go on afterwards: its next action begins a drawing and a stroke there.
        """
        if self._previous is None:
            return []
        out = self._end_stroke(self._previous, at)
        if self._in_drawing:
            out.append(_cue("drawing/end", self._previous, (self._previous.x, self._previous.y), at))
            self._in_drawing = False
        return out

    def _start(self, action: PenAction) -> tuple[float, float]:
        """Where the move of this action starts, as far as it is known."""
        before = self._previous
        if action.step == 0:
            return START
        if before is not None and _follows(before, action):
            return before.x, before.y
        return action.x, action.y

    def _end_stroke(self, action: PenAction, at: float) -> list[Cue]:
        if not self._in_stroke:
            return []
        self._in_stroke = False
        return [_cue("stroke/end", action, (action.x, action.y), at)]


def _follows(before: PenAction, action: PenAction) -> bool:
    """Whether the pen moved from the one action's point straight to the other's."""
    return not before.last and (before.drawing, before.step + 1) == (action.drawing, action.step)


def _cue(kind: CueKind, action: PenAction, place: tuple[float, float], at: float | None = None) -> Cue:
    due = action.at if at is None else at
    return Cue(due, action.name, action.voice, action.drawing, action.step, kind, *place)
