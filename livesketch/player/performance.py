"""What a performer types: play, draw, hush, players."""

import atexit
import os
import threading
from collections.abc import Sequence
from typing import Final, get_args

from ..errors import ControlError
from ..events import PenAction
from ..outputs.base import Output
from ..streams.drawing import Drawing
from ..values import whole
from .clock import Clock, LiveClock, OfflineClock
from .desk import Desk
from .players import Drawable, Playable, Player, Then, checked_rate, is_among, stage_of

_players: Final[dict[str, Player]] = {}
_changing = threading.RLock()

DRAW_RATE: Final = 60.0
"""Steps per second of the offline clock: only outputs that look at ``at`` notice."""


def play(
    stream: Playable,
    to: Sequence[Output] | Output | None = None,
    rate: float = 60.0,
    name: str | None = None,
    then: Then = "next",
    clock: Clock | None = None,
) -> Player:
    """Plays a stream in the background and returns at once.

    Args:
        stream: ``livesketch.sketch(...)``, ``text(...)``, ``voices(...)``, ``handwrite(...)``, or an object of yours
            with ``events()`` and what else ``livesketch.player.players.Playable`` lists. One that is over stops
            its player.
        to: the outputs; left out where a player of this name plays, its outputs are kept.
        rate: steps per second, above 0 up to 10,000; live as ``.rate``.
        name: the performance's name, in OSC addresses too. A player of the same name gives way: pen up first, outputs
            that both have stay open. Default: the stream's name, numbered where that is taken.
        then: after a drawing or a piece of text, the ``next`` one, or ``stop``.
        clock: another clock than the machine's monotonic one, such as ``OfflineClock()``.

    Raises:
        ControlError: a rate, name or ``then`` out of range, or nowhere to play to.
        OutputError: an output that cannot be opened.
    """
    checked_rate(rate)
    stage_of(stream)
    if then not in get_args(Then):
        raise ControlError(f"then={then!r}: expected {' or '.join(map(repr, get_args(Then)))}")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ControlError(f"name {name!r:.60}: expected a word such as 'cat', or None for the stream's name")
    with _changing:
        running = players()
        if name is None:
            taken = (f"{stream.name}-{i}" for i in range(2, len(running) + 3))
            name = stream.name if stream.name not in running else next(n for n in taken if n not in running)
        before = running.get(name)
        outputs = _outputs(to, before)
        player = Player(stream, outputs, rate, name, then, clock or LiveClock())
        for other in running.values():
            shared = [output for output in outputs if other is not before and is_among(output, other.to)]
            if shared:
                raise ControlError(
                    f"to: {shared[0]!r} is in use by the player {other.name!r}; expected an output of its own: make "
                    "another, or play under that name"
                )
        _players[name] = player.start(before)
        return player


def _outputs(to: Sequence[Output] | Output | None, before: Player | None) -> tuple[Output, ...]:
    if to is None and before is not None:
        return before.to
    outputs = tuple(to) if isinstance(to, Sequence) else (to,) if to is not None else ()
    outputs = tuple({id(output): output for output in outputs}.values())
    for output in outputs:
        if isinstance(output, type) or not isinstance(output, Output):
            raise ControlError(
                f"to: {output!r} is no output; expected such as ls.osc('127.0.0.1:9000') or ls.svg('a.svg')"
            )
    if not outputs:
        raise ControlError(
            "nowhere to play to; expected to=[...], such as to=[ls.osc('127.0.0.1:9000'), ls.terminal()]"
        )
    return outputs


def players() -> dict[str, Player]:
    """The players that play now, by name."""
    with _changing:
        for name in [name for name, player in _players.items() if not player.playing]:
            del _players[name]
        return dict(_players)


def hush() -> None:
    """Everything stops at a clean place: pens up, outputs closed. Twice is harmless."""
    playing = list(players().values())
    for player in playing:
        player.ask_to_stop()
    for player in playing:  # in a player's own thread this does not wait
        player.stop()


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
    desk = Desk(stream.name, _outputs(to, None) if to else ())
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


def _forget() -> None:
    """In a forked child nothing plays: the threads stayed with the parent."""
    global _changing  # noqa: PLW0603 - the lock may have been held by a thread that is not in this process
    _changing = threading.RLock()
    _players.clear()


atexit.register(hush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
