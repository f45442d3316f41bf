"""What several commands share: options, and what they open."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..outputs.base import Output
    from ..streams.sketch import SketchStream

_TEMPERATURE: Final = 0.65

MODEL_HELP: Final = "a bundled name (livesketch models), a checkpoint, a magenta .gen.json, or magenta:NAME"


class Commands:
    """The commands of the program, as argparse's subparsers."""

    def __init__(self, parsers: Any) -> None:
        self._parsers = parsers

    def add(
        self, name: str, run: Callable[[argparse.Namespace], None], summary: str, example: str
    ) -> argparse.ArgumentParser:
        """A command and its parser; ``run`` does it and raises on failure."""
        sub: argparse.ArgumentParser = self._parsers.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.set_defaults(run=run)
        return sub


def note(text: str) -> None:
    """One line on stderr."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody is left to be told
            print(text, file=sys.stderr, flush=True)


def open_stream(args: argparse.Namespace) -> "SketchStream":
    """The stream that ``add_model``'s options describe."""
    with loading():
        from ..streams.sketch import sketch  # noqa: PLC0415 - --help must not wait for a backend

        if args.backend in {"auto", "cpu"}:
            from ..backends import cpu  # noqa: F401, PLC0415 - likewise

    return sketch(
        args.model, seed=args.seed, temperature=_TEMPERATURE if args.temperature is None else args.temperature,
        convention=args.convention or "js", backend=args.backend,
    )  # fmt: skip


def open_svg(args: argparse.Namespace, path: str) -> "Output":
    """The page that ``add_page``'s options describe."""
    from ..outputs.svg import svg  # noqa: PLC0415 - likewise

    return svg(path, args.page, args.landscape, args.margin, args.pen_width, args.color)


def cut_note(cut: int, drawings: int, max_steps: int, parts: str = "drawings") -> None:
    """Says how many drawings, or other parts, were cut at the longest, where some were."""
    if cut:
        note(f"{cut} of {drawings} {parts} did not end by themselves and were cut at {max_steps} steps")


def number(kind: type[int] | type[float], least: float, most: float = float("inf")) -> Callable[[str], float]:
    """An argparse type: a number from ``least`` to ``most``."""

    def parse(text: str) -> float:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"{text}: expected {least:g} or more" + (f", up to {most:g}" if most < 1e30 else "")
            )
        return value

    parse.__name__ = kind.__name__
    return parse


def add_model(
    parser: argparse.ArgumentParser, temperature: float | None = _TEMPERATURE, said: str | None = None
) -> None:
    """Which model, and how it draws; ``said`` is the default temperature in words."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--seed", type=int, help="draws the same again (default: a fresh one, printed at the end)")
    parser.add_argument(
        "--temperature", type=float, default=temperature,
        help=f"0 greedy, 0.2 tame, 1.2 wild (default {said or temperature})",
    )  # fmt: skip
    parser.add_argument("--convention", help="what temperature means: js, paper, magenta (default js)")
    parser.add_argument("--backend", default="auto", help="auto, cpu, cpu-two, reference, cuda (default auto)")


def add_page(parser: Any, page: str | None = "a4", said: str = "a4") -> None:
    """The page of an SVG file; ``said`` is the default page in words."""
    parser.add_argument("--page", default=page, help=f"a0 … a6, letter, or such as 300x200mm (default {said})")
    parser.add_argument("--landscape", action="store_true", help="the page on its side")
    parser.add_argument("--margin", default="10mm", help="kept free on all sides (default 10mm)")
    parser.add_argument("--pen-width", default="0.3mm", help="of the lines (default 0.3mm)")
    parser.add_argument("--color", default="black", help="of the lines (default black)")


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Ctrl-C waits until what is loaded is loaded: NumPy and numba take it for a broken installation."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
