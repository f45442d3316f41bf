"""Training a Sketch-RNN: what a step is, how models are chosen, and what is written of one."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.drawings import DrawingSet
from ..models.checkpoint import Checkpoint
from ..models.checks import check
from ..models.network import NetworkSpec, SketchRNN
from . import schedules
from .batches import Sketches
from .evaluation import evaluate, figures, total
from .export import arrays, checkpoint_of, save_model
from .objective import Objective
from .run import Run
from .samples import draw_samples
from .settings import SketchSettings
from .warm import begin_from
from .workers import Workers

SAMPLES: Final = 30
"""Drawings on the contact sheet; a model of more classes shows some of them."""


def spec_of(settings: SketchSettings, labels: int, *, named: bool = False) -> NetworkSpec:
    """The network that the settings ask for; a single class gets no label vector unless ``named``."""
    several = labels > 1 or named
    return NetworkSpec(
        hidden=settings.hidden, cell=settings.cell, z_size=settings.z_size, encoder_hidden=settings.encoder_hidden,
        encoder_cell=settings.encoder_cell, labels=labels if several else 0,
        label_size=settings.label_size if several else 0, mixtures=settings.mixtures,
        recurrent_dropout=settings.recurrent_dropout, output_dropout=settings.output_dropout,
    )  # fmt: skip


class SketchRun(Run):
    """A training of a Sketch-RNN at some step.

    Args:
        settings: what is asked.
        data: the drawings; scale factor and lengths are measured on them.
        workers: this process among others.
        name: the model's name.
        init: a model to begin from, instead of from random weights.
    """

    counted: ClassVar[str] = "drawings"
    samples_ending: ClassVar[str] = "samples.svg"
    settings: SketchSettings
    net: SketchRNN

    def __init__(
        self, settings: SketchSettings, data: DrawingSet, workers: Workers, name: str, init: Checkpoint | None = None
    ) -> None:
        self.init = init.name if init is not None else None
        self.scale_factor, self.stage_units, self.longest = data.scale_factor(), data.stage_units(), data.longest()
        self.splits = {
            split: Sketches(part.drawings, part.label, self.scale_factor)
            for split, part in (("train", data.train), ("valid", data.valid), ("test", data.test))
        }
        torch.manual_seed(settings.seed)
        spec = spec_of(settings, len(data.labels), named=init is not None and bool(init.labels))
        net = SketchRNN(spec).to(workers.device)
        if init is not None:
            begin_from(net, data.labels, init)
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=settings.rate, weight_decay=settings.weight_decay, fused=True
        )
        super().__init__(settings, workers, name, data.labels, data.skipped, net, optimizer)
        self._objective = workers.wrap(Objective(net, self.dtype))
        self._watched = np.random.default_rng([settings.seed, 7]).permutation(len(self.splits["valid"]))

    @property
    def sizes(self) -> dict[str, int]:
        """Drawings of each split."""
        return {name: len(part) for name, part in self.splits.items()}

    def rate(self) -> float:
        """The learning rate of the next step."""
        asked = self.settings
        if asked.rate_shape == "cosine":
            return schedules.cosine(self.step, asked.steps, asked.rate, asked.rate_min)
        return schedules.exponential(self.step, asked.rate, asked.rate_decay, asked.rate_min)

    def kl_weight(self) -> float:
        """The weight of L_KL in the next step."""
        return schedules.kl_weight(self.step, self.settings.kl_weight, self.settings.kl_start, self.settings.kl_decay)

    def groups(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """See ``Run``."""
        return self.splits["train"].groups(self.settings.batch, rng)

    def clip(self) -> None:
        """By value, as magenta does."""
        schedules.clip_by_value(self.net.parameters(), self.settings.clip)

    def forward(self, group: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float], int]:
        """See ``Run``; KL is the mean over latent numbers and encoded drawings, 0 without an encoder."""
        asked, workers, weight = self.settings, self.workers, self.kl_weight()
        batch = self.splits["train"].augmented(group, rng, asked.scale_augment, asked.drop_augment)
        z_size, size = self.net.spec.z_size, len(group)
        noise = torch.from_numpy(rng.standard_normal((size, z_size), np.float32)) if z_size else None
        encoded = torch.from_numpy(rng.random(size) >= asked.z_dropout) if z_size else None
        mine = self.mine(size)
        self.seeded(rng)
        parts = self._objective(
            batch.select(mine).to(workers.device),
            noise[mine].to(workers.device) if noise is not None else None,
            encoded[mine].to(workers.device) if encoded is not None else None,
        )
        nats, _, divergence, count = parts
        sums = workers.summed(torch.stack([part.detach().double() for part in parts]))
        kl = float(sums[2] / sums[3]) if sums[3] else 0.0
        loss = nats / (size * self.longest)
        if z_size and sums[3] and kl > asked.kl_tolerance:
            loss = loss + weight * divergence / size
        loss = loss * workers.count
        if z_size:
            loss = loss + 0.0 * count  # the same graph in every process, also where none of its drawings is encoded
        return loss, {"nats per step": float(sums[0] / sums[1]), "KL": kl}, size

    def measure(self) -> tuple[float, dict[str, float]]:
        """See ``Run``.

        Models are chosen by L_R + kl_weight * max(L_KL, kl_tolerance), with the final kl_weight and z the posterior's
        mean, every row and one END per drawing in L_R; magenta's own rule has another weight by accident (0.01, see
        ``sketch_rnn_train.py``: the evaluation graph's kl_weight is never fed).
        """
        asked, net = self.settings, self.with_weights(self.average)
        assert isinstance(net, SketchRNN)
        ids = self._watched[: asked.eval_drawings]
        found = total(evaluate(net, self.splits["valid"], self.longest, ids=ids, dtype=self.dtype))
        figures = {"valid nats per step": float(found.nats_per_step)}
        if self.net.spec.z_size:
            figures["valid L_KL"] = float(found.l_kl)
        if asked.z_dropout and asked.z_size:
            without = total(evaluate(net, self.splits["valid"], self.longest, ids=ids, latent=False, dtype=self.dtype))
            figures["valid nats per step, without latent"] = float(without.nats_per_step)
        reconstruction = float(found.offset + found.pen + found.end) / (found.drawings * found.n_max)
        return reconstruction + asked.kl_weight * max(figures.get("valid L_KL", 0.0), asked.kl_tolerance), figures

    def finish(self) -> list[str]:
        """See ``Run``."""
        net = self.with_weights(self.kept)
        assert isinstance(net, SketchRNN)
        found = total(evaluate(net, self.splits["test"], self.longest, padded=True, dtype=self.dtype))
        self.losses |= {f"test {name}": value for name, value in figures(found, padded=True).items()}
        if self.settings.z_dropout and self.settings.z_size:
            without = total(evaluate(net, self.splits["test"], self.longest, latent=False, dtype=self.dtype))
            self.losses["test nats per step, without latent"] = float(without.nats_per_step)
        return [f"L_R is divided by N_max = {self.longest}"]

    def describe(self) -> str:
        """See ``Run``."""
        sizes = ", ".join(f"{count} {split}" for split, count in self.sizes.items())
        return (
            f"{sizes}; {len(self.data_labels)} classes; longest {self.longest} rows; "
            f"scale factor {self.scale_factor:.2f}"
        )

    def data(self) -> str:
        """See ``Run``."""
        classes = self.data_labels
        return f"{sum(self.sizes.values())} drawings, {f'{len(classes)} classes' if len(classes) > 1 else classes[0]}"

    def checkpoint(self, weights: Mapping[str, Tensor], facts: Mapping[str, Any], *, exact: bool = False) -> Checkpoint:
        """The model with these weights."""
        return checkpoint_of(self.net.spec, arrays(weights), facts, exact=exact)

    def check(self, facts: Mapping[str, Any], where: str) -> None:
        """See ``Run``."""
        check(self.checkpoint(self.average, facts, exact=True), where)

    def save(self, facts: Mapping[str, Any], path: Path) -> None:
        """See ``Run``."""
        save_model(self.checkpoint(self.kept, facts), facts, path)

    def samples(self, facts: Mapping[str, Any], path: Path) -> None:
        """See ``Run``."""
        draw_samples(self.checkpoint(self.average, facts, exact=True), path, count=SAMPLES, seed=self.settings.seed)

    def facts(self) -> dict[str, Any]:
        """See ``Run``."""
        own = {"scale_factor": self.scale_factor, "stage_units": self.stage_units, "longest": self.longest}
        return super().facts() | own | {"init": self.init}

    def changed(self, facts: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """See ``Run``."""
        found = super().changed(facts)
        if facts.get("longest") != self.longest:
            found["the data's longest"] = (facts.get("longest"), self.longest)
        scale = facts.get("scale_factor", 0.0)
        if not math.isclose(scale, self.scale_factor, rel_tol=1e-6):  # the drawings themselves
            found["the data's scale factor"] = (scale, self.scale_factor)
        if facts.get("init", self.init) != self.init:  # older states do not say
            found["--init"] = (facts["init"], self.init)
        return found
