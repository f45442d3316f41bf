"""``livesketch draw``."""

import argparse
import re

from .common import Commands, add_model, add_page, cut_note, note, number, open_stream, open_svg


def _draw(args: argparse.Namespace) -> None:
    from ..outputs.progress import Progress  # noqa: PLC0415 - likewise
    from ..player.offline import draw  # noqa: PLC0415 - likewise

    stream = open_stream(args)
    path = (
        args.output or re.sub(r"[^\w -]", "-", stream.name) + ".svg"
    )  # the name is the model file's: it names no folder
    output = open_svg(args, path)
    drawings = draw(stream, to=[output, Progress(args.number)], n=args.number)
    cut = sum(not drawing.actions[-1].ended for drawing in drawings)
    cut_note(cut, len(drawings), stream.checkpoint.max_steps)
    summary = f"{path}: {len(drawings)} x {stream.name}, seed {stream.seed}"
    if path in {"-", "/dev/stdout"}:  # the page itself is there
        note(summary)
    else:
        print(summary)


def add(commands: Commands) -> None:
    """The command's options."""
    draw = commands.add(
        "draw", _draw, "draw to an SVG file as fast as possible", "livesketch draw cat -n 12 --seed 7 -o cats.svg"
    )
    add_model(draw)
    draw.add_argument(
        "-n", "--number", type=number(int, 1), default=1, metavar="N", help="how many drawings (default 1)"
    )
    add_page(draw)
    draw.add_argument("-o", "--output", metavar="FILE", help="the SVG file (default MODEL.svg)")
