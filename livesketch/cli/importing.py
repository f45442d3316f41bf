"""``livesketch import``."""

import argparse
from pathlib import Path

from .common import Commands


def _import(args: argparse.Namespace) -> None:
    from ..models.checkpoint import save_checkpoint  # noqa: PLC0415 - likewise
    from ..models.magenta import import_magenta  # noqa: PLC0415 - likewise

    checkpoint = import_magenta(args.file)
    save_checkpoint(checkpoint, args.output)
    print(f"{args.output}: {checkpoint.name}, {checkpoint.architecture}, {checkpoint.hidden} units")


def add(commands: Commands) -> None:
    """The command's options."""
    importer = commands.add("import", _import, "turn a magenta .gen.json or .vae.json into a checkpoint",
                       "livesketch import bird.gen.json -o bird.safetensors")  # fmt: skip
    importer.add_argument("file", type=Path)
    importer.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
