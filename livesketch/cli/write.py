"""``livesketch write``."""

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TextIO

from ..errors import ControlError
from .common import Commands, add_page, note, number, open_svg
from .text_options import add_text, open_text_stream

if TYPE_CHECKING:
    from ..events import Token
    from ..streams.drawing import Piece
    from ..streams.text import TextStream

_LAYOUTS: Final = {"五绝": (6, 4), "七绝": (8, 4), "五律": (6, 8), "七律": (8, 8)}
"""Cells in a line and lines of a page, by form."""

_LONGEST: Final = 40
"""Lines of a page of another text: a longer one goes on on the next."""

_PAGES: Final = 10**6
"""At most so many drawings of handwriting."""

_LOST: Final = "□"
"""What stands where a character was given that the model does not know, as in editions of old texts."""

_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal obeys instead of showing it, but for tabs and line breaks: a model of bytes may write anything."""


class _Printer:
    """Prints pieces as they are made, and counts."""

    def __init__(self, stream: "TextStream", args: argparse.Namespace) -> None:
        self._stream, self._args = stream, args
        self.name, self.seed, self.temperature = stream.name, stream.seed, stream.temperature
        self.pieces = self.tokens = self.softened = 0
        self.cost = 0.0
        page_is_there = args.handwrite in {"-", "/dev/stdout"}
        self._file = sys.stderr if page_is_there else sys.stdout
        self._line = False
        self._lines = 0
        """Of the present piece."""
        self._plain: bool | None = None

    def __iter__(self) -> "Iterator[Token]":
        """The tokens, each printed and flushed before it is given."""
        from ..token_sampling import UNK  # noqa: PLC0415 - --help must not wait for NumPy

        for _ in range(self._args.number):
            if self._lines > 1:
                self._print("\n")  # between texts of several lines
            self.pieces, self._lines = self.pieces + 1, 0
            for made, token in enumerate(_begun(self._stream, self._args), 1):
                shown = replace(token, text=_LOST) if token.index == UNK else token
                self._print(shown.text)
                self.tokens, self.cost = self.tokens + 1, self.cost + token.cost
                self.softened += token.softened
                yield shown
                if made == self._args.tokens:
                    self._stream.finish()
                    break
            self.end_line()

    def end_line(self) -> None:
        """Where something stands in the present line, the next begins."""
        if self._line:
            self._print("\n")

    def _print(self, text: str) -> None:
        if not text or self._file is None:
            return
        if self._plain is None and not text.isascii():
            self._plain = _is_plain(self._file, text)
        seen = _OBEYED.sub("?", text) if self._file.isatty() else text
        print(seen, end="", file=self._file, flush=True)
        self._line = not text.endswith("\n")
        self._lines += text.count("\n")


def _is_plain(file: TextIO, text: str) -> bool:
    """Whether the file cannot show this, which is said once."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        note(f"the text is written in {encoding}: what that lacks comes as \\u...; set PYTHONIOENCODING=utf-8")
        return True
    return False


def _write(args: argparse.Namespace) -> None:
    idle = ["--" + name.replace("_", "-") for name, value in args.by_hand.items() if getattr(args, name) != value]
    if idle and args.handwrite is None:
        raise ControlError(
            f"{', '.join(idle)}: for handwriting; expected --handwrite FILE.svg with it, or leave it out"
        )
    stream = open_text_stream(args)
    printer = _Printer(stream, args)
    try:
        if args.handwrite is None:
            for _ in printer:
                pass
        else:
            _by_hand(printer, args)
    except BaseException:  # Ctrl-C, a reader that is gone, a rule that leaves nothing
        with contextlib.suppress(OSError, ValueError):
            printer.end_line()
        raise
    finally:
        if printer.tokens:
            _summary(stream, printer, args)


def _summary(stream: "TextStream", printer: _Printer, args: argparse.Namespace) -> None:
    if args.form is not None:
        yielded = f"; tones or repetition yielded at {printer.softened} places" if printer.softened else ""
        per = printer.cost / printer.pieces, printer.cost / printer.tokens
        note(f"the form took {per[0]:.2f} nats a piece, {per[1]:.3f} a token{yielded}")
    note(f"{printer.pieces} x {stream.name}, seed {stream.seed}")


def _begun(stream: "TextStream", args: argparse.Namespace) -> "Piece":
    """The next piece, begun as the options say."""
    if args.first_line is not None:
        return stream.first_line(args.first_line, unknown=args.unknown)
    if args.start is not None:
        return stream.start(args.start, unknown=args.unknown)
    if args.acrostic is not None:
        heads = args.acrostic.split() if stream.checkpoint.unit == "word" else args.acrostic
        return stream.acrostic(heads, unknown=args.unknown)
    if args.prompt is not None:
        return stream.prompt(args.prompt, unknown=args.unknown)
    return stream.random_line() if args.random else stream.piece()


def _by_hand(printer: _Printer, args: argparse.Namespace) -> None:
    """Writes the pieces on a page, stroke by stroke."""
    from ..handwriting.hand import handwrite  # noqa: PLC0415 - few write by hand
    from ..player.offline import draw  # noqa: PLC0415 - likewise

    line, lines = _LAYOUTS.get(_plain_form(args.form), (None, _LONGEST))
    hand = handwrite(
        printer, args.strokes or None, layout="vertical" if args.vertical else "horizontal", line=line, lines=lines,
        jitter=args.jitter,
    )  # fmt: skip
    drawn = draw(hand, to=[open_svg(args, args.handwrite)], n=_PAGES)
    if hand.missing:
        note(f"no strokes for {' '.join(hand.missing)}: left out; other strokes: --strokes FILE.jsonl")
    for attribution in hand.attributions:
        note(attribution)
    note(f"{args.handwrite}: {len(drawn)} drawing{'s' * (len(drawn) != 1)}")


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
    begun.add_argument(
        "--acrostic", metavar="HEADS", help="the first characters of its lines, or words with spaces between"
    )
    begun.add_argument("--prompt", metavar="TEXT", help="any beginning")
    begun.add_argument("--random", action="store_true", help="a first line of the training's, by chance")
    write.add_argument(
        "--unknown", action="store_true", help=f"take characters that the model does not know too, shown as {_LOST}"
    )
    write.add_argument("-n", "--number", type=number(int, 1), default=1, metavar="N", help="how many (default 1)")
    write.add_argument(
        "--tokens", type=number(int, 1), metavar="N", help="stop each after so many (default: where it ends)"
    )
    write.add_argument("--temperature", type=float, help="0 greedy, 0.6 tame, 1.4 wild (default 1)")
    add_text(write)
    write.add_argument("--seed", type=int, help="writes the same again (default: a fresh one, printed at the end)")
    write.add_argument("--backend", default="auto", help="auto, cpu, cpu-two, reference, cuda (default auto)")
    hand = write.add_argument_group("by hand")
    hand.add_argument("--handwrite", metavar="FILE.svg", help="also write it by hand, stroke by stroke, on a page")
    hand.add_argument(
        "--strokes", action="append", default=[], metavar="SOURCE",
        help="where strokes come from: hershey, hershey:FONT, kanjivg, a JSON Lines file of medians; may be repeated",
    )  # fmt: skip
    hand.add_argument("--vertical", action="store_true", help="in columns, right to left")
    hand.add_argument("--jitter", type=float, default=0.0, help="how much the hand wavers, 0 to 0.3 (default 0)")
    add_page(hand)
    names = ("strokes", "vertical", "jitter", "page", "landscape", "margin", "pen_width", "color")
    write.set_defaults(by_hand={name: write.get_default(name) for name in names})
