"""N voices of a text model on a device: their memory, and the programs that work on it.

``step`` draws one token for every voice, and has a variant for each of what costs time: ``+cut`` where somebody has a
top_k, top_p or min_p, ``+bias`` where somebody has a bias. ``update`` runs the model of those voices whose ``live`` is
1 and shows the logits; ``act`` draws from logits that the host may have changed; ``undo`` takes an ``update`` back.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import TextCheckpoint
from . import cuda_sampling, cuda_text_sampling
from .cuda_cells import Placed
from .cuda_graph import Block, Programs
from .cuda_sampling import DONE, FLAGS, NUMBER, OWN, STEP, X
from .cuda_text_fused import TextFused
from .cuda_text_models import text_model
from .cuda_text_sampling import CONTROLS, FIELDS, GIVEN

_BIASES_AT_ONCE: Final = 2**26
"""Bytes of biases up to which their memory is taken, and their programs captured, when a model is opened."""


class TextMachine:
    """Memory and programs; the host's side is ``cuda_text``."""

    def __init__(
        self, checkpoint: TextCheckpoint, size: int, device: torch.device, products: torch.dtype, *, fused: bool = False
    ) -> None:
        self.device, self.size, self.tokens = device, size, len(checkpoint.vocabulary)
        self._max_steps = checkpoint.max_steps
        self.model = text_model(checkpoint, size, Placed(device, products))
        self.own = Block((size, OWN), torch.int64, device)
        self.controls = Block((size, CONTROLS), torch.float64, device)
        """What changes live, copied by the programs themselves."""
        self.labels = Block((size, checkpoint.label_size), torch.float32, device)
        self.live = Block((size,), torch.int64, device)
        self.logits = Block((size, self.tokens), torch.float32, device)
        self.chance = Block((size + 2,), torch.float64, device)
        """Uniforms, whether they are to be used instead of the device's own, and whether ``act`` counts as a step."""
        self.results = Block((size * FIELDS + 1,), torch.int64, device)
        """Records, then the number of steps made."""
        self.looks = Block((1,), torch.int64, device)
        """How many times ``update`` ran."""
        self.biases: tuple[Block, Block] | None = None
        """Hard and soft, (N, V) each, from the first constraint on."""
        self._kept = tuple(
            torch.zeros_like(v) for v, ring in zip(self.model.state, self.model.rings, strict=True) if not ring
        )
        self._fused: TextFused | None = TextFused(checkpoint, self, products) if fused else None
        self.programs = Programs(device)
        for name, cut in (("step", False), ("step+cut", True)):
            self._add(name, partial(self._step, cut=cut))
        self._add("act", partial(self._act_only, cut=True))
        self._add("update", self._update_only)
        self._add("undo", self._undo)
        if 8 * size * self.tokens <= _BIASES_AT_ONCE:
            self.make_biases()

    def make_biases(self) -> tuple[Block, Block]:
        """Room for biases, and the programs that look at them."""
        if self.biases is None:
            hard, soft = (Block((self.size, self.tokens), torch.float32, self.device) for _ in range(2))
            self.biases = hard, soft
            for name, cut in (("step+bias", False), ("step+bias+cut", True)):
                self._add(name, partial(self._step, cut=cut, biased=True))
            self._add("act", partial(self._act_only, cut=True, biased=True))
        return self.biases

    def _add(self, name: str, function: Callable[[], None]) -> None:
        """Takes a program up; what its warm-up told the host is taken back."""
        blocks = self.own, self.controls, self.live, self.logits, self.chance, self.results, self.looks
        self.programs.add(name, function, (*(block.device for block in blocks), *self.model.state, *self._kept))
        for block in (self.results, self.looks):
            block.down()
        self.programs.settle()

    def push(self) -> None:
        """Counters, last tokens and labels as the host has them go to the device."""
        self.own.up()
        self.labels.up()

    # What the programs do

    def _step(self, *, cut: bool, biased: bool = False) -> None:
        self.controls.up()
        self._act(self._update(None), self._uniforms(), None, cut=cut, biased=biased)
        self.results.device[-1] += 1
        self.results.down()

    def _update(self, live: Tensor | None) -> Tensor:
        """The model takes the last token; the logits (N, V). A finished piece gives way to the next first."""
        own = self.own.device
        done = own[:, FLAGS] >= DONE
        if live is not None:
            done = done & live
        own[:, NUMBER] += done
        own[:, STEP : FLAGS + 1].masked_fill_(done[:, None], 0)  # step, token (END), flags
        if self._fused is not None and self._fused.layers:
            return self._fused.step(live)
        return self.model.step(own[:, X], own[:, STEP], self.labels.device, live)

    def _uniforms(self) -> Tensor:
        """The voices' own, (N,)."""
        every = cuda_sampling.uniforms(self.own.device) if self._fused is None else self._fused.uniforms()
        return every[:, 0]

    def _act(self, logits: Tensor, u: Tensor, live: Tensor | None, *, cut: bool, biased: bool) -> None:
        biases = (self.biases[0].device, self.biases[1].device) if biased and self.biases else None
        drawn = cuda_text_sampling.draw(logits, self.controls.device, u, biases, cut=cut)
        results = self.results.device[:-1].view(self.size, FIELDS)
        cuda_text_sampling.act(self.own.device, results, drawn, live, self._max_steps)

    def _update_only(self) -> None:
        self.live.up()
        for kept, values in zip(self._kept, self._solid(), strict=True):
            kept.copy_(values)
        self.logits.device.copy_(self._update(self.live.device.bool()))
        self.logits.down()
        self.looks.device += 1
        self.looks.down()

    def _act_only(self, *, cut: bool, biased: bool = False) -> None:
        for block in (self.controls, self.live, self.logits, self.chance):
            block.up()
        given = self.chance.device
        u = torch.where(given[-2] != 0, given[:-2], self._uniforms())
        self._act(self.logits.device, u, self.live.device.bool(), cut=cut, biased=biased)
        self.results.device[-1] += given[-1].long()
        self.results.down()

    def _undo(self) -> None:
        for kept, values in zip(self._kept, self._solid(), strict=True):
            values.copy_(kept)

    def _solid(self) -> list[Tensor]:
        """The states that are no rings."""
        return [values for values, ring in zip(self.model.state, self.model.rings, strict=True) if not ring]

    # What the host reads and writes

    def state(self, used: int) -> tuple[NDArray[np.float32], ...]:
        """What the voices remember; of rings the first ``used`` places."""
        pairs = zip(self.model.state, self.model.rings, strict=True)
        return tuple((v[:, :, :used] if ring else v).float().cpu().numpy().copy() for v, ring in pairs)

    def put_state(self, state: tuple[NDArray[np.float32], ...]) -> None:
        """Sets what ``state`` gave."""
        for values, ring, part in zip(self.model.state, self.model.rings, state, strict=True):
            target = values[:, :, : part.shape[ring]] if ring else values
            target.copy_(torch.from_numpy(np.ascontiguousarray(part)))


assert GIVEN == CONTROLS - 1
