"""The options of commands that play MIDI: ports, a file, and how a pen or a token sounds."""

import argparse
import re
from typing import TYPE_CHECKING, Any, Final

from ..errors import ControlError
from .common import number

if TYPE_CHECKING:
    from ..outputs.base import Output

_HOW: Final = ("preset", "scale", "root", "channel", "program")
_OWN: Final = "-"
"""The port that we make ourselves."""


def add_midi(parser: argparse.ArgumentParser) -> None:
    """Where to, and how it sounds."""
    midi = parser.add_argument_group("MIDI (docs/midi.md)")
    midi.add_argument(
        "--midi", action="append", default=[], metavar="PORT",
        help=f"a port, or a part of its name (livesketch ports); {_OWN} for one of our own; may be repeated",
    )  # fmt: skip
    midi.add_argument("--mid", metavar="FILE", help="also write a .mid file; needs no MIDI port")
    midi.add_argument(
        "--preset", help="plain, mpe or cc: strokes; token: each token is a note (default plain, of texts token)"
    )
    midi.add_argument("--scale", help="such as minor, or semitones: 0,3,7 (default pentatonic, mpe: exact heights)")
    midi.add_argument("--root", metavar="NOTE", help="at the bottom of the stage, C4 is 60 (default C3)")
    midi.add_argument(
        "--channel", type=number(int, 1, 16), metavar="N", help="1 to 16, of the first voice (default 1); not of mpe"
    )
    midi.add_argument("--program", type=number(int, 1, 128), metavar="N", help="chosen first, 1 to 128")


def open_midi(args: argparse.Namespace, *, writes: bool) -> "list[Output]":
    """What ``add_midi``'s options describe; ``writes``: it is for a text.

    Raises:
        ControlError: options of no use, or out of their range.
        OutputError, MissingExtraError: as ``ls.midi`` and ``ls.midi_file``.
    """
    asked: dict[str, Any] = {name: value for name in _HOW if (value := getattr(args, name)) is not None}
    if not args.midi and args.mid is None:
        if asked:
            given = ", ".join(f"--{name}" for name in asked)
            raise ControlError(f"{given}: for MIDI; expected --midi PORT or --mid FILE with it, or leave it out")
        return []
    silent, heard = ("mpe", "a text") if writes else ("token", "a drawing")
    if asked.get("preset") == silent:
        raise ControlError(f"--preset {silent}: nothing of {heard} is heard with it; expected another, or leave it out")
    asked.setdefault("preset", "token" if writes else "plain")
    if re.fullmatch(r"[\d\s,]*\d[\d\s,]*", asked.get("scale", "")):
        asked["scale"] = [int(word) for word in re.findall(r"\d+", asked["scale"])]
    if re.fullmatch(r"\d+", asked.get("root", "")):
        asked["root"] = int(asked["root"])
    from ..outputs.midi import midi  # noqa: PLC0415 - --help must not wait for it
    from ..outputs.midi_file import midi_file  # noqa: PLC0415 - likewise

    files: list[Output] = [] if args.mid is None else [midi_file(args.mid, **asked)]
    return files + [midi(None if port == _OWN else port, **asked) for port in args.midi]
