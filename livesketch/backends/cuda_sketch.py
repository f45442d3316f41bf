"""N voices of a sketch model on a device: their memory, and the programs that work on it.

``step`` makes one pen action for every voice. ``update`` runs the cell and the head of those voices whose ``live`` is 1
and shows the head; ``act`` samples from a head that the host may have changed; ``undo`` takes an ``update`` back.
``many`` makes several steps without the host.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.checkpoint import Checkpoint
from . import cell_math, cuda_cells, cuda_sampling
from .cuda_fused import Fused
from .cuda_graph import Block, Branch, Programs
from .cuda_sampling import DONE, FIELDS, FLAGS, NUMBER, OWN, STEP, Y
from .numpy_batch import Constants

_MANY: Final = 32
"""Steps in one graph."""
_RING: Final = 2**25
"""Bytes of actions that one such graph gives, at most."""


class SketchMachine:
    """Memory and programs; the host's side is ``cuda_batch``."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        constants: Constants,
        size: int,
        device: torch.device,
        products: torch.dtype,
        *,
        fused: bool = False,
    ) -> None:
        self.device, self.size = device, size
        self.units, self.outputs = len(constants.start_b) // 2, 3 + 6 * checkpoint.mixtures
        self._scale, self._max_steps = checkpoint.scale_factor, checkpoint.max_steps
        tensors, placed = checkpoint.tensors, cuda_cells.Placed(device, products)
        self.cell_weights = placed.cell(cell_math.cell_of(tensors, "decoder", checkpoint.cell, checkpoint.forget_bias))
        self.head_w, self.head_b = placed.matrix(tensors["head.w"].dense()), placed.vector(tensors["head.b"].dense())
        self.token = placed.vector(np.array(checkpoint.start_token))
        self._allocate(len(constants.bias), products)
        self._fused: Fused | None = Fused(checkpoint, self, products) if fused else None
        self.programs = Programs(device)
        for name, function in self._functions().items():
            self._add(name, function)

    def _add(self, name: str, function: Callable[[], None]) -> None:
        """Takes a program up; what its warm-up told the host is taken back."""
        self.programs.add(name, function, self.memory)
        for block in (self.results, self.looks):
            block.down()
        self.programs.settle()

    def _allocate(self, sums: int, products: torch.dtype) -> None:
        size, units, device = self.size, self.units, self.device
        self.own, self.given = Block((size, OWN), torch.int64, device), Block((size, 5), torch.float32, device)
        self.heat = Block((size, 2), torch.float64, device)
        """Divisor and spread: what changes live, copied by the programs themselves."""
        self.which = Block((size,), torch.int64, device)
        """Of each voice, the row of ``rows`` and ``starts``."""
        self.live = Block((size,), torch.int64, device)
        self.head = Block((size, self.outputs), torch.float32, device)
        self.chance = Block((size + 1, 4), torch.float64, device)
        """Uniforms to use instead of the device's own where the last row is not 0."""
        self.results = Block((size * FIELDS + 1,), torch.int64, device)
        """ACTION records, then the number of steps made."""
        self.looks = Block((1,), torch.int64, device)
        """How many times ``update`` ran."""
        # What conditions make, each kept once however many voices have it; one row more than there can be in use.
        self.rows = torch.zeros((size + 1, sums), device=device)
        self.starts = torch.zeros((2, size + 1, units), device=device)
        # h is read by products alone, which would round it anyway.
        self.hidden = torch.zeros((size, units), dtype=products, device=device)
        self.cell = torch.zeros((size, units), device=device)
        self._before = torch.zeros_like(self.hidden), torch.zeros_like(self.cell)

    @property
    def memory(self) -> tuple[Tensor, ...]:
        """What programs change."""
        blocks = self.own, self.given, self.heat, self.live, self.head, self.chance, self.results, self.looks
        return (*(block.device for block in blocks), self.hidden, self.cell, *self._before)

    def _functions(self) -> dict[str, Callable[[], None]]:
        return {"step": self._step, "update": self._update_only, "act": self._act_only, "undo": self._undo}

    def push(self) -> None:
        """Counters, places, inputs and conditions' rows as the host has them go to the device."""
        self.own.up()
        self.given.up()
        self.which.up()

    # What the programs do

    def _step(self) -> None:
        self.heat.up()
        self._make(0)
        self._made(0)
        self.results.down()

    def _make(self, turn: int) -> None:
        """One step of all voices; see ``Fused.update``."""
        if self._fused is None:
            self._act(self._update(None), cuda_sampling.uniforms(self.own.device))
        elif self._fused.cells:
            self._fused.update(None, turn, act=True)
        else:
            self.head.device.copy_(self._update(None))
            self._fused.act(given=False)

    def _made(self, turn: int) -> None:
        if self._fused is not None:
            self._fused.settle(turn)

    def _update(self, live: Tensor | None) -> Tensor:
        """The cell takes the given input; the head (N, 3 + 6M). A finished drawing gives way to the next first."""
        own, which = self.own.device, self.which.device
        done = own[:, FLAGS] >= DONE
        if live is not None:
            done = done & live
        own[:, NUMBER] += done
        own[:, STEP : Y + 2].masked_fill_(done[:, None], 0)  # step, x, y, flags
        fresh = (own[:, STEP] == 0)[:, None]
        given = torch.where(fresh, self.token, self.given.device)
        hidden = torch.where(fresh, self.starts[0, which].to(self.hidden.dtype), self.hidden)
        cell = torch.where(fresh, self.starts[1, which], self.cell)
        new, new_c = cuda_cells.step(self.cell_weights, given, hidden, cell, self.rows[which])
        head = cuda_cells.added(self.head_b, new[:, : self.cell_weights.units], self.head_w)
        if live is not None:
            new, new_c = (torch.where(live[:, None], *both) for both in ((new, self.hidden), (new_c, self.cell)))
        self.hidden.copy_(new)
        self.cell.copy_(new_c)
        return head

    def _act(self, head: Tensor, uniforms: Tensor) -> None:
        """Samples and moves every voice; counts the step."""
        chosen = cuda_sampling.sample(head, self.heat.device, uniforms)
        results = self.results.device
        actions = results[:-1].view(self.size, FIELDS)
        cuda_sampling.act(self.own.device, self.given.device, actions, chosen, self._scale, self._max_steps)
        results[-1] += 1

    def _update_only(self) -> None:
        self.live.up()
        for kept, values in zip(self._before, (self.hidden, self.cell), strict=True):
            kept.copy_(values)
        if self._fused is not None and self._fused.cells:
            self._fused.update(self.live.device, 0, act=False)
            self._fused.settle(0)
        else:
            self.head.device.copy_(self._update(self.live.device.bool()))
        self.head.down()
        self.looks.device += 1
        self.looks.down()

    def _act_only(self) -> None:
        for block in (self.heat, self.head, self.chance):
            block.up()
        if self._fused is not None:
            self._fused.act(given=True)
        else:
            given, own = self.chance.device, cuda_sampling.uniforms(self.own.device)
            self._act(self.head.device, torch.where(given[-1, :1] != 0, given[:-1], own))
        self.results.down()

    def _undo(self) -> None:
        self.hidden.copy_(self._before[0])
        self.cell.copy_(self._before[1])

    # Many steps

    def ring(self) -> int:
        """How many steps ``many0`` and ``many1`` make, captured when this is first asked; ``one`` makes one."""
        if "one" not in self.programs:
            length = max(1, min(_MANY, _RING // (8 * FIELDS * self.size)))
            self.rings = [Block((length, self.size * FIELDS), torch.int64, self.device) for _ in range(2)]
            for k, ring in enumerate(self.rings):
                self._add(f"many{k}", partial(self._many, ring, length))
            self._add("one", partial(self._many, self.rings[0], 1))
        return len(self.rings[0].host)

    def _many(self, ring: Block, count: int) -> None:
        branch = Branch(self.device)
        for k in range(count):
            self._make(k % 2)
            if k == count - 1:
                self._made(k % 2)
            ring.device[k].copy_(self.results.device[:-1])
            branch.copy(ring.device[k], ring.host[k])
        branch.join()
        self.results.down()

    # What the host reads and writes

    def state(self) -> Sequence[NDArray[np.float32]]:
        """The h and c, (N, S) each."""
        return [
            values.float().cpu().numpy().copy() for values in (self.hidden, self.cell)
        ]  # on the CPU it is the same memory

    def put_state(self, hidden: NDArray[np.float32], cell: NDArray[np.float32]) -> None:
        """Sets h and c."""
        self.hidden.copy_(torch.from_numpy(np.ascontiguousarray(hidden)))
        self.cell.copy_(torch.from_numpy(np.ascontiguousarray(cell)))

    def kept(self) -> tuple[Tensor, Tensor]:
        """The h and c, on the device."""
        return self.hidden.clone(), self.cell.clone()

    def put_back(self, kept: tuple[Tensor, Tensor], steps: int) -> None:
        """Sets what ``kept`` gave, and how many steps were made."""
        self.hidden.copy_(kept[0])
        self.cell.copy_(kept[1])
        self.results.device[-1] = steps
        self.results.down()
        self.programs.settle()

    def put_row(
        self, row: int, sums: NDArray[np.float64], hidden: NDArray[np.float64], cell: NDArray[np.float64]
    ) -> None:
        """Sets what a condition makes."""
        self.rows[row].copy_(torch.from_numpy(sums.astype(np.float32)))
        for start, values in zip(self.starts, (hidden, cell), strict=True):
            start[row].copy_(torch.from_numpy(values.astype(np.float32)))
