"""``livesketch eval`` for text models: nats per character and per token on a corpus, class by class."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from ..data.corpus import Texts, load_corpus
from ..data.sketch_npz import SPLITS
from ..errors import ControlError, DataError
from ..models.text_checks import text_values
from ..models.text_model import TextCheckpoint, TextInfo
from ..models.text_network import TextNetwork
from ..models.tokens import tokenizer
from .measure import classes_of
from .text_batches import TokenTexts
from .text_evaluation import TextLosses, evaluate_text, total_text

TEXT_SPLITS: Final = (*SPLITS, "all")


def measure_text(
    checkpoint: TextCheckpoint,
    sources: Sequence[Path],
    *,
    split: str = "test",
    label: str | None = None,
    limit: int | None = None,
    documents: str | None = None,
    device: torch.device | None = None,
) -> dict[str, TextLosses]:
    """Losses of a text model by the corpus's classes.

    Args:
        checkpoint: the model.
        sources: as for a training; each names a class.
        split: ``train``, ``valid`` or ``test``, as a training divides the corpus; or ``all`` of it.
        label: the model's label for all of the corpus; by default that of the source's name.
        limit: at most so many documents of each class, the first ones.
        documents: what a document is, as ``data.text_files.WAYS`` has it; by default what it was in the training.
        device: where to compute; the CPU by default.

    Raises:
        DataError: the corpus, a class that the model does not have, or a split without documents.
        ControlError: an unknown split or way, or a label for a model that has none.
    """
    if split not in TEXT_SPLITS:
        raise ControlError(f"split {split!r}: expected {', '.join(TEXT_SPLITS)}")
    net = text_network_of(checkpoint).to(device or torch.device("cpu"))
    way = documents or str(checkpoint.source.get("documents", "auto"))
    corpus = load_corpus(sources, way=way, whole=split == "all", gaps=True)
    part: Texts = getattr(corpus, "test" if split == "all" else split)
    if not len(part):
        raise DataError(f"no document of the corpus is in the {split} split; give more documents, or --split all")
    numbers = classes_of(checkpoint, corpus.labels, label)
    texts = TokenTexts(replace(part, label=numbers[part.label]), tokenizer(checkpoint), running=corpus.running)
    found = {}
    for number, name in enumerate(corpus.labels):
        ids = np.flatnonzero(part.label == number)[:limit]
        if len(ids):
            found[name] = total_text(evaluate_text(net, texts, ids=ids))
    return found


def text_network_of(checkpoint: TextCheckpoint) -> TextNetwork:
    """The network of a checkpoint in PyTorch, float32, without dropout."""
    net = TextNetwork(TextInfo(**text_values(checkpoint)))
    net.load({name: tensor.dense().astype(np.float32) for name, tensor in checkpoint.tensors.items()})
    return net
