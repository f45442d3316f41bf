"""``livesketch play``."""

import argparse
import sys
from typing import TYPE_CHECKING

from .common import Commands, add_model, add_page, cut_note, note, number, open_stream, open_svg

if TYPE_CHECKING:
    from ..outputs.base import Output


def _play(args: argparse.Namespace) -> None:
    from ..outputs.osc import osc  # noqa: PLC0415 - likewise
    from ..outputs.terminal import terminal  # noqa: PLC0415 - likewise
    from ..player.performance import play  # noqa: PLC0415 - likewise

    outputs: list[Output] = [osc(target) for target in args.osc]
    if args.output:
        outputs.append(open_svg(args, args.output))
    if not args.quiet and sys.stderr is not None:
        outputs.append(terminal(sys.stderr))
    stream = open_stream(args)
    with play(stream, outputs, args.rate, args.name) as player:
        player.wait(args.seconds)
    stats = player.stats()
    cut_note(stats.cut, stats.drawings, stream.checkpoint.max_steps)
    fault = player.fault()
    if fault is not None:
        raise fault
    for trouble in player.troubles():
        note(f"warning: {trouble}")
    print(f"{player.name}: {stats.steps} steps, {stats.drawings} drawings, seed {stream.seed}")


def add(commands: Commands) -> None:
    """The command's options."""
    play = commands.add(
        "play",
        _play,
        "play live, over OSC and in the terminal",
        "livesketch play cat --osc 127.0.0.1:9000 --seconds 20",
    )
    add_model(play)
    play.add_argument("--osc", action="append", default=[], metavar="HOST:PORT", help="a receiver; may be repeated")
    play.add_argument("--rate", type=float, default=60.0, help="steps per second (default 60)")
    play.add_argument("--seconds", type=number(float, 0), help="stop after so long (default: Ctrl-C)")
    play.add_argument("--name", help="in the OSC addresses (default: the model's)")
    play.add_argument("--quiet", action="store_true", help="no drawing in the terminal")
    add_page(play)
    play.add_argument("-o", "--output", metavar="FILE", help="also write an SVG file")
