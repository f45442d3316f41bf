"""``livesketch replay``."""

import argparse
import sys
from typing import TYPE_CHECKING

from .common import Commands, add_page, loading, note, number, open_svg
from .midi_options import add_midi, open_midi

if TYPE_CHECKING:
    from ..outputs.base import Output


def _replay(args: argparse.Namespace) -> None:
    with loading():
        from ..outputs.osc import osc  # noqa: PLC0415 - loads NumPy
        from ..outputs.terminal import terminal  # noqa: PLC0415 - likewise
        from ..player.performance import play  # noqa: PLC0415 - likewise
        from ..player.remake import remake  # noqa: PLC0415 - likewise
        from ..player.replay import Recorded, replay  # noqa: PLC0415 - likewise

    if args.check:
        found = remake(args.trace, args.model, args.name)
        if found.first_difference:
            note(f"livesketch: {found.first_difference}")
            raise SystemExit(1)
        print(f"{found.events} events made again, {found.given} of them given: all the same")
        return
    recorded = replay(args.trace, args.name)
    outputs: list[Output] = [osc(target) for target in args.osc]
    if args.output:
        outputs.append(open_svg(args, args.output))
    outputs += open_midi(args, writes=recorded.writes)
    if not args.quiet and sys.stderr is not None:
        outputs.append(terminal(sys.stderr))
    with play(recorded, outputs, pace=Recorded(args.times), lookahead=0.0) as player:
        player.wait(args.seconds)
    fault = player.fault()
    if fault is not None:
        raise fault
    for trouble in player.troubles():
        note(f"warning: {trouble}")
    print(f"{player.name}: {player.stats().steps} steps")


def add(commands: Commands) -> None:
    """The command's options."""
    replay = commands.add(
        "replay",
        _replay,
        "play a recording of ls.trace again, or check that it can be made again",
        "livesketch replay cat.jsonl --osc 127.0.0.1:9000\n  livesketch replay cat.jsonl --check",
    )
    replay.add_argument("trace", metavar="TRACE", help="a file of livesketch.trace")
    replay.add_argument("--name", help="of several plays in it (default: the first)")
    replay.add_argument("--osc", action="append", default=[], metavar="HOST:PORT", help="a receiver; may be repeated")
    replay.add_argument("--times", type=number(float, 1e-3), default=1.0, metavar="X", help="times as fast")
    replay.add_argument("--seconds", type=number(float, 0), help="stop after so long (default: its end)")
    replay.add_argument("--quiet", action="store_true", help="nothing in the terminal")
    replay.add_argument("-o", "--output", metavar="FILE", help="also write an SVG file")
    replay.add_argument("--check", action="store_true", help="make it again from seed and controls, and compare")
    replay.add_argument("--model", help="with --check: the model, where its recorded name is not enough")
    add_page(replay)
    add_midi(replay)
