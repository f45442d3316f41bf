"""``livesketch play``."""

import argparse
import contextlib
import sys
import time
from typing import TYPE_CHECKING

from ..errors import ControlError
from .common import Commands, add_model, add_page, cut_note, loading, note, number, open_stream, open_svg
from .midi_options import add_midi, open_midi
from .text_options import add_text, given_of, open_text_stream

if TYPE_CHECKING:
    from ..outputs.base import Output
    from ..player.playable import AnyPlayer
    from ..streams.sketch import SketchStream
    from ..streams.text import TextStream

_RATE, _TEXT_RATE = 60.0, 8.0


def _play(args: argparse.Namespace) -> None:
    with loading():
        from ..models.catalogue import open_any  # noqa: PLC0415 - loads NumPy
        from ..models.text_model import TextCheckpoint  # noqa: PLC0415 - likewise
        from ..outputs.osc import osc  # noqa: PLC0415 - likewise
        from ..outputs.preview import preview  # noqa: PLC0415 - likewise
        from ..outputs.terminal import terminal  # noqa: PLC0415 - likewise

    outputs: list[Output] = [osc(target) for target in args.osc]
    writes = isinstance(open_any(args.model), TextCheckpoint)
    _check(args, writes=writes)
    if args.output:
        outputs.append(open_svg(args, args.output))
    outputs += open_midi(args, writes=writes)
    if args.preview:
        outputs.append(preview())
    if not args.quiet and sys.stderr is not None:
        outputs.append(terminal(sys.stderr))
    if writes:
        _perform(open_text_stream(args), outputs, args, "pieces", _TEXT_RATE)
    else:
        _perform(open_stream(args), outputs, args, "drawings", _RATE)


def _check(args: argparse.Namespace, *, writes: bool) -> None:
    """ControlError: an option that this kind of model does not have."""
    drawing = {"--convention": args.convention, "--output": args.output}
    given = [option for option, value in drawing.items() if value is not None] if writes else given_of(args)
    if given:
        does, other = ("writes", "draw") if writes else ("draws", "write")
        more = "; for a page: livesketch write --handwrite" if "--output" in given else ""
        raise ControlError(f"{', '.join(given)}: for models that {other}, and {args.model} {does}; leave it out{more}")


def _perform(
    stream: "SketchStream | TextStream", outputs: "list[Output]", args: argparse.Namespace, parts: str, rate: float
) -> None:
    """Plays it until Ctrl-C or as long as was asked for; ``parts`` are what it makes, in the plural."""
    from ..player.performance import play  # noqa: PLC0415 - loads NumPy

    with contextlib.ExitStack() as until_the_end:
        if args.listen is not None:
            _listen(args, until_the_end)
        playing = [play(stream, outputs, rate if args.rate is None else args.rate, args.name)]
        try:
            try:
                _wait(playing, args.seconds)
            finally:
                playing[-1].stop()
        except BaseException:  # Ctrl-C: the seed draws it again
            note(_summary(playing[-1], parts))
            raise
    player = playing[-1]
    stats = player.stats()
    cut_note(stats.cut, stats.drawings, player.stream.checkpoint.max_steps, parts)
    fault = player.fault()
    if fault is not None:
        raise fault
    for trouble in player.troubles():
        note(f"warning: {trouble}")
    print(_summary(player, parts))


def _listen(args: argparse.Namespace, until_the_end: contextlib.ExitStack) -> None:
    """Listens to OSC on the port that was asked for."""
    from ..remote.listening import listen  # noqa: PLC0415 - loads NumPy

    listener = until_the_end.enter_context(listen(int(args.listen)))

    def tell() -> None:
        if listener.errors or listener.dropped:
            note(f"warning: {listener!r}")

    until_the_end.callback(tell)
    note(f"listening on {listener.host} port {listener.port}")


def _wait(playing: "list[AnyPlayer]", seconds: float | None) -> None:
    """Waits until it is over, or so long; players that take over, as /swap makes them, are added to the list."""
    from ..player.roster import players  # noqa: PLC0415 - likewise

    end = None if seconds is None else time.monotonic() + seconds
    while playing[-1].wait(None if end is None else max(0.0, end - time.monotonic())):
        after = players().get(playing[-1].name)
        if after is None:
            return
        playing.append(after)


def _summary(player: "AnyPlayer", parts: str) -> str:
    stats = player.stats()
    return f"{player.name}: {stats.steps} steps, {stats.drawings} {parts}, seed {player.stream.seed}"


def add(commands: Commands) -> None:
    """The command's options."""
    play = commands.add(
        "play",
        _play,
        "play live, over OSC and MIDI and in the terminal",
        "livesketch play cat --osc 127.0.0.1:9000 --seconds 20\n  livesketch play wuyan --form 五绝 --rate 4\n"
        "  livesketch play cat --midi fluid --preset mpe --scale dorian",
    )
    add_model(play, temperature=None, said="0.65, of texts 1")
    play.add_argument("--osc", action="append", default=[], metavar="HOST:PORT", help="a receiver; may be repeated")
    play.add_argument(
        "--listen", type=number(int, 0, 65535), metavar="PORT",
        help="be played over OSC on this port, by this machine only: see docs/osc.md",
    )  # fmt: skip
    play.add_argument("--preview", action="store_true", help="in a window; f: the whole screen, Esc: back")
    play.add_argument("--rate", type=float, help=f"steps per second (default {_RATE:g}, of texts {_TEXT_RATE:g})")
    play.add_argument("--seconds", type=number(float, 0), help="stop after so long (default: Ctrl-C)")
    play.add_argument("--name", help="in the OSC addresses (default: the model's)")
    play.add_argument("--quiet", action="store_true", help="nothing in the terminal")
    add_midi(play)
    text = play.add_argument_group("models that write")
    add_text(text)
    drawn = play.add_argument_group("models that draw")
    add_page(drawn)
    drawn.add_argument("-o", "--output", metavar="FILE", help="also write an SVG file")
