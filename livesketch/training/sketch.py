"""Training a Sketch-RNN: one step, evaluation, and where it stands, ready to be stopped at any moment.

The same settings, data and step give the same batch, noise and dropout whatever happened before, so that a training
that was killed and goes on ends with the same weights as one that was not (on one machine, with as many threads).
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.drawings import DrawingSet
from ..errors import ControlError, TrainingError
from ..models.checkpoint import Checkpoint
from ..models.network import NetworkSpec, SketchRNN
from . import schedules
from .batches import Sketches
from .evaluation import evaluate, total
from .objective import Objective
from .settings import SketchSettings
from .state import State
from .warm import begin_from
from .workers import Workers


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step as it went, over the whole batch of all processes."""

    step: int
    nats: float
    """Per step of a drawing."""
    kl: float
    """Mean over latent numbers and encoded drawings; 0 without an encoder."""
    rate: float
    drawings: int


def spec_of(settings: SketchSettings, labels: int, *, named: bool = False) -> NetworkSpec:
    """The network that the settings ask for; a single class gets no label vector unless ``named``."""
    several = labels > 1 or named
    return NetworkSpec(
        hidden=settings.hidden, cell=settings.cell, z_size=settings.z_size, encoder_hidden=settings.encoder_hidden,
        encoder_cell=settings.encoder_cell, labels=labels if several else 0,
        label_size=settings.label_size if several else 0, mixtures=settings.mixtures,
        recurrent_dropout=settings.recurrent_dropout, output_dropout=settings.output_dropout,
    )  # fmt: skip


def precision_of(settings: SketchSettings, device: torch.device) -> torch.dtype:
    """What matrices are multiplied in; ``auto`` takes bfloat16 where the processor has instructions for it."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bf16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class SketchRun:
    """A training at some step.

    Args:
        settings: what is asked.
        data: the drawings; scale factor and lengths are measured on them.
        workers: this process among others.
        name: the model's name.
        init: a model to begin from, instead of from random weights.
    """

    def __init__(
        self, settings: SketchSettings, data: DrawingSet, workers: Workers, name: str, init: Checkpoint | None = None
    ) -> None:
        self.settings, self.workers, self.data_labels, self.name = settings, workers, data.labels, name
        self.init = init.name if init is not None else None
        self.scale_factor, self.stage_units, self.longest = data.scale_factor(), data.stage_units(), data.longest()
        self.splits = {
            split: Sketches(part.drawings, part.label, self.scale_factor)
            for split, part in (("train", data.train), ("valid", data.valid), ("test", data.test))
        }
        torch.manual_seed(settings.seed)
        spec = spec_of(settings, len(data.labels), named=init is not None and bool(init.labels))
        self.net = SketchRNN(spec).to(workers.device)
        if init is not None:
            begin_from(self.net, data.labels, init)
        self.average = {key: value.detach().clone() for key, value in self.net.tensors().items()}
        self.dtype = precision_of(settings, workers.device)
        self._objective = workers.wrap(Objective(self.net, self.dtype))
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=settings.rate, weight_decay=settings.weight_decay, fused=True
        )
        self.step = self.epoch = self._place = 0
        self.seconds = 0.0
        self.best, self.best_step, self.waited = math.inf, 0, 0
        self.losses: dict[str, float] = {}
        self.kept: dict[str, Tensor] = {}
        """The averaged weights of the best look."""
        self._groups: list[NDArray[np.int64]] = []
        self._watched = np.random.default_rng([settings.seed, 7]).permutation(len(self.splits["valid"]))

    def rate(self) -> float:
        """The learning rate of the next step."""
        asked = self.settings
        if asked.rate_shape == "cosine":
            return schedules.cosine(self.step, asked.steps, asked.rate, asked.rate_min)
        return schedules.exponential(self.step, asked.rate, asked.rate_decay, asked.rate_min)

    def kl_weight(self) -> float:
        """The weight of L_KL in the next step."""
        return schedules.kl_weight(self.step, self.settings.kl_weight, self.settings.kl_start, self.settings.kl_decay)

    def _next_group(self) -> NDArray[np.int64]:
        """The drawings of the next step, the same in all processes."""
        if not self._groups:
            self._groups = self._shuffled()
        group = self._groups[self._place]
        self._place += 1
        if self._place == len(self._groups):
            self.epoch, self._place, self._groups = self.epoch + 1, 0, []
        return group

    def _shuffled(self) -> list[NDArray[np.int64]]:
        """This epoch's groups; those with fewer drawings than there are processes are left out of it."""
        rng = np.random.default_rng([self.settings.seed, 1, self.epoch])
        groups = self.splits["train"].groups(self.settings.batch, rng)
        enough = [group for group in groups if len(group) >= self.workers.count]
        if not enough:
            raise ControlError(
                f"{self.workers.count} processes share batches of at most {max(map(len, groups))} drawings; expected one "
                "drawing each; start fewer processes, or give more drawings or a larger --batch"
            )
        return enough

    def advance(self) -> StepReport:
        """One step: forward, backward, clipping by value, Adam.

        Raises:
            TrainingError: the loss or a gradient is not finite; the weights are as they were before.
        """
        began, asked, workers = time.monotonic(), self.settings, self.workers
        rate, weight = self.rate(), self.kl_weight()
        group = self._next_group()
        rng = np.random.default_rng([asked.seed, 2, self.step])
        batch = self.splits["train"].augmented(group, rng, asked.scale_augment, asked.drop_augment)
        z_size, size = self.net.spec.z_size, len(group)
        noise = torch.from_numpy(rng.standard_normal((size, z_size), np.float32)) if z_size else None
        encoded = torch.from_numpy(rng.random(size) >= asked.z_dropout) if z_size else None
        mine = torch.arange(workers.rank, size, workers.count)
        torch.manual_seed(int(rng.integers(2**62)) + workers.rank)  # dropout
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
        loss = loss * workers.count  # gradients are averaged over the processes, and this is a share of a sum
        if z_size:
            loss = loss + 0.0 * count  # the same graph in every process, also where none of its drawings is encoded
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._check(float(sums[0]), rate)
        schedules.clip_by_value(self.net.parameters(), asked.clip)
        for options in self.optimizer.param_groups:
            options["lr"] = rate
        self.optimizer.step()
        self._follow()
        self.step += 1
        self.seconds += time.monotonic() - began
        return StepReport(self.step, float(sums[0] / sums[1]), kl, rate, size)

    def _check(self, nats: float, rate: float) -> None:
        finite = math.isfinite(nats) and all(
            bool(torch.isfinite(part.grad).all()) for part in self.net.parameters() if part.grad is not None
        )
        if not self.workers.agree(finite):
            raise TrainingError(
                f"step {self.step}: the loss is {nats:g} or a gradient is not finite, at learning rate {rate:g}; the "
                "state that was saved last is sound: go on from it with a smaller --rate, or with --precision fp32"
            )

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average towards the weights; over fewer steps in the beginning."""
        share = 1 - min(self.settings.average, (1 + self.step) / (10 + self.step)) if self.settings.average else 1.0
        weights = [value.detach() for value in self.net.tensors().values()]
        torch._foreach_lerp_(list(self.average.values()), weights, share)

    def averaged(self) -> SketchRNN:
        """A network with the averaged weights."""
        net = SketchRNN(self.net.spec).to(self.workers.device)
        net.load(self.average)
        return net

    def look(self) -> tuple[float, dict[str, float]]:
        """Evaluates the averaged weights on validation drawings: (what models are chosen by, figures).

        Models are chosen by L_R + kl_weight * max(L_KL, kl_tolerance), with the final kl_weight and z the posterior's
        mean, every row and one END per drawing in L_R; magenta's own rule has another weight by accident (0.01, see
        ``sketch_rnn_train.py``: the evaluation graph's kl_weight is never fed).
        """
        asked, net = self.settings, self.averaged()
        ids = self._watched[: asked.eval_drawings]
        found = total(evaluate(net, self.splits["valid"], self.longest, ids=ids, dtype=self.dtype))
        figures = {"valid nats per step": float(found.nats_per_step)}
        if self.net.spec.z_size:
            figures["valid L_KL"] = float(found.l_kl)
        if asked.z_dropout and asked.z_size:
            without = total(evaluate(net, self.splits["valid"], self.longest, ids=ids, latent=False, dtype=self.dtype))
            figures["valid nats per step, without latent"] = float(without.nats_per_step)
        reconstruction = float(found.offset + found.pen + found.end) / (found.drawings * found.n_max)
        chosen = reconstruction + asked.kl_weight * max(figures.get("valid L_KL", 0.0), asked.kl_tolerance)
        better = chosen < self.best
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best, self.best_step, self.losses = chosen, self.step, figures
            self.kept = {name: value.clone() for name, value in self.average.items()}
        return chosen, figures

    def facts(self) -> dict[str, Any]:
        """Counters, settings and what was measured, as JSON values."""
        return {
            "name": self.name, "settings": self.settings.values(), "options": self.settings.command(),
            "labels": list(self.data_labels), "scale_factor": self.scale_factor, "stage_units": self.stage_units,
            "longest": self.longest, "sizes": {name: len(part) for name, part in self.splits.items()},
            "step": self.step, "epoch": self.epoch, "place": self._place, "seconds": self.seconds,
            "best": self.best if math.isfinite(self.best) else None, "best_step": self.best_step, "waited": self.waited,
            "losses": self.losses, "init": self.init,
        }  # fmt: skip

    def state(self) -> State:
        """All of it, to be saved."""
        tensors: dict[str, Tensor] = {}
        for name, weight in self.net.tensors().items():
            tensors[f"weights/{name}"], tensors[f"average/{name}"] = weight, self.average[name]
            if self.kept:
                tensors[f"kept/{name}"] = self.kept[name]
            moments = self.optimizer.state.get(weight, {})
            if moments:
                tensors[f"moment1/{name}"], tensors[f"moment2/{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        return State(self.facts(), tensors)

    @torch.no_grad()
    def resume(self, state: State) -> None:
        """Goes on from a saved state.

        Raises:
            TrainingError: it is of other data or other settings.
        """
        facts = state.facts
        self._must_match(facts)
        self.net.load(state.part("weights"))
        for name, value in state.part("average").items():
            self.average[name].copy_(value)
        self.kept = {name: value.to(self.workers.device) for name, value in state.part("kept").items()}
        first, second = state.part("moment1"), state.part("moment2")
        for name, weight in self.net.tensors().items():
            if name in first:
                self.optimizer.state[weight] = {
                    "step": torch.tensor(float(facts["step"]), device=weight.device),
                    "exp_avg": first[name].to(weight.device), "exp_avg_sq": second[name].to(weight.device),
                }  # fmt: skip
        self.step, self.epoch, self._place = facts["step"], facts["epoch"], facts["place"]
        self.seconds, self.losses = facts["seconds"], dict(facts["losses"])
        self.best = math.inf if facts["best"] is None else facts["best"]
        self.best_step, self.waited, self._groups = facts["best_step"], facts["waited"], self._shuffled()

    def _must_match(self, facts: Mapping[str, Any]) -> None:
        changed = self.settings.must_agree(facts["settings"])
        now = self.facts()
        for name in ("labels", "sizes", "longest"):
            if facts[name] != now[name]:
                changed[f"the data's {name}"] = (facts[name], now[name])
        if not math.isclose(facts["scale_factor"], now["scale_factor"], rel_tol=1e-6):  # the drawings themselves
            changed["the data's scale factor"] = (facts["scale_factor"], now["scale_factor"])
        if facts.get("init", now["init"]) != now["init"]:  # older states do not say
            changed["--init"] = (facts["init"], now["init"])
        if changed:
            lines = "; ".join(f"{name} was {str(old)[:60]}, is {str(new)[:60]}" for name, (old, new) in changed.items())
            raise TrainingError(
                f"the training that was begun here differs: {lines}; give the same data and options to go on, "
                "or --fresh to begin anew"
            )
