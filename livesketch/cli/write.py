"""``livesketch write``."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .common import Commands, add_page, loading, note, number, open_svg

if TYPE_CHECKING:
    from ..events import Token
    from ..streams.drawing import Piece
    from ..streams.text import TextStream

_LAYOUTS: Final = {"五绝": (6, 4), "七绝": (8, 4), "五律": (6, 8), "七律": (8, 8)}
"""Cells in a line and lines of a page, by form."""


def _write(args: argparse.Namespace) -> None:
    stream = _open(args)
    printed = _printed(stream, args)
    costs = [token.cost for token in printed] if args.handwrite is None else _handwritten(stream, printed, args)
    if args.form is not None:
        written = max(1, args.number)
        note(f"the form took {sum(costs) / written:.2f} nats a piece, {sum(costs) / max(1, len(costs)):.3f} a token")
    note(f"{args.number} x {stream.name}, seed {stream.seed}")


def _open(args: argparse.Namespace) -> "TextStream":
    with loading():
        from ..streams.text import text  # noqa: PLC0415 - --help must not wait for a backend

        if args.backend in {"auto", "cpu"}:
            from ..backends import cpu  # noqa: F401, PLC0415 - likewise

    return text(
        args.model, seed=args.seed, temperature=args.temperature, mode=args.mode, form=args.form, rhyme=args.rhyme,
        tones=args.tones, top_k=args.top_k, top_p=args.top_p, min_p=args.min_p, backend=args.backend,
    )  # fmt: skip


def _begun(stream: "TextStream", args: argparse.Namespace) -> "Piece":
    """The next piece, begun as the options say."""
    if args.first_line is not None:
        return stream.first_line(args.first_line, unknown=args.unknown)
    if args.start is not None:
        return stream.start(args.start, unknown=args.unknown)
    if args.acrostic is not None:
        return stream.acrostic(args.acrostic, unknown=args.unknown)
    if args.prompt is not None:
        return stream.prompt(args.prompt, unknown=args.unknown)
    return stream.random_line() if args.random else stream.piece()


def _printed(stream: "TextStream", args: argparse.Namespace) -> "Iterator[Token]":
    """The tokens of the pieces, each printed as it is made."""
    for _ in range(args.number):
        left = args.tokens
        end = "\n"
        for token in _begun(stream, args):
            print(token.text, end="", flush=True)
            end = end if not token.text else "" if token.text.endswith("\n") else "\n"
            yield token
            left -= 1
            if not left:
                stream.finish()
                break
        print(end, end="", flush=True)


def _handwritten(stream: "TextStream", tokens: "Iterator[Token]", args: argparse.Namespace) -> list[float]:
    """Writes the page; what the tokens cost."""
    from ..handwriting.hand import handwrite  # noqa: PLC0415 - few write by hand
    from ..player.performance import draw  # noqa: PLC0415 - likewise

    costs: list[float] = []

    def counted() -> "Iterator[Token]":
        for token in tokens:
            costs.append(token.cost)
            yield token

    line, lines = _LAYOUTS.get(_plain_form(args.form), (None, None))
    hand = handwrite(
        counted(), args.strokes or None, layout="vertical" if args.vertical else "horizontal", line=line, lines=lines,
        jitter=args.jitter, seed=stream.seed, name=stream.name,
    )  # fmt: skip
    drawn = draw(hand, to=[open_svg(args, args.handwrite)], n=max(1, args.number))
    for _ in tokens:  # a page longer than one drawing leaves tokens
        pass
    if hand.missing:
        note(f"no strokes for {' '.join(hand.missing)}: left out; other strokes: --strokes FILE.jsonl")
    for attribution in hand.attributions:
        note(attribution)
    note(f"{args.handwrite}: {len(drawn)} drawings")
    return costs


def _plain_form(form: str | None) -> str:
    if form is None:
        return ""
    from ..forms import form as form_of  # noqa: PLC0415 - --help must not wait for NumPy

    return form_of(form).name


def add(commands: Commands) -> None:
    """The command's options."""
    write = commands.add(
        "write",
        _write,
        "write poems and other texts",
        "livesketch write wuyan --first-line 山为斜好几 --form 五绝 -n 3",
    )
    write.add_argument("model", nargs="?", default="wuyan", metavar="MODEL", help="a bundled name or a checkpoint")
    begun = write.add_mutually_exclusive_group()
    begun.add_argument("--first-line", metavar="LINE", help="how each piece begins: its whole first line")
    begun.add_argument("--start", metavar="SYMBOL", help="its first character or word")
    begun.add_argument("--acrostic", metavar="HEADS", help="the first characters of its lines")
    begun.add_argument("--prompt", metavar="TEXT", help="any beginning")
    begun.add_argument("--random", action="store_true", help="a first line of the training's, by chance")
    write.add_argument("--unknown", action="store_true", help="let characters stand that the model does not know")
    write.add_argument("-n", "--number", type=number(int, 1), default=1, metavar="N", help="how many (default 1)")
    write.add_argument(
        "--tokens", type=number(int, 0), default=0, metavar="N", help="stop each after so many (default: at its end)"
    )
    for option, kwargs in _CONTROLS.items():
        write.add_argument(option, **kwargs)
    write.add_argument("--seed", type=int, help="writes the same again (default: a fresh one, printed at the end)")
    write.add_argument("--backend", default="auto", help="auto, cpu, reference (default auto)")
    write.add_argument("--handwrite", metavar="FILE.svg", help="also write it by hand, stroke by stroke, on a page")
    write.add_argument(
        "--strokes", action="append", default=[], metavar="SOURCE",
        help="where strokes come from: hershey, hershey:FONT, kanjivg, a JSON Lines file of medians; may be repeated",
    )  # fmt: skip
    write.add_argument("--vertical", action="store_true", help="in columns, right to left")
    write.add_argument("--jitter", type=float, default=0.0, help="how much the hand wavers (default 0; try 0.5)")
    add_page(write)


_CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "--mode": {"help": "conservative, normal, open: the temperature by name"},
    "--temperature": {"type": float, "help": "0 greedy, 0.6 tame, 1.4 wild (default 1)"},
    "--top-k": {"type": int, "default": 0, "help": "only so many of the likeliest (default: all)"},
    "--top-p": {"type": float, "default": 1.0, "help": "only the likeliest that hold this share (default 1)"},
    "--min-p": {"type": float, "default": 0.0, "help": "only what has this share of the likeliest's (default 0)"},
    "--form": {"metavar": "FORM", "help": "of Chinese verse: 五绝 (wujue), 七绝 (qijue), 五律 (wulv), 七律 (qilv)"},
    "--rhyme": {"nargs": "?", "const": True, "default": False, "metavar": "GROUP", "help": "rhyme, in this group"},
    "--tones": {
        "nargs": "?", "const": True, "default": False, "metavar": "PATTERN", "help": "level and oblique tones"
    },
}  # fmt: skip
