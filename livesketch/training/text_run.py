"""Training a text model: what a step is, how models are chosen, and what is written of one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.corpus import Corpus
from ..data.sketch_npz import SPLITS
from ..models.text_checks import check_text
from ..models.text_model import TextCheckpoint, TextInfo
from ..models.text_network import Dropout, TextNetwork
from ..models.tokens import tokenizer
from . import schedules
from .export import arrays
from .openings import openings_of
from .run import Run
from .text_batches import Chunks, TextBatch, TokenTexts
from .text_evaluation import TextLosses, evaluate_text, total_text
from .text_export import save_text_model, text_checkpoint_of
from .text_samples import write_samples
from .text_settings import TextSettings
from .vocabulary import vocabulary_of
from .workers import Workers

SAMPLES: Final = 20
"""Pieces in the file of samples; of running text, where each goes on to the longest, a quarter."""

RUNNING_STEPS: Final = 1000
"""Tokens after which a piece of running text is cut when the model writes."""

_WAYS: Final = {"line": "each a line", "blank": "each between blank lines", "file": "each a file"}
_MOST_STEPS: Final = 10**6
_BETAS: Final = (0.9, 0.98)


def info_of(settings: TextSettings, corpus: Corpus) -> TextInfo:
    """The model that the settings ask for, nothing said about it yet; a single class gets no label vector.

    Raises:
        DataError: the corpus has too few symbols.
    """
    vocabulary = vocabulary_of(corpus.train.documents, settings.unit, settings.min_count, settings.vocabulary)
    attention, labels = settings.architecture == "attention", corpus.labels if len(corpus.labels) > 1 else ()
    embedding = settings.hidden if attention or not settings.embedding else settings.embedding
    return TextInfo(
        name="", architecture=f"text_{settings.architecture}", unit=settings.unit, vocabulary=vocabulary,
        embedding=embedding, hidden=settings.hidden, layers=settings.layers, tied=attention or not settings.embedding,
        heads=settings.heads if attention else 0, window=settings.window if attention else 0,
        label_size=(embedding if attention else settings.label_size) if labels else 0, labels=labels,
        max_steps=settings.max_steps or RUNNING_STEPS, forget_bias=0.0 if attention else 1.0,
        licence="", attribution="", data="", losses={}, source={},
    )  # fmt: skip


class TextObjective(nn.Module):
    """A network and its nats over a batch, as one module, so that DistributedDataParallel can wrap it."""

    def __init__(self, net: TextNetwork, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, batch: TextBatch) -> Tensor:
        """The sum of the nats of all targets."""
        hidden, _ = self.net(batch.inputs, batch.labels if self.net.info.labels else None, None, self.dtype)
        return self.net.nats(hidden[batch.counted], batch.targets[batch.counted], self.dtype).sum()


class TextRun(Run):
    """A training of a text model at some step.

    Args:
        settings: what is asked.
        corpus: the documents; the vocabulary is made of those to train on.
        workers: this process among others.
        name: the model's name.
    """

    counted: ClassVar[str] = "tokens"
    samples_ending: ClassVar[str] = "samples.txt"
    settings: TextSettings
    net: TextNetwork

    def __init__(self, settings: TextSettings, corpus: Corpus, workers: Workers, name: str) -> None:
        info = info_of(settings, corpus)
        tokens = tokenizer(info)
        self.splits = {part: TokenTexts(getattr(corpus, part), tokens, running=corpus.running) for part in SPLITS}
        self.characters = sum(getattr(corpus, part).characters for part in SPLITS)
        self.way, self.running, self.fingerprint = corpus.way, corpus.running, corpus.fingerprint()
        self.openings = openings_of(corpus, tokens) if settings.openings else {}
        self.longest = max(int(part.lengths.max()) for part in self.splits.values())
        if not settings.max_steps and not corpus.running:
            info = replace(info, max_steps=min(self.longest, _MOST_STEPS))
        torch.manual_seed(settings.seed)
        dropout = Dropout(settings.embedding_dropout, settings.layer_dropout, settings.output_dropout)
        net = TextNetwork(info, dropout).to(workers.device)
        parameters = list(net.parameters())
        groups = [
            {"params": [value for value in parameters if value.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [value for value in parameters if value.ndim == 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=_BETAS, fused=True)
        super().__init__(settings, workers, name, corpus.labels, corpus.skipped, net, optimizer)
        self._objective = workers.wrap(TextObjective(net, self.dtype))
        self._chunks: Chunks
        self._watched, self._watched_tokens = self._to_watch()

    def _to_watch(self) -> tuple[NDArray[np.int64], int]:
        """Which validation documents are looked at during the training, and at most how many tokens of each."""
        lengths, most = self.splits["valid"].lengths, self.settings.eval_tokens
        if self.running:
            return np.arange(len(lengths)), max(1, most // len(lengths))
        order = np.random.default_rng([self.settings.seed, 7]).permutation(len(lengths))
        return order[: int(np.searchsorted(lengths[order].cumsum(), most)) + 1], most

    @property
    def sizes(self) -> dict[str, int]:
        """Documents of each split."""
        return {name: len(part) for name, part in self.splits.items()}

    def rate(self) -> float:
        """The learning rate of the next step."""
        asked = self.settings
        warm = min(1.0, (self.step + 1) / asked.warmup) if asked.warmup else 1.0
        return warm * schedules.cosine(self.step, asked.steps, asked.rate, asked.rate_min)

    def groups(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """See ``Run``; the examples are chunks of documents."""
        self._chunks = self.splits["train"].chunks(self.settings.length, rng)
        return self._chunks.groups(self.settings.batch, rng)

    def clip(self) -> None:
        """By the norm of all."""
        nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)

    def forward(self, group: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float], int]:
        """See ``Run``."""
        batch = self.splits["train"].batch(self._chunks, group)
        tokens = int(batch.counted.sum())
        self.seeded(rng)
        nats = self._objective(batch.select(self.mine(len(group))).to(self.workers.device))
        total = float(self.workers.summed(nats.detach().double()))
        return nats / tokens * self.workers.count, {"nats per token": total / tokens}, tokens

    def _evaluated(self, weights: Mapping[str, Tensor], split: str, **options: Any) -> dict[int, TextLosses]:
        net = self.with_weights(weights)
        assert isinstance(net, TextNetwork)
        return evaluate_text(net, self.splits[split], dtype=self.dtype, **options)

    def measure(self) -> tuple[float, dict[str, float]]:
        """See ``Run``; models are chosen by nats per token."""
        found = self._evaluated(self.average, "valid", ids=self._watched, most=self._watched_tokens)
        figures = total_text(found).figures()
        return figures["nats per token"], {f"valid {name}": value for name, value in figures.items()}

    def finish(self) -> list[str]:
        """See ``Run``."""
        found = self._evaluated(self.kept, "test")
        self.losses |= {f"test {name}": value for name, value in total_text(found).figures().items()}
        if len(found) > 1:
            by_class = {self.data_labels[number]: part.figures() for number, part in sorted(found.items())}
            self.losses |= {
                f"test nats per character, {name}": each["nats per character"] for name, each in by_class.items()
            }
        return []

    def describe(self) -> str:
        """See ``Run``."""
        sizes = ", ".join(f"{count} {split}" for split, count in self.sizes.items())
        found = "" if self.settings.documents != "auto" else " (by the look of it; --documents says otherwise)"
        what = "running text" if self.running else f"longest {self.longest} tokens"
        return (
            f"{sizes}; {_WAYS[self.way]}{found}; {self.characters:,} characters; {len(self.data_labels)} classes; {what}; "
            f"{len(self.net.info.vocabulary):,} symbols"
        )

    def data(self) -> str:
        """See ``Run``."""
        classes = self.data_labels
        kinds = f"{len(classes)} classes" if len(classes) > 1 else classes[0]
        what = "running text" if self.running else f"{sum(self.sizes.values())} documents, {_WAYS[self.way]}"
        return f"{what}, {self.characters:,} characters, {kinds}"

    def checkpoint(
        self, weights: Mapping[str, Tensor], facts: Mapping[str, Any], *, exact: bool = False
    ) -> TextCheckpoint:
        """The model with these weights."""
        return text_checkpoint_of(self.net.info, arrays(weights), self._with_openings(facts), exact=exact)

    def _with_openings(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {**facts, "openings": self.openings}  # not in the state: the corpus is there when it goes on

    def check(self, facts: Mapping[str, Any], where: str) -> None:
        """See ``Run``."""
        check_text(self.checkpoint(self.average, facts, exact=True), where)

    def save(self, facts: Mapping[str, Any], path: Path) -> None:
        """See ``Run``."""
        save_text_model(self.checkpoint(self.kept, facts), self._with_openings(facts), path)

    def samples(self, facts: Mapping[str, Any], path: Path) -> None:
        """See ``Run``."""
        net = self.with_weights(self.average)
        assert isinstance(net, TextNetwork)
        count = SAMPLES // 4 if self.running else SAMPLES
        write_samples(net, path, name=facts["name"], count=count, seed=self.settings.seed, step=self.step)

    def facts(self) -> dict[str, Any]:
        """See ``Run``."""
        own = {"vocabulary": len(self.net.info.vocabulary), "fingerprint": self.fingerprint, "way": self.way}
        return super().facts() | own

    def changed(self, facts: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """See ``Run``."""
        found = super().changed(facts)
        if facts.get("fingerprint") != self.fingerprint:
            found["the data's texts"] = (facts.get("fingerprint"), self.fingerprint)
        return found
