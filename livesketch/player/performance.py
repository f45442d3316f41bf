"""What a performer types: play, draw, hush, players."""

import atexit
import os
import threading
from collections.abc import Sequence
from typing import Any, Final, get_args
from weakref import WeakKeyDictionary

from ..errors import ControlError
from ..events import PenAction
from ..outputs.base import Output
from ..patterns import Pattern
from ..streams.drawing import Drawing
from ..values import real, whole
from . import pace as paces
from . import playing as threads
from .clock import Clock, LiveClock, OfflineClock
from .conductor import clock as conductor
from .course import How, Then, checked_then
from .desk import Desk
from .pace import Pace
from .place import Place, checked_place
from .playable import AnyPlayer, Drawable, Playable, stage_of
from .players import Player
from .playing import Quant, is_among
from .process import RemotePlayer, play_there, silence_there
from .tempo import Tempo

_players: Final[dict[str, AnyPlayer]] = {}
_soloed: Final[set[str]] = set()
"""Names, so that a swap keeps it."""
_leaving: Final[list[RemotePlayer]] = []
"""Those in the other process whose place another has taken; their streams come back when they have stopped."""
_tempos: Final[WeakKeyDictionary[Clock, Tempo]] = WeakKeyDictionary()
"""The beat of clocks other than the machine's."""
_changing = threading.RLock()

DRAW_RATE: Final = 60.0
"""Steps per second of the offline clock: only outputs that look at ``at`` notice."""


def play(
    stream: Playable,
    to: Sequence[Output] | Output | None = None,
    rate: float | Pattern | None = None,
    name: str | None = None,
    then: Then = "next",
    clock: Clock | None = None,
    *,
    beat: float | None = None,
    pace: Pace | None = None,
    quant: Quant = "stroke",
    lookahead: float = 0.1,
    place: str | Place = "live",
    engine: str = "thread",
) -> AnyPlayer:
    """Plays a stream in the background and returns at once.

    Args:
        stream: ``livesketch.sketch(...)``, ``text(...)``, ``voices(...)``, ``handwrite(...)``, or an object of yours
            with ``events()`` and what else ``livesketch.player.playable.Playable`` lists. One that is over stops
            its player.
        to: the outputs; left out where a player of this name plays, its outputs are kept.
        rate: steps per second, above 0 up to 10,000, or a function of the beat; live as ``.rate``. 60 where neither
            ``beat`` nor ``pace`` is given.
        name: the performance's name, in OSC addresses too. A player of the same name gives way: pen up first, outputs
            that both have stay open, and muted or soloed it stays. Default: the stream's name, so that a line that is
            run again swaps; two players of one model need names.
        then: after a drawing or a piece of text, the ``next`` one, ``stop``, ``repeat`` the same, a list of streams
            that play a drawing each, or a function of the stream that gives the stream to go on with or,
            for the end, None.
        clock: another clock than the machine's monotonic one, such as ``OfflineClock()``.
        beat: beats for a step, on the grid of ``livesketch.clock``: ``1/4`` is four steps a beat.
        pace: another pace: ``ls.pace.speed(0.5)``, ``ls.pace.beats(stroke=1)``, ``ls.pace.human()``.
        quant: when a player of the same name gives way: ``now`` or at the next ``step``, at the end of its ``stroke``
            or ``drawing``, at the next ``beat`` or ``bar``.
        lookahead: seconds that steps are made before they are due, 0 to 60. A change takes back what was not played, so
            it acts on the next step all the same. Many voices are never looked ahead in.
        place: ``live``: the pen starts in the middle of the stage; ``fit``: each drawing is made as a whole and fills
            the stage; ``ls.grid(3, 2)``: the cells of a grid, one after the other.

        engine: ``thread``, of this process; or ``process``: stream, clock and outputs are copied into one of their own,
            which a busy prompt does not hold up. Starting that takes a second or two, once.

    Raises:
        ControlError: something out of range, or nowhere to play to; or what cannot go into another process.
        OutputError: an output that cannot be opened.
    """
    stage_of(stream)
    if engine not in {"thread", "process"}:
        raise ControlError(f"engine {engine!r:.40}: expected 'thread' or 'process'")
    how, pattern = _how(stream, rate, beat, pace, then, lookahead, place)
    if quant not in get_args(Quant):
        raise ControlError(f"quant={quant!r:.40}: expected {', '.join(map(repr, get_args(Quant)))}")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ControlError(f"name {name!r:.60}: expected a word such as 'cat', or None for the stream's name")
    with _changing:
        running = players()
        name = stream.name if name is None else name
        before = running.get(name)
        if engine == "process":
            asked: dict[str, Any] = {
                "rate": rate,
                "beat": beat,
                "pace": pace,
                "name": name,
                "then": then,
                "quant": quant,
            }
            asked |= {"lookahead": lookahead, "place": place}
            return _play_there(stream, to, clock, before, asked)
        if before is not None and not isinstance(before, Player):
            before.stop()
            to, before = to or before.to, None
        if getattr(stream, "lent", None) is not None:
            raise ControlError(
                f"{stream!r:.60} plays in another process; stop that player first, or make another stream"
            )
        outputs = before.to if to is None and before is not None else free_outputs(to or (), before)
        player = Player(stream, outputs, how, name, clock or LiveClock(), _tempo_of(clock))
        if pattern is not None:
            player.rate = pattern
        if before is not None:
            player.follow_on(before)
        _players[name] = player.start(before, quant)
        _heed_solos()
        return player


def _tempo_of(clock: Clock | None) -> Tempo:
    """Every clock but the machine's has a beat of its own, which begins with the first that plays on it."""
    if clock is None:
        return conductor.tempo
    try:
        return _tempos.setdefault(clock, Tempo(conductor.bpm, at=clock.now()))
    except TypeError:  # nothing can hold on to it
        return Tempo(conductor.bpm, at=clock.now())


def _play_there(
    stream: Playable, to: Sequence[Output] | Output | None, clock: Clock | None, before: AnyPlayer | None,
    asked: dict[str, Any],
) -> RemotePlayer:  # fmt: skip
    """``play`` in the other process, under the lock."""
    if clock is not None:
        raise ControlError("clock and engine='process': expected one of them, as that process has a clock of its own")
    if isinstance(before, Player):
        before.stop()
        to = to or before.to
    kept = to is None and before is not None
    outputs = before.to if kept and before is not None else free_outputs(to or (), before)
    player = play_there(stream, outputs, asked, keep=kept)
    if isinstance(before, RemotePlayer):
        _leaving.append(before)
    _players[player.name] = player
    _heed_solos()
    return player


def _how(
    stream: Playable, rate: float | Pattern | None, beat: float | None, pace: Pace | None, then: Then,
    lookahead: float, place: str | Place,
) -> tuple[How, Pattern | None]:  # fmt: skip
    """What was asked for, checked."""
    given = [name for name, value in (("rate", rate), ("beat", beat), ("pace", pace)) if value is not None]
    if len(given) > 1:
        raise ControlError(f"{' and '.join(given)}: expected one of them, as each says when steps are due")
    pattern = rate if callable(rate) else None
    if beat is not None:
        pace = paces.beats(beat)
    elif pace is None and rate is None and callable(getattr(getattr(stream, "pace", None), "seconds", None)):
        pace = stream.pace  # type: ignore[attr-defined] # a recording's own
    elif pace is None:
        pace = paces.steps(60.0 if rate is None or callable(rate) else rate)
    paces.checked_pace(pace)
    wanted = "seconds, 0 to 60"
    if not 0 <= real("lookahead", lookahead, wanted) <= 60:
        raise ControlError(f"lookahead {lookahead!r}: expected {wanted}")
    return How(pace, checked_then(then, stream), lookahead, checked_place(place)), pattern


def free_outputs(to: Sequence[Output] | Output, own: AnyPlayer | None) -> tuple[Output, ...]:
    """The outputs, each once; of none but the player ``own``.

    Raises:
        ControlError: there is none, or one is no output, or in use by another player.
    """
    outputs = _outputs(to)
    for other in players().values():
        held = other.holding() if isinstance(other, Player) else other.to
        shared = [output for output in outputs if other is not own and is_among(output, held)]
        if shared:
            raise ControlError(
                f"to: {shared[0]!r} is in use by the player {other.name!r}; expected an output of its own: make "
                "another, or play under that name"
            )
    return outputs


def _outputs(to: Sequence[Output] | Output) -> tuple[Output, ...]:
    outputs = tuple(to) if isinstance(to, Sequence) else (to,)
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


class Players(dict[str, AnyPlayer]):
    """Players by name, which a prompt shows as a table."""

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("name", "state", "steps", "pace", "late p99", "dropped", "errors", "to")]
        rows += [_row(name, player) for name, player in self.items()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
        lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines) if len(self) else "<nothing plays>"


def _row(name: str, player: AnyPlayer) -> tuple[str, ...]:
    try:
        stats, to = player.stats(), ", ".join(f"{output!r:.40}" for output in player.to)
        state = state_of(player)
        pace = repr(player.pace)
    except Exception as err:  # noqa: BLE001 - a table shows the others
        return name, "gone", "", "", "", "", "", f"{err!r:.60}"
    late = f"{stats.late_p99 * 1000:.1f} ms"
    return name, state, str(stats.steps), pace, late, str(stats.dropped), str(stats.output_errors), to


def state_of(player: AnyPlayer) -> str:
    """``playing``, ``paused``, ``muted`` or ``stopped``."""
    if not player.playing:
        return "stopped"
    return "paused" if player.paused else "muted" if player.muted else "playing"


def players() -> dict[str, AnyPlayer]:
    """The players that play now, by name; a prompt shows them as a table."""
    with _changing:
        for name in [name for name, player in _players.items() if not player.playing]:
            del _players[name]
        for gone in [player for player in _leaving if not player.playing]:
            gone.settle()
            _leaving.remove(gone)
        return Players(_players)


def hush() -> None:
    """Everything stops at a clean place: pens up, outputs closed. Twice is harmless."""
    _stop_all(panic=False)


def panic() -> None:
    """Everything falls silent now, in the middle of whatever it is: notes off, pens up, outputs closed.

    Twice is harmless.
    """
    _stop_all(panic=True)


def _stop_all(*, panic: bool) -> None:
    """Asks all at once, and waits for all at once: 5 s, however many outputs block."""
    known = list(_players.values())  # without the lock: somebody may just be opening an output, for long
    for player in known:
        if isinstance(player, Player):
            player.ask_to_stop(panic=panic)
    if any(isinstance(player, RemotePlayer) for player in (*known, *_leaving)):
        silence_there(panic=panic)  # all of that process
    limit = LiveClock().now() + threads.STOP_LIMIT
    for player in known:  # in a player's own thread this does not wait
        player.stop(within=max(0.0, limit - LiveClock().now()))


def solo(player: AnyPlayer, *, on: bool) -> None:
    """``Player.solo`` and ``unsolo``."""
    with _changing:
        (_soloed.add if on else _soloed.discard)(player.name)
        _heed_solos()


def heed_end() -> None:
    """A player has stopped; its own thread says so. Nothing waits: who holds the lock looks at the players anyway."""
    if _soloed and _changing.acquire(blocking=False):
        try:
            _heed_solos()
        finally:
            _changing.release()


def _heed_solos() -> None:
    """Under the lock."""
    running = players()
    _soloed.intersection_update(running)
    for name, player in running.items():
        player.silence(on=bool(_soloed) and name not in _soloed)


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
    desk = Desk(stream.name, _outputs(to) if to else (), tempo=Tempo(conductor.bpm))
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
    _soloed.clear()
    _leaving.clear()


atexit.register(hush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
