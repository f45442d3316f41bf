"""``livesketch draw``."""

import argparse
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ControlError
from .common import Commands, add_model, add_page, cut_note, loading, note, number, open_stream, open_svg

if TYPE_CHECKING:
    from ..jobs.run import Order, Tally

_FEW: Final = 64
"""So many drawings on a page take no time: they are drawn by one voice, and nothing is kept beside the page."""

_STROKES: Final = (".jsonl", ".npz")
_STANDARD: Final = ("-", "/dev/stdout")


def _draw(args: argparse.Namespace) -> None:
    if _is_bulk(args):
        _draw_many(args)
        return
    from ..outputs.progress import Progress  # noqa: PLC0415 - --help must not wait for NumPy
    from ..player.offline import draw  # noqa: PLC0415 - likewise

    stream = open_stream(args)
    path = _path(args, stream.name)
    output = open_svg(args, path)
    count = args.number or 1
    drawings = draw(stream, to=[output, Progress(count)], n=count)
    cut = sum(not drawing.actions[-1].ended for drawing in drawings)
    cut_note(cut, len(drawings), stream.checkpoint.max_steps)
    summary = f"{path}: {len(drawings)} x {stream.name}, seed {stream.seed}"
    if path in _STANDARD:  # the page itself is there
        note(summary)
    else:
        print(summary)


def _path(args: argparse.Namespace, name: str) -> str:
    """The output; the name is the model file's: it names no folder."""
    path: str = args.output or re.sub(r"[^\w -]", "-", name) + ".svg"
    return path


def _is_bulk(args: argparse.Namespace) -> bool:
    """Whether it is a run: by many voices, kept as it goes on, and resumed."""
    output = args.output or ""
    asked = (args.range, args.voices, args.processes, args.cluster)
    if any(value is not None for value in asked) or output.endswith((os.sep, "/", *_STROKES)):
        return True
    return (args.number or 1) >= _FEW and output not in _STANDARD and (not output or not _is_special(output))


def _is_special(output: str) -> bool:
    """Whether it is a pipe or device, which nothing can be kept beside."""
    try:
        return Path(output).exists() and not Path(output).is_file()
    except (OSError, ValueError):
        return False


def _draw_many(args: argparse.Namespace) -> None:
    from ..jobs.run import run  # noqa: PLC0415 - --help must not wait for NumPy
    from ..outputs.progress import Progress  # noqa: PLC0415 - likewise

    order = _order(args)
    progress, reached = Progress(len(order.numbers)), [0]

    def count(done: int) -> None:
        reached[0] = done
        progress.count(done)

    with _how_to_go_on(args, order, reached):
        try:
            tally = run(order, count)
        finally:
            progress.close()
    _told(args, order, tally)


def _order(args: argparse.Namespace) -> "Order":
    with loading():
        from ..jobs.run import Order, begun_with  # noqa: PLC0415 - --help must not wait for NumPy
        from ..paper import make_page  # noqa: PLC0415 - likewise
        from ..streams.bulk import NUMBERS, subject_of  # noqa: PLC0415 - likewise

    if args.range is not None and args.number is not None:
        raise ControlError("-n and --range: expected one of them, as a range says how many; leave -n out")
    if args.range is not None and args.seed is None:
        raise ControlError("--range without --seed: expected a seed, the same for all ranges; give --seed 7")
    if args.processes is not None and args.cluster is not None:
        raise ControlError("--processes and --cluster: expected one of them; a cluster has its own processes")
    numbers = range(args.number or 1) if args.range is None else args.range
    if numbers.stop > NUMBERS:
        raise ControlError(f"drawings up to {numbers.stop}: expected at most {NUMBERS}; take another seed for more")
    page = make_page(args.page, landscape=args.landscape, margin=args.margin, pen_width=args.pen_width)
    how: Any = {"temperature": args.temperature, "convention": args.convention or "js", "backend": args.backend}
    subject = subject_of(args.model, args.seed, **how)
    path = _path(args, subject.name)
    is_folder = path.endswith((os.sep, "/"))
    before = begun_with(Path(path), is_folder=is_folder) if args.seed is None else None
    if before is not None:
        subject = subject_of(args.model, before, **how)
    return Order(
        subject=subject, numbers=numbers, output=Path(path), folder=is_folder, page=page, color=args.color,
        voices=args.voices, processes=args.processes or 1, cluster=args.cluster,
    )  # fmt: skip


@contextlib.contextmanager
def _how_to_go_on(args: argparse.Namespace, order: "Order", reached: list[int]) -> Iterator[None]:
    """Where a run is stopped by hand: what is done, and with which seed it goes on."""
    try:
        yield
    except BaseException as err:
        if reached[0] and not isinstance(err, Exception):
            seed = "" if args.seed is not None else f", also without --seed {order.subject.seed}"
            note(f"{reached[0]} of {len(order.numbers)} drawings are kept; the same command goes on{seed}")
        raise


def _told(args: argparse.Namespace, order: "Order", tally: "Tally") -> None:
    own = order.subject
    if tally.before:
        note(f"{tally.before} of {len(order.numbers)} drawings were there already")
    cut_note(tally.cut, tally.drawn, own.checkpoint.max_steps)
    if tally.empty:
        where = "their pages are empty" if order.folder else "they are left out"
        note(f"{tally.empty} of {tally.drawn} drawings have no line: {where}")
    of = "" if args.range is None else f" ({args.range.start} to {args.range.stop - 1})"
    print(f"{args.output or order.output}: {len(order.numbers)} x {own.name}{of}, seed {own.seed}")


def _numbers(text: str) -> range:
    """An argparse type: ``A:B`` or ``A:+N``."""
    match = re.fullmatch(r"(\d{1,12}):(\+?)(\d{1,12})", text)
    first = int(match[1]) if match else 0
    last = (first if match[2] else 0) + int(match[3]) if match else 0
    if first >= last:
        raise argparse.ArgumentTypeError(
            f"{text}: expected FIRST:END, END not included, or FIRST:+COUNT; 2000:3000 and 2000:+1000 are the same"
        )
    return range(first, last)


def add(commands: Commands) -> None:
    """The command's options."""
    draw = commands.add(
        "draw", _draw, "draw to files as fast as possible", "livesketch draw cat -n 12 --seed 7 -o cats.svg"
    )
    add_model(draw)
    draw.add_argument("-n", "--number", type=number(int, 1), metavar="N", help="how many drawings (default 1)")
    add_page(draw)
    draw.add_argument(
        "-o", "--output", metavar="FILE",
        help="a page with all, FILE.svg (default MODEL.svg); strokes, FILE.jsonl or FILE.npz; a page each, FOLDER/",
    )  # fmt: skip
    many = draw.add_argument_group("many", "a run that is stopped goes on when the same command is given again")
    many.add_argument(
        "--range", type=_numbers, metavar="A:B", help="drawings A to B - 1 of the seed, or A:+N, in place of -n"
    )
    many.add_argument("--voices", type=number(int, 1, 2**20), metavar="N", help="drawings at a time (default: chosen)")
    many.add_argument("--processes", type=number(int, 1, 1024), metavar="N", help="on this machine (default 1)")
    many.add_argument("--cluster", metavar="ADDRESS", help="draw on a Dask cluster, by its scheduler's address")
