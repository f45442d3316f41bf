"""``livesketch models``."""

import argparse

from .common import MODEL_HELP, Commands


def _models(args: argparse.Namespace) -> None:
    from ..models.catalogue import catalogue, open_any  # noqa: PLC0415 - --help must not wait for NumPy
    from ..models.text_model import TextCheckpoint  # noqa: PLC0415 - likewise

    if args.model is not None:
        model = open_any(args.model)
        kind = "text" if isinstance(model, TextCheckpoint) else "sketch"
        for name in model.labels or (model.name,):
            print(f"{name}\t{model.name}\t{model.licence}\t{kind}")
        return
    for name, entry in catalogue().items():
        print(f"{name}\t{entry.path.name}\t{entry.licence}\t{entry.kind}")


def add(commands: Commands) -> None:
    """The command's options."""
    models = commands.add(
        "models", _models, "list what can be asked for by name: name, file, licence, and whether it draws (sketch) or "
        "writes (text)", "livesketch models",
    )  # fmt: skip
    models.add_argument("model", nargs="?", metavar="MODEL", help=f"what this one draws or writes: {MODEL_HELP}")
