"""``livesketch models``."""

import argparse

from .common import MODEL_HELP, Commands


def _models(args: argparse.Namespace) -> None:
    from ..models.catalogue import catalogue, open_any  # noqa: PLC0415 - --help must not wait for NumPy

    if args.model is not None:
        model = open_any(args.model)
        for name in model.labels or (model.name,):
            print(f"{name}\t{model.name}\t{model.licence}")
        return
    for name, entry in catalogue().items():
        print(f"{name}\t{entry.path.name}\t{entry.licence}")


def add(commands: Commands) -> None:
    """The command's options."""
    models = commands.add("models", _models, "list what can be drawn by name: name, file, licence", "livesketch models")
    models.add_argument("model", nargs="?", metavar="MODEL", help=f"what this one draws: {MODEL_HELP}")
