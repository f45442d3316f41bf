"""What a performer types first: play."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

from ..errors import ControlError
from ..outputs.base import Output
from ..patterns import Pattern
from .clock import Clock, LiveClock
from .conductor import clock as conductor
from .course import How, Then
from .pace import Pace
from .place import Place
from .playable import AnyPlayer, Playable, stage_of
from .players import Player
from .relay import Quant
from .remote_player import RemotePlayer, play_there
from .roster import roster
from .tempo import Tempo
from .wish import Wish

_tempos: Final[WeakKeyDictionary[Clock, Tempo]] = WeakKeyDictionary()
"""The beat of clocks other than the machine's."""


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
    wish = Wish(rate, name, then, beat, pace, quant, lookahead, place)
    return start(stream, to, wish, clock, engine)


def start(
    stream: Playable, to: Sequence[Output] | Output | None, wish: Wish, clock: Clock | None = None,
    engine: str = "thread", *, urgent: bool = False, quiet: tuple[bool, bool] = (False, False),
) -> AnyPlayer:  # fmt: skip
    """``play``, where a wish says the rest.

    ``urgent``: its thread shall be before others (``urgency``). ``quiet``: of a player in another process, whose place
    it takes.
    """
    stage_of(stream)
    if engine not in {"thread", "process"}:
        raise ControlError(f"engine {engine!r:.40}: expected 'thread' or 'process'")
    how = wish.checked(stream)
    with roster.changing:
        running = roster.players()
        name = stream.name if wish.name is None else wish.name
        before = running.get(name)
        if engine == "process":
            if clock is not None:
                raise ControlError(
                    "clock and engine='process': expected one of them, as that process has a clock of its own"
                )
            return _start_there(stream, to, replace(wish, name=name), how, before)
        outputs = _outputs(to, before)
        if isinstance(before, RemotePlayer):
            quiet = before.quiet
            before.stop()
            before = None
        if getattr(stream, "lent", None) is not None:
            raise ControlError(
                f"{stream!r:.60} plays in another process; stop that player first, or make another stream"
            )
        player = Player(stream, outputs, how, name, clock or LiveClock(), _tempo_of(clock), urgent=urgent)
        if wish.pattern is not None:
            player.rate = wish.pattern
        assert before is None or isinstance(before, Player)
        player.quiet = quiet
        if before is not None:
            player.follow_on(before)
        roster.add(player.start(before, wish.quant))
        return player


def _tempo_of(clock: Clock | None) -> Tempo:
    """Every clock but the machine's has a beat of its own, which begins with the first that plays on it."""
    if clock is None:
        return conductor.tempo
    try:
        return _tempos.setdefault(clock, Tempo(conductor.bpm, at=clock.now()))
    except TypeError:  # nothing can hold on to it
        return Tempo(conductor.bpm, at=clock.now())


def _start_there(
    stream: Playable, to: Sequence[Output] | Output | None, wish: Wish, how: How, before: AnyPlayer | None
) -> RemotePlayer:
    """``start`` in the other process, under the lock."""
    for other in roster.players().values():
        if other is not before and other.stream is stream:
            raise ControlError(
                f"{stream!r:.60} is played by {other.name!r} here, which could not go on; expected another stream, or "
                f"name={other.name!r} to take its place"
            )
    player = play_there(stream, _outputs(to, before), wish, how, before)
    roster.add(player, before if isinstance(before, RemotePlayer) else None)
    return player


def _outputs(to: Sequence[Output] | Output | None, before: AnyPlayer | None) -> tuple[Output, ...]:
    """Those that are given, or else those of the player whose place is taken."""
    return before.to if to is None and before is not None else roster.free(to or (), before)
