"""The model card beside a trained model: what it is, what was measured, and how to make it again."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..files import replacing
from ..models.checkpoint import Checkpoint
from ..models.text_model import TextCheckpoint

_BEGINS: Final = re.compile(rb"# .+\n\n\| \| \|\n\|---\|---\|\n\| (draws|writes) \| ")


def is_card(text: bytes) -> bool:
    """Whether a file holds a model card as ``write_card`` writes them."""
    return _BEGINS.match(text) is not None


def write_card(
    model: Checkpoint | TextCheckpoint,
    facts: Mapping[str, Any],
    path: Path,
    *,
    does: str,
    architecture: str,
    things: str,
    chosen: str,
    more: Sequence[tuple[str, str]],
    explained: str,
    command: str,
) -> None:
    """Writes the card ``.md`` beside a model that was just written.

    Args:
        model: what it says about itself goes into the card.
        facts: as ``Run.save`` takes them.
        path: the model's file.
        does: ``draws`` or ``writes``.
        architecture: in words.
        things: what a batch is of.
        chosen: what the weights were chosen by.
        more: rows of this kind of model.
        explained: what the losses are.
        command: ``sketch`` or ``text``.

    Raises:
        OutputError: it cannot be written.
    """
    settings = facts["settings"]
    trained = (
        f"{facts['step']:,} steps of {settings['batch']} {things}, {facts['epoch']} whole epochs, "
        f"{facts['seconds'] / 60:.0f} minutes on {facts['device']}, seed {settings['seed']}"
    )
    rows = [
        (does, ", ".join(model.labels) or model.name),
        ("architecture", architecture),
        ("weights", f"int16 with one scale per tensor, {path.stat().st_size / 1e6:.2f} MB"),
        ("data", model.data),
        ("licence of the weights", model.licence),
        ("attribution", model.attribution),
        ("trained", trained),
        ("chosen", f"{chosen}, looked at every {settings['eval_every']} steps"),
        *more,
        *([("began from", f"the weights of {facts['began']}")] if facts["began"] else []),
        *(("left out", line) for line in facts["skipped"][:20]),
    ]
    losses = [(name, f"{value:.4f}") for name, value in model.losses.items()]
    line = f"    livesketch train {command} {facts['sources']} {facts['options']} -o {shlex.quote(path.name)}"
    card = f"# {model.name}\n\n{_table(rows)}\n{explained}\n\n{_table(losses)}\nReproduce:\n\n{line}\n"
    with replacing(path.with_suffix(".md")) as stream:
        stream.write(card.encode())


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(["| | |\n|---|---|\n", *(f"| {name} | {value} |\n" for name, value in rows)])
