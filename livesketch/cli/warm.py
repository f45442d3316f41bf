"""``livesketch warm``."""

import argparse
import time
from typing import TYPE_CHECKING

from .common import Commands, note

if TYPE_CHECKING:
    from ..models.checkpoint import Checkpoint, TextCheckpoint

_SOME, _MANY = 2, 64
"""More than one voice, and enough for the kernels that several threads run."""


def _warm(args: argparse.Namespace) -> None:
    from ..models.catalogue import catalogue, open_any  # noqa: PLC0415 - --help must not wait for NumPy

    models = args.models or [*catalogue()]
    for model in models:
        checkpoint = open_any(model)
        began = time.monotonic()
        _open(checkpoint)
        seconds = time.monotonic() - began
        if seconds > 0.5:  # it was compiled
            note(f"{model}: {seconds:.1f} s")
    print(f"{len(models)} model{'s' * (len(models) != 1)} ready: no first step waits for the compiler")


def _open(checkpoint: "Checkpoint | TextCheckpoint") -> None:
    """Compiles what the model's first step needs, or loads it, for one voice, some and many."""
    from .. import backends  # noqa: PLC0415 - likewise
    from ..backends.cpu import CpuBackend  # noqa: PLC0415 - likewise
    from ..backends.crew import threads  # noqa: PLC0415 - likewise
    from ..models.checkpoint import TextCheckpoint  # noqa: PLC0415 - likewise

    backend = backends.load("cpu")
    assert isinstance(backend, CpuBackend)
    if isinstance(checkpoint, TextCheckpoint):
        for voices in (1, _SOME):
            backend.open_text(checkpoint, voices)
        return
    for voices in (1, _SOME, _MANY):
        backend.open(checkpoint, voices)
    if checkpoint.cell == "lstm" and threads() > 1:
        backends.load("cpu-two").open(checkpoint, 1)


def add(commands: Commands) -> None:
    """The command's options."""
    parser = commands.add(
        "warm", _warm, "compile what models need, once: no first step waits for it then", "livesketch warm cat"
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="bundled names or files (default: all bundled ones)")
