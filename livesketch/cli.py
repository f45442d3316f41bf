"""The command line: arguments in, exit codes out.

Results go to stdout, progress and the live drawing to stderr. Exit codes: 0 done, 2 bad arguments, 3 a model or data
file that is missing or broken, 4 an output that cannot be reached or written, 5 something that is not installed or
cannot run here, 130 interrupted, 129 and 143 hung up and terminated (pens up, files complete).
"""

import argparse
import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from . import __version__
from .errors import (
    BackendUnavailableError,
    CheckpointError,
    ControlError,
    DataError,
    LivesketchError,
    MissingExtraError,
    ModelNotFoundError,
    OutputError,
    StrokesError,
)

if TYPE_CHECKING:
    from .outputs.base import Output
    from .streams.sketch import SketchStream

_EXIT_CODES: Final[dict[type[LivesketchError], int]] = {
    ControlError: 2,
    StrokesError: 2,
    ModelNotFoundError: 3,
    CheckpointError: 3,
    DataError: 3,
    OutputError: 4,
    BackendUnavailableError: 5,
    MissingExtraError: 5,
}
_MODEL_HELP: Final = "a bundled name (livesketch models), a checkpoint, or a magenta .gen.json"


def _note(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody is left to be told
            print(text, file=sys.stderr, flush=True)


def _stream(args: argparse.Namespace) -> "SketchStream":
    with _loading():
        from .streams.sketch import sketch  # noqa: PLC0415 - --help must not wait for a backend

        if args.backend in {"auto", "cpu"}:
            from .backends import cpu  # noqa: F401, PLC0415 - likewise

    return sketch(
        args.model, seed=args.seed, temperature=args.temperature, convention=args.convention, backend=args.backend
    )


def _svg(args: argparse.Namespace, path: str) -> "Output":
    from .outputs.svg import svg  # noqa: PLC0415 - likewise

    return svg(path, args.page, args.landscape, args.margin, args.pen_width, args.color)


def _cut_note(cut: int, drawings: int, max_steps: int) -> None:
    if cut:
        _note(f"{cut} of {drawings} drawings did not end by themselves and were cut at {max_steps} steps")


def _draw(args: argparse.Namespace) -> None:
    from .outputs.progress import Progress  # noqa: PLC0415 - likewise
    from .player.performance import draw  # noqa: PLC0415 - likewise

    stream = _stream(args)
    path = (
        args.output or re.sub(r"[^\w -]", "-", stream.name) + ".svg"
    )  # the name is the model file's: it names no folder
    output = _svg(args, path)
    drawings = draw(stream, to=[output, Progress(args.number)], n=args.number)
    cut = sum(not drawing.actions[-1].ended for drawing in drawings)
    _cut_note(cut, len(drawings), stream.checkpoint.max_steps)
    summary = f"{path}: {len(drawings)} x {stream.name}, seed {stream.seed}"
    if path in {"-", "/dev/stdout"}:  # the page itself is there
        _note(summary)
    else:
        print(summary)


def _play(args: argparse.Namespace) -> None:
    from .outputs.osc import osc  # noqa: PLC0415 - likewise
    from .outputs.terminal import terminal  # noqa: PLC0415 - likewise
    from .player.performance import play  # noqa: PLC0415 - likewise

    outputs: list[Output] = [osc(target) for target in args.osc]
    if args.output:
        outputs.append(_svg(args, args.output))
    if not args.quiet and sys.stderr is not None:
        outputs.append(terminal(sys.stderr))
    stream = _stream(args)
    with play(stream, outputs, args.rate, args.name) as player:
        player.wait(args.seconds)
    stats = player.stats()
    _cut_note(stats.cut, stats.drawings, stream.checkpoint.max_steps)
    fault = player.fault()
    if fault is not None:
        raise fault
    for trouble in player.troubles():
        _note(f"warning: {trouble}")
    print(f"{player.name}: {stats.steps} steps, {stats.drawings} drawings, seed {stream.seed}")


def _import(args: argparse.Namespace) -> None:
    from .models.checkpoint import save_checkpoint  # noqa: PLC0415 - likewise
    from .models.magenta import import_magenta  # noqa: PLC0415 - likewise

    checkpoint = import_magenta(args.file)
    save_checkpoint(checkpoint, args.output)
    print(f"{args.output}: {checkpoint.name}, {checkpoint.architecture}, {checkpoint.hidden} units")


def _models(args: argparse.Namespace) -> None:  # noqa: ARG001 - one signature for all commands
    from .models.catalogue import catalogue  # noqa: PLC0415 - likewise

    for name, entry in catalogue().items():
        print(f"{name}\t{entry.path.name}\t{entry.licence}")


def _monitor(args: argparse.Namespace) -> None:
    from .inputs.monitor import monitor  # noqa: PLC0415 - likewise

    with monitor(args.port, host=args.host, timeout=args.seconds) as listening:
        _note(f"listening on {args.host} port {args.port}; Ctrl-C ends")
        for received in listening:
            print(received, flush=True)


def _number(kind: type[int] | type[float], least: float, most: float = float("inf")) -> Callable[[str], float]:
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


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    parser.add_argument("--seed", type=int, help="draws the same again (default: a fresh one, printed at the end)")
    parser.add_argument("--temperature", type=float, default=0.65, help="0 greedy, 0.2 tame, 1.2 wild (default 0.65)")
    parser.add_argument("--convention", default="js", help="what temperature means: js, paper, magenta (default js)")
    parser.add_argument("--backend", default="auto", help="auto, cpu, reference (default auto)")


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--page", default="a4", help="a0 … a6, letter, or such as 300x200mm (default a4)")
    parser.add_argument("--landscape", action="store_true", help="the page on its side")
    parser.add_argument("--margin", default="10mm", help="kept free on all sides (default 10mm)")
    parser.add_argument("--pen-width", default="0.3mm", help="of the lines (default 0.3mm)")
    parser.add_argument("--color", default="black", help="of the lines (default black)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livesketch", description="Neural networks that draw, live.")
    parser.add_argument("--version", action="version", version=f"livesketch {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: object, summary: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.set_defaults(run=run)
        return sub

    draw = command(
        "draw", _draw, "draw to an SVG file as fast as possible", "livesketch draw cat -n 12 --seed 7 -o cats.svg"
    )
    _add_model(draw)
    draw.add_argument(
        "-n", "--number", type=_number(int, 1), default=1, metavar="N", help="how many drawings (default 1)"
    )
    _add_page(draw)
    draw.add_argument("-o", "--output", metavar="FILE", help="the SVG file (default MODEL.svg)")

    play = command(
        "play",
        _play,
        "play live, over OSC and in the terminal",
        "livesketch play cat --osc 127.0.0.1:9000 --seconds 20",
    )
    _add_model(play)
    play.add_argument("--osc", action="append", default=[], metavar="HOST:PORT", help="a receiver; may be repeated")
    play.add_argument("--rate", type=float, default=60.0, help="steps per second (default 60)")
    play.add_argument("--seconds", type=_number(float, 0), help="stop after so long (default: Ctrl-C)")
    play.add_argument("--name", help="in the OSC addresses (default: the model's)")
    play.add_argument("--quiet", action="store_true", help="no drawing in the terminal")
    _add_page(play)
    play.add_argument("-o", "--output", metavar="FILE", help="also write an SVG file")

    importer = command("import", _import, "turn a magenta .gen.json or .vae.json into a checkpoint",
                       "livesketch import bird.gen.json -o bird.safetensors")  # fmt: skip
    importer.add_argument("file", type=Path)
    importer.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")

    command("models", _models, "list what can be drawn by name: name, file, licence", "livesketch models")

    monitor = command(
        "monitor", _monitor, "show OSC messages as they arrive: is anything coming?", "livesketch monitor 9000"
    )
    monitor.add_argument("port", type=_number(int, 1, 65535), metavar="PORT")
    monitor.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1: this machine only)"
    )
    monitor.add_argument("--seconds", type=_number(float, 0), help="stop after so long (default: Ctrl-C)")
    return parser


class _TerminatedError(BaseException):
    """SIGTERM or SIGHUP, on its way out through every ``finally``."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        raise _TerminatedError(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, terminate) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Ctrl-C waits until what is loaded is loaded: NumPy and numba take it for a broken installation."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _close_stdout() -> None:
    """What could not be written is not tried again at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; argparse exits by itself with 2 on bad arguments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    args = _parser().parse_args(argv)
    try:
        with _terminable():
            args.run(args)
            if sys.stdout is not None:
                sys.stdout.flush()
    except LivesketchError as err:
        _note(f"livesketch: {err}")
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(err, kind)), 1)
    except KeyboardInterrupt:
        _note("interrupted")
        return 130
    except _TerminatedError as err:
        _note("terminated")
        return 128 + int(err.args[0])
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as err:
        _close_stdout()
        _note(
            f"livesketch: {err.strerror or err}: expected to write results to standard output; is it open, has it room?"
        )
        return 4
    return 0
