"""``livesketch models``."""

import argparse

from .common import Commands


def _models(args: argparse.Namespace) -> None:  # noqa: ARG001 - one signature for all commands
    from ..models.catalogue import catalogue  # noqa: PLC0415 - likewise

    for name, entry in catalogue().items():
        print(f"{name}\t{entry.path.name}\t{entry.licence}")


def add(commands: Commands) -> None:
    """The command's options."""
    commands.add("models", _models, "list what can be drawn by name: name, file, licence", "livesketch models")
