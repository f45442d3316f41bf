"""The command line: arguments in, exit codes out.

Results go to stdout, progress and the live drawing to stderr. Exit codes: 0 done, 2 bad arguments, 3 a model or data
file that is missing, broken or out of reach, 4 an output that cannot be reached or written, 5 something that is not
installed or cannot run here, 6 a training that went wrong, 130 interrupted, 129 and 143 hung up and terminated (pens
up, files complete).
"""

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

from .. import __version__
from ..errors import (
    BackendUnavailableError,
    CheckpointError,
    ControlError,
    DataError,
    DownloadError,
    LivesketchError,
    MissingExtraError,
    ModelNotFoundError,
    OutputError,
    StrokesError,
    TrainingError,
)
from . import draw, evaluate, fetch, importing, models, monitor, morph, play, ports, replay, status, train, warm, write
from .common import Commands, note

_EXIT_CODES: Final[dict[type[LivesketchError], int]] = {
    ControlError: 2,
    StrokesError: 2,
    ModelNotFoundError: 3,
    CheckpointError: 3,
    DataError: 3,
    DownloadError: 3,
    OutputError: 4,
    TrainingError: 6,
    BackendUnavailableError: 5,
    MissingExtraError: 5,
}
_COMMANDS: Final = (
    draw,
    play,
    replay,
    write,
    morph,
    train,
    evaluate,
    importing,
    fetch,
    models,
    monitor,
    ports,
    status,
    warm,
)
"""In the order of ``livesketch --help``; each adds itself."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="livesketch", description="Neural networks that draw, live.")
    parser.add_argument("--version", action="version", version=f"livesketch {__version__}")
    commands = Commands(parser.add_subparsers(title="commands", metavar="COMMAND", required=True))
    for command in _COMMANDS:
        command.add(commands)
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
        note(f"livesketch: {err}")
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(err, kind)), 1)
    except KeyboardInterrupt:
        note("interrupted")
        return 130
    except _TerminatedError as err:
        note("terminated")
        return 128 + int(err.args[0])
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as err:
        _close_stdout()
        note(
            f"livesketch: {err.strerror or err}: expected to write results to standard output; is it open, has it room?"
        )
        return 4
    return 0
