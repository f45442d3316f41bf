"""A training at some step, whatever it learns, ready to be stopped at any moment.

The same settings, data and step give the same batch, noise and dropout whatever happened before, so that a training
that was killed and goes on ends with the same weights as one that was not (on one machine, with as many threads).
"""

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.found import Skipped
from ..errors import ControlError, TrainingError
from ..models.weights import NamedWeights
from .options import Settings
from .state import State
from .workers import Workers


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step as it went, over the whole batch of all processes."""

    step: int
    shown: Mapping[str, float]
    """What there is to see of it, by name."""
    count: int
    """Drawings, or tokens."""


def precision_of(settings: Settings, device: torch.device) -> torch.dtype:
    """What matrices are multiplied in; ``auto`` takes bfloat16 where the processor has instructions for it."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bf16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class Run(ABC):
    """What all trainings are: counters, the average of the weights, the kept ones, and their state.

    Args:
        settings: what is asked.
        workers: this process among others.
        name: the model's name.
        labels: names of the data's classes.
        skipped: what of the data was left out.
        net: the network, on its device, with the weights to begin with.
        optimizer: of its parameters; its learning rate is set at each step.
    """

    counted: ClassVar[str]
    """What ``StepReport.count`` counts."""
    samples_ending: ClassVar[str]
    """Of the file of samples beside the model."""

    def __init__(
        self, settings: Settings, workers: Workers, name: str, labels: Sequence[str], skipped: Sequence[Skipped],
        net: NamedWeights, optimizer: torch.optim.Optimizer,
    ) -> None:  # fmt: skip
        self.settings, self.workers, self.name = settings, workers, name
        self.data_labels, self.skipped = tuple(labels), tuple(skipped)
        self.net, self.optimizer = net, optimizer
        self.average = {key: value.detach().clone() for key, value in net.tensors().items()}
        self.dtype = precision_of(settings, workers.device)
        self.step = self.epoch = self._place = 0
        self.seconds = 0.0
        self.best, self.best_step, self.waited = math.inf, 0, 0
        self.losses: dict[str, float] = {}
        self.saved = False
        """Whether there is a saved state to go on from."""
        self.kept: dict[str, Tensor] = {}
        """The averaged weights of the best look."""
        self._groups: list[NDArray[np.int64]] = []

    # What a kind of training decides

    @property
    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """How many examples each split has."""

    @abstractmethod
    def rate(self) -> float:
        """The learning rate of the next step."""

    @abstractmethod
    def groups(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """The batches of an epoch, as numbers of examples."""

    @abstractmethod
    def forward(self, group: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float], int]:
        """A batch's loss, to go back from; what is shown of it, all processes together, nats first; its count.

        Gradients are averaged over the processes, so the loss is this process's share times their number.
        """

    @abstractmethod
    def clip(self) -> None:
        """Bounds the gradients."""

    @abstractmethod
    def measure(self) -> tuple[float, dict[str, float]]:
        """The averaged weights on validation examples: (what models are chosen by, the lowest; figures)."""

    @abstractmethod
    def finish(self) -> list[str]:
        """Measures the kept weights on the test examples, into ``losses``; what to say about it."""

    @abstractmethod
    def describe(self) -> str:
        """The data, in a line."""

    @abstractmethod
    def data(self) -> str:
        """The data, for the checkpoint and the card."""

    @abstractmethod
    def check(self, facts: Mapping[str, Any], where: str) -> None:
        """CheckpointError: a name or a class that no model file can have; ``facts`` as for ``save``."""

    @abstractmethod
    def save(self, facts: Mapping[str, Any], path: Path) -> None:
        """Writes the kept weights as a model, and its card.

        ``facts``: ``self.facts()`` and licence, attribution, data, skipped, sources, options, device, precision, began.
        """

    @abstractmethod
    def samples(self, facts: Mapping[str, Any], path: Path) -> None:
        """Writes what the averaged weights make."""

    # What all have

    def next_group(self) -> NDArray[np.int64]:
        """The examples of the next step, the same in all processes."""
        if not self._groups:
            self._groups = self._shuffled()
        group = self._groups[self._place]
        self._place += 1
        if self._place == len(self._groups):
            self.epoch, self._place, self._groups = self.epoch + 1, 0, []
        return group

    def _shuffled(self) -> list[NDArray[np.int64]]:
        """This epoch's groups; those with fewer examples than there are processes are left out of it."""
        groups = self.groups(np.random.default_rng([self.settings.seed, 1, self.epoch]))
        enough = [group for group in groups if len(group) >= self.workers.count]
        if not enough:
            raise ControlError(
                f"{self.workers.count} processes share batches of at most {max(map(len, groups))} examples; expected one "
                "each; start fewer processes, or give more data or a larger --batch"
            )
        return enough

    def advance(self) -> StepReport:
        """One step: forward, backward, clipping, the optimizer.

        Raises:
            TrainingError: the loss or a gradient is not finite; the weights are as they were before.
        """
        began, rate, group = time.monotonic(), self.rate(), self.next_group()
        rng = np.random.default_rng([self.settings.seed, 2, self.step])
        loss, shown, count = self.forward(group, rng)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._check(next(iter(shown.values())), rate)
        self.clip()
        for options in self.optimizer.param_groups:
            options["lr"] = rate
        self.optimizer.step()
        self._follow()
        self.step += 1
        self.seconds += time.monotonic() - began
        return StepReport(self.step, shown, count)

    def _check(self, nats: float, rate: float) -> None:
        finite = math.isfinite(nats) and all(
            bool(torch.isfinite(part.grad).all()) for part in self.net.parameters() if part.grad is not None
        )
        if not self.workers.agree(finite):
            state = (
                "the state that was saved last is sound: go on from it"
                if self.saved
                else "nothing was saved yet: begin again"
            )
            raise TrainingError(
                f"step {self.step}: the loss is {nats:g} or a gradient is not finite, at learning rate {rate:g}; {state} "
                "with a smaller --rate, or with --precision fp32"
            )

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average towards the weights; over fewer steps in the beginning."""
        share = 1 - min(self.settings.average, (1 + self.step) / (10 + self.step)) if self.settings.average else 1.0
        weights = [value.detach() for value in self.net.tensors().values()]
        torch._foreach_lerp_(list(self.average.values()), weights, share)

    def seeded(self, rng: np.random.Generator) -> None:
        """Seeds this process's dropout for a step."""
        torch.manual_seed(int(rng.integers(2**62)) + self.workers.rank)

    def mine(self, size: int) -> Tensor:
        """The places of this process's examples in a batch of ``size``."""
        return torch.arange(self.workers.rank, size, self.workers.count)

    def with_weights(self, weights: Mapping[str, Tensor]) -> NamedWeights:
        """A network like the one in training, with other weights."""
        net = copy.deepcopy(self.net)
        net.load(weights)
        return net

    def look(self) -> dict[str, float]:
        """Evaluates the averaged weights, and keeps them where they are the best so far; figures by name."""
        chosen, figures = self.measure()
        better = chosen < self.best
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best, self.best_step, self.losses = chosen, self.step, figures
            self.kept = {name: value.clone() for name, value in self.average.items()}
        return figures

    def facts(self) -> dict[str, Any]:
        """Counters, settings and what was measured, as JSON values."""
        return {
            "name": self.name, "settings": self.settings.values(), "options": self.settings.command(),
            "labels": list(self.data_labels), "sizes": self.sizes, "step": self.step, "epoch": self.epoch,
            "place": self._place, "seconds": self.seconds, "best": self.best if math.isfinite(self.best) else None,
            "best_step": self.best_step, "waited": self.waited, "losses": self.losses,
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
        self.saved = True
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

    def changed(self, facts: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What of the data is another than in a saved state: name to (before, now)."""
        now = {"labels": list(self.data_labels), "sizes": self.sizes}
        return {f"the data's {name}": (facts[name], value) for name, value in now.items() if facts[name] != value}

    def _must_match(self, facts: Mapping[str, Any]) -> None:
        changed = self.settings.must_agree(facts["settings"]) | self.changed(facts)
        if changed:
            lines = "; ".join(f"{name} was {str(old)[:60]}, is {str(new)[:60]}" for name, (old, new) in changed.items())
            raise TrainingError(
                f"the training that was begun here differs: {lines}; give the same data and options to go on, "
                "or --fresh to begin anew"
            )
