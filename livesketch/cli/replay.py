"""``livesketch replay``."""

import argparse
import contextlib
import sys
import time
from typing import TYPE_CHECKING

from ..errors import ControlError, DataError
from .common import Commands, add_page, loading, note, number, open_svg
from .midi_options import add_midi, open_midi

if TYPE_CHECKING:
    from ..outputs.base import Output
    from ..player.playable import AnyPlayer
    from ..player.remake import Remade
    from ..player.replay import Replay


def _replay(args: argparse.Namespace) -> None:
    with loading():
        from ..player.performance import play  # noqa: PLC0415 - loads NumPy
        from ..player.replay import Recorded, replay, replays  # noqa: PLC0415 - likewise

    if args.check:
        _check(args)
        return
    if args.name is None and args.part is None:
        found = list(replays(args.trace).values())
    else:
        found = [replay(args.trace, args.name, args.part)]
    one_page = [option for option, value in (("-o", args.output), ("--mid", args.mid)) if value is not None]
    if len(found) > 1 and one_page:
        raise ControlError(
            f"{', '.join(one_page)}: a file for one name, and {', '.join(repr(one.name) for one in found[:8])} play; "
            "expected --name with it"
        )
    with contextlib.ExitStack() as until_the_end:
        # all outputs first: those that play together begin together
        ready = [(one, _outputs(args, one, alone=len(found) == 1)) for one in found]
        players = [
            until_the_end.enter_context(play(one, outputs, pace=Recorded(args.times), lookahead=0.0))
            for one, outputs in ready
        ]
        end = None if args.seconds is None else time.monotonic() + args.seconds
        for player in players:
            player.wait(None if end is None else max(0.0, end - time.monotonic()))
    for player in players:
        _tell(player)


def _outputs(args: argparse.Namespace, one: "Replay", *, alone: bool) -> "list[Output]":
    """Where one name of the recording goes to."""
    from ..outputs.osc import osc  # noqa: PLC0415 - loads NumPy
    from ..outputs.terminal import terminal  # noqa: PLC0415 - likewise

    outputs: list[Output] = [osc(target) for target in args.osc]
    if args.output:
        outputs.append(open_svg(args, args.output))
    outputs += open_midi(args, writes=one.writes)
    if alone and not args.quiet and sys.stderr is not None:
        outputs.append(terminal(sys.stderr))
    if not outputs:
        raise ControlError(f"nowhere to play {one.name!r} and the others to; expected --osc or --midi, or one --name")
    return outputs


def _tell(player: "AnyPlayer") -> None:
    """What came of it."""
    fault = player.fault()
    if fault is not None:
        raise fault
    for trouble in player.troubles():
        note(f"warning: {trouble}")
    print(f"{player.name}: {player.stats().steps} steps")


def _check(args: argparse.Namespace) -> None:
    from ..player.remake import remake  # noqa: PLC0415 - loads NumPy

    models = [word.partition("=") for word in args.model]
    named = {name: model for name, equals, model in models if equals}
    alone = [name for name, equals, _ in models if not equals]
    if len(alone) > 1 or (alone and named):
        raise ControlError(f"--model {' '.join(args.model)}: expected one model, or only NAME=MODEL")
    found = remake(args.trace, alone[0] if alone else named, args.name, args.part, args.backend)
    for one in found:
        print(_said(one))
    if any(one.first_difference for one in found):
        note(
            "livesketch: not all came out the same: if it was another model or backend than here, give --model or "
            "--backend"
        )
        raise SystemExit(1)
    if not any(one.events for one in found):
        raise DataError(f"{args.trace}: nothing in it can be made again; {found[0].unchecked}")


def _said(one: "Remade") -> str:
    """One line on a part."""
    head = f"part {one.part}: {one.name!r}, {one.model}, seed {one.seed}: "
    if one.unchecked:
        none = f" ({one.left_out} events)" if one.left_out else ""
        return f"{head}not checked{none}: {one.unchecked}"
    rest = f"; {one.left_out} not checked, of drawings or pieces that were not recorded whole" if one.left_out else ""
    same = f"different: {one.first_difference}" if one.first_difference else "all the same"
    return f"{head}{one.events} events made again, {one.given} of them given: {same}{rest}"


def add(commands: Commands) -> None:
    """The command's options."""
    replay = commands.add(
        "replay",
        _replay,
        "play a recording of ls.trace again, or check that it can be made again",
        "livesketch replay cat.jsonl --osc 127.0.0.1:9000\n  livesketch replay cat.jsonl --check",
    )
    replay.add_argument("trace", metavar="TRACE", help="a file of livesketch.trace")
    replay.add_argument("--name", help="only what was played under this name (default: all)")
    replay.add_argument(
        "--part", type=number(int, 1), metavar="N", help="only this part of the file, from 1: each swap begins one"
    )
    replay.add_argument("--osc", action="append", default=[], metavar="HOST:PORT", help="a receiver; may be repeated")
    replay.add_argument("--times", type=number(float, 1e-3), default=1.0, metavar="X", help="times as fast")
    replay.add_argument("--seconds", type=number(float, 0), help="stop after so long (default: its end)")
    replay.add_argument("--quiet", action="store_true", help="nothing in the terminal")
    replay.add_argument("-o", "--output", metavar="FILE", help="also write an SVG file")
    replay.add_argument("--check", action="store_true", help="make it again from seeds and controls, and compare")
    replay.add_argument(
        "--model", action="append", default=[], metavar="[NAME=]MODEL",
        help="with --check: the model, or that of one recorded name, where the name is not enough; may be repeated",
    )  # fmt: skip
    replay.add_argument("--backend", default="auto", help="with --check: which made it (default: auto)")
    add_page(replay)
    add_midi(replay)
