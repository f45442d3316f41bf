"""From trained weights to a text model that writes, with its model card beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import quantize, save_text
from ..models.model import Tensor
from ..models.text_checks import text_values
from ..models.text_model import TextCheckpoint, TextInfo
from .card import write_card

_EXPLAINED = """Losses, measured before the weights were made int16, matrices multiplied in {precision} (`livesketch eval` uses
float32). Nats are negative log probabilities, of every token and one END per document; per character, END counts as
one. A token that is not in the vocabulary costs what *some* unknown one costs."""


def text_checkpoint_of(
    info: TextInfo, weights: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], *, exact: bool = False
) -> TextCheckpoint:
    """The checkpoint of trained weights, int16 with one scale a tensor, or float32 where ``exact``.

    ``weights`` by checkpoint tensor name; ``facts`` as ``Run.save`` takes them.
    """
    store = (lambda array: Tensor(np.asarray(array, np.float32))) if exact else quantize
    said = {
        "name": facts["name"], "licence": facts["licence"], "attribution": facts["attribution"], "data": facts["data"],
        "losses": dict(facts["losses"]),
        "source": {
            "trainer": "livesketch train text", "step": facts["step"], "epoch": facts["epoch"],
            "minutes": round(facts["seconds"] / 60, 1), "options": facts["options"],
            "seed": facts["settings"]["seed"], "documents": facts["way"],
            **({"openings": _carried(facts["openings"], info.labels)} if any(facts["openings"].values()) else {}),
        },
    }  # fmt: skip
    tensors = {name: store(np.asarray(array)) for name, array in weights.items()}
    return TextCheckpoint(**(text_values(info) | said), tensors=tensors)


def _carried(openings: Mapping[str, list[str]], labels: Sequence[str]) -> object:
    """First lines as ``TextStream.random_line`` reads them: by label, or a list in a model without labels."""
    return dict(openings) if labels else next(iter(openings.values()))


def save_text_model(checkpoint: TextCheckpoint, facts: Mapping[str, Any], path: Path) -> None:
    """Writes the checkpoint and, beside it, its model card ``.md``.

    Raises:
        OutputError: one of them cannot be written.
    """
    save_text(checkpoint, path)
    attention = checkpoint.architecture == "text_attention"
    units = f"{checkpoint.layers} LSTM layers of {checkpoint.hidden} units"
    if attention:
        units = f"{checkpoint.layers} attention blocks of {checkpoint.hidden} numbers, {checkpoint.heads} heads, window {checkpoint.window}"
    tied = "tied" if checkpoint.tied else f"embeddings of {checkpoint.embedding}"
    label = f", label vector of {checkpoint.label_size}" if checkpoint.label_size else ""
    carried = sum(map(len, facts["openings"].values()))
    more = [
        ("tokens", f"{checkpoint.unit}s, {len(checkpoint.vocabulary)} with END and the unknown one"),
        ("longest piece", f"{checkpoint.max_steps} tokens; longer ones are cut"),
        ("first lines", f"{carried} first lines of training documents are in the file, for `random_line`"),
    ]  # fmt: skip
    write_card(
        checkpoint, facts, path, does="writes", architecture=f"{units}, {tied}{label}", things="chunks",
        chosen="lowest validation nats per token", more=more[: 3 if carried else 2],
        explained=_EXPLAINED.format(**facts), command="text",
    )  # fmt: skip
