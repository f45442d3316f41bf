"""``livesketch morph``."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ControlError, DataError
from .common import Commands, add_model, add_page, note, number, open_stream

if TYPE_CHECKING:
    from ..paper import Sketch
    from ..streams.sketch import SketchStream

_CELL: Final = 40.0  # mm for each drawing, where no page is asked for
_WIDEST: Final = 10  # drawings in a row
_GIVEN: Final = "dimgray"  # what was not drawn by the model, a layer of its own
_EXAMPLES: Final = """livesketch morph cat pig -n 7 -o row.svg             from the model's own label to another
  livesketch morph cat pig sailboat -o row.svg         from one label to another
  livesketch morph cat cats.npz:0 cats.npz:3           from the file's first drawing to its fourth
  livesketch morph cat cats.npz:0 --near 4 -n 12       what lies around a drawing
  livesketch morph cat --analogy a.npz b.npz c.npz     what is to c as b is to a
  livesketch morph cat --reconstruct cats.npz -n 5     drawings, each with what the model makes of it"""


@dataclass(frozen=True)
class _Place:
    """Where a drawing is: its label and its latent."""

    shares: dict[str, float]
    """Of labels; empty for a model without."""
    z: Any
    """(z_size,)"""
    rows: Any = None
    """Of a drawing from a file."""


def _read(text: str) -> list[Any]:
    """The drawings of FILE, or the one of FILE:NUMBER; of a data set in splits, its test drawings."""
    from ..data.sketch_npz import read_sketch_npz  # noqa: PLC0415 - --help must not wait for NumPy
    from ..data.sources import is_data_set  # noqa: PLC0415 - likewise
    from ..stroke_files import load_strokes  # noqa: PLC0415 - likewise

    match = re.fullmatch(r"(.+\.(?:npz|jsonl)):(\d+)", text)
    path = Path(match[1] if match else text)
    drawings: Sequence[Any] = read_sketch_npz(path).test if is_data_set(path) else load_strokes(path)
    if not match and drawings:
        return list(drawings)
    if not match or int(match[2]) >= len(drawings):
        raise DataError(f"{text}: the file holds {len(drawings)} drawings; they are counted from 0")
    return [drawings[int(match[2])]]


def _place(stream: "SketchStream", text: str) -> _Place:
    own = stream.label
    shares = {own: 1.0} if isinstance(own, str) else {}
    if re.search(r"\.(npz|jsonl)(:\d+)?$", text):
        rows = _read(text)[0]
        return _Place(shares, stream.encode(rows), rows)
    if not stream.labels:
        raise ControlError(
            f"{text!r}: model {stream.name!r} has no labels to go to; expected a file of strokes, such as cats.npz:0"
        )
    stream.label = text
    found = stream.label
    assert isinstance(found, str)
    stream.label = shares
    return _Place({found: 1.0}, stream.z)


def _mixed(parts: Sequence[tuple[_Place, float]]) -> dict[str, float]:
    out: dict[str, float] = {}
    for place, share in parts:
        for label, one in place.shares.items():
            out[label] = out.get(label, 0.0) + one * share
    return {label: share for label, share in out.items() if share}


def _draw(stream: "SketchStream", place: _Place, *, again: bool = True) -> "Sketch":
    """The stream's drawing there, with the same random numbers each time, or the next ones; as a layer of its own."""
    from ..paper import Sketch  # noqa: PLC0415 - likewise
    from ..strokes import to_polylines  # noqa: PLC0415 - likewise

    if place.shares:
        stream.label = place.shares
    if len(place.z):
        stream.z = place.z
    if again:
        stream.restart()
    return Sketch(to_polylines(list(stream.drawing())) or [[[0, 0]]])  # a dot where nothing is drawn keeps its cell


def _given(rows: Any) -> "Sketch":
    import numpy as np  # noqa: PLC0415 - likewise

    from ..paper import Sketch  # noqa: PLC0415 - likewise

    points = np.concatenate([np.zeros((1, 2)), np.cumsum(rows[:, :2], axis=0)])
    lines = np.split(points, np.flatnonzero(rows[:, 2]) + 2)
    return Sketch([line for line in lines if len(line)], layer=1)


def _between(stream: "SketchStream", args: argparse.Namespace) -> tuple[list["Sketch"], int, str]:
    from ..latents import slerp  # noqa: PLC0415 - likewise

    if len(args.places) not in {1, 2}:
        raise ControlError(
            f"{len(args.places)} places after the model: expected where to go, or from where to where, each a label or "
            "a file of strokes, or one of --near, --analogy, --reconstruct; see livesketch morph --help"
        )
    start, end = _ends(stream, args.places)
    count, sketches = args.number or 7, []
    for k in range(count):
        t = k / max(1, count - 1)
        z = slerp(start.z, end.z, t) if len(start.z) else start.z
        sketches.append(_draw(stream, _Place(_mixed([(start, 1 - t), (end, t)]), z)))
    names = args.places if len(args.places) == 2 else [stream.name, *args.places]
    return sketches, min(count, _WIDEST), f"{count} drawings from {names[0]} to {names[1]}"


def _ends(stream: "SketchStream", places: list[str]) -> tuple[_Place, _Place]:
    *first, last = places
    end = _place(stream, last)
    return (_place(stream, first[0]) if first else _own(stream)), end


def _own(stream: "SketchStream") -> _Place:
    own = stream.label
    return _Place({own: 1.0} if isinstance(own, str) else {}, stream.z)


def _near(stream: "SketchStream", args: argparse.Namespace) -> tuple[list["Sketch"], int, str]:
    from ..latents import near  # noqa: PLC0415 - likewise

    if len(args.places) > 1:
        raise ControlError(f"--near with {len(args.places)} places: expected one at most, the middle")
    middle = _place(stream, args.places[0]) if args.places else _own(stream)
    if not len(middle.z):
        raise ControlError(f"--near: model {stream.name!r} has no latent; take one with a z_size, or go between labels")
    count = args.number or 12
    points = [middle.z, *near(middle.z, args.near, count, stream.seed)]
    sketches = [_draw(stream, _Place(middle.shares, z)) for z in points]
    said = args.places[0] if args.places else stream.name
    return sketches, math.ceil(math.sqrt(count + 1)), f"{said} and {count} drawings at the distance {args.near:g}"


def _analogy(stream: "SketchStream", args: argparse.Namespace) -> tuple[list["Sketch"], int, str]:
    from ..latents import analogy  # noqa: PLC0415 - likewise

    _no_places(args, "--analogy")
    a, b, c = (_place(stream, text) for text in args.analogy)
    z = analogy(a.z, b.z, c.z) if len(a.z) else a.z
    answer = _Place(_mixed([(c, 1.0), (b, 1.0), (a, -1.0)]), z)
    sketches = [_draw(stream, place) if place.rows is None else _given(place.rows) for place in (a, b, c)]
    count = args.number or 1
    sketches += [_draw(stream, answer, again=not k) for k in range(count)]
    first, second, third = args.analogy
    return sketches, min(count + 3, _WIDEST), f"{first} is to {second} as {third} is to {count} x the last"


def _reconstruct(stream: "SketchStream", args: argparse.Namespace) -> tuple[list["Sketch"], int, str]:
    _no_places(args, "--reconstruct")
    drawings = _read(args.reconstruct)[: args.number or 12]
    shares = _own(stream).shares
    sketches = []
    for rows in drawings:
        sketches += [_given(rows), _draw(stream, _Place(shares, stream.encode(rows)))]
    said = f"{len(drawings)} of {args.reconstruct}, each with its reconstruction"
    return sketches, min(len(sketches), _WIDEST), said


def _no_places(args: argparse.Namespace, option: str) -> None:
    if args.places:
        raise ControlError(f"{option} with the place {args.places[0]!r}: expected no place beside it; leave it out")


def _one_label(model: str) -> str:
    """The name of a file of many labels with the first of them, which stands for the model's own."""
    from ..models.checkpoint import read_header  # noqa: PLC0415 - likewise

    path = Path(model)
    labels = read_header(path).labels if path.suffix == ".safetensors" and path.is_file() else ()
    return f"{model}#{labels[0]}" if labels else model


def _morph(args: argparse.Namespace) -> None:
    args.model = _one_label(args.model)
    stream = open_stream(args)
    if args.reconstruct is not None:
        sketches, columns, said = _reconstruct(stream, args)
    elif args.analogy is not None:
        sketches, columns, said = _analogy(stream, args)
    else:
        sketches, columns, said = (_between if args.near is None else _near)(stream, args)
    path = args.output or re.sub(r"[^\w -]", "-", stream.name) + "-morph.svg"
    _write(path, _page(args, sketches, columns, _about(stream, said)))
    summary = f"{path}: {said}, seed {stream.seed}"
    if path == "-":  # the page itself is there
        note(summary)
    else:
        print(summary)


def _about(stream: "SketchStream", said: str) -> dict[str, str]:
    words = " ".join(re.split(r"[\\/]", word)[-1] for word in said.split(" "))  # no folders in the bytes
    temperature = {"temperature": repr(stream.temperature), "convention": stream.convention}
    return {"model": stream.name, "seed": str(stream.seed), **temperature, "morph": words}


def _page(args: argparse.Namespace, sketches: list["Sketch"], columns: int, about: dict[str, str]) -> str:
    from ..paper import check_color, length_mm, make_page, page_svg  # noqa: PLC0415 - likewise

    size = args.page
    if size is None:
        edge = 2 * length_mm(args.margin)
        width, height = (_CELL * count + edge for count in (columns, math.ceil(len(sketches) / columns)))
        size = f"{width:.3f}x{height:.3f}mm"
    page = make_page(size, landscape=args.landscape, margin=args.margin, pen_width=args.pen_width)
    return page_svg(sketches, page, colors=[check_color(args.color), _GIVEN], about=[about], columns=columns)


def _write(path: str, text: str) -> None:
    from ..files import replacing  # noqa: PLC0415 - likewise

    if path == "-":
        sys.stdout.write(text)
        return
    with replacing(path) as stream:
        stream.write(text.encode())


def add(commands: Commands) -> None:
    """The command's options."""
    morph = commands.add("morph", _morph, "drawings between, around and beyond others, on one page", _EXAMPLES)
    add_model(morph, temperature=0.3)
    morph.add_argument(
        "places", nargs="*", metavar="PLACE",
        help="where to go, or from where to where: a label of the model, or a drawing of yours, FILE.npz or FILE.jsonl "
        "with :NUMBER after it, from 0; of a data set such as Quick, Draw!'s, its test drawings",
    )  # fmt: skip
    way = morph.add_mutually_exclusive_group()
    way.add_argument(
        "--near", type=number(float, 0, 1000), metavar="RADIUS", help="around PLACE, or the model's own; 1 is close by"
    )
    way.add_argument("--analogy", nargs=3, metavar=("A", "B", "C"), help="what is to C as B is to A; places, as above")
    way.add_argument("--reconstruct", metavar="FILE", help="each drawing of the file, grey, and the model's own of it")
    morph.add_argument(
        "-n", "--number", type=number(int, 1, 1000), metavar="N",
        help="how many drawings (default 7 between, 12 near, 12 of FILE, 1 answer to an analogy)",
    )  # fmt: skip
    add_page(morph, None, "as large as the drawings, 40 mm each")
    morph.add_argument("-o", "--output", metavar="FILE", help="the SVG file (default MODEL-morph.svg)")
