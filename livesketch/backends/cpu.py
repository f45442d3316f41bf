"""The cpu backend: float32 arithmetic on int16 weights, nothing allocated per step.

A step calls the cell's kernel and sampling's; ``cpu_layout`` lays out the weights, this module the voices.
Sampling computes in float64 from the float32 density, so that its choices part from the reference only at near-ties.
"""

import gc
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendUnavailableError
from ..models.checkpoint import Checkpoint, TextCheckpoint
from .cpu_layout import behind_gates, laid_out, padded
from .crew import crew, shares
from .kernels import common, sampling
from .kernels.tiles import BF16
from .numpy_batch import NumpyBatch
from .protocol import ACTION, Steer

if TYPE_CHECKING:
    from .text_cpu import TextCpuBatch


@dataclass(frozen=True, slots=True)
class Share:
    """What one thread steps."""

    voices: slice
    weights: tuple[Any, ...]
    """As the kernel takes them, with scratch memory of its own."""
    count: NDArray[np.int64]


class CpuBatch(NumpyBatch):
    """``Batch`` in float32; the units of a cell are padded to whole panels, and the padding stays zero."""

    backend = "cpu"

    def __init__(self, checkpoint: Checkpoint, size: int, *, fast: bool = False) -> None:
        self._hidden_size = checkpoint.hidden
        self._behind = behind_gates(checkpoint)
        super().__init__(checkpoint, size, np.float32)
        laid = laid_out(checkpoint, size, fast=fast)
        self.types, self._update, self._act = laid.types, laid.update, sampling.act
        outputs = 3 + 6 * checkpoint.mixtures
        self._padded_head = np.zeros((size, -(-outputs // common.WIDTH) * common.WIDTH), np.float32)
        self._head = self._padded_head[:, :outputs]
        self._mixtures = checkpoint.mixtures
        self._own_uniforms, self._moves = np.zeros((0, 4)), np.zeros((size, 4))
        self._followed, self._uncounted = np.zeros(size, ACTION), np.zeros(1, np.int64)
        start = self.start_hidden, self.start_cell
        own = self.voices, self.gate_bias, *start, self.given, self.hidden, self.cell, self._padded_head
        self._weights, self._state = laid.weights, (*laid.scratch, *own)
        self._shares = [
            Share(
                some, tuple(common.aligned(array) if k in laid.own else array for k, array in enumerate(laid.weights)),
                self.count if not some.start else np.zeros(1, np.int64),
            )
            for some in shares(size, common.TILE)
        ]  # fmt: skip
        self._plain: Callable[[], object] = self._first_step
        """A step without anything given."""
        if len(self._shares) > 1:
            self._update, self._act = common.unlocked(self._update), common.unlocked(self._act)
            self.types = *self.types, "unlocked"

    def _model(self, some: slice, weights: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """What the cell and the head of some voices are made from, as their kernel takes it."""
        return (*(weights or self._weights), *(array[some] for array in self._state))

    def _sampled(
        self,
        some: slice,
        count: NDArray[np.int64],
        override: NDArray[np.float64],
        *,
        forced: bool = False,
        actions: NDArray[Any] | None = None,
    ) -> tuple[Any, ...]:
        """What sampling reads and writes of some voices, as its kernel takes it; override and actions are theirs."""
        actions = self.actions[some] if actions is None else actions
        own = self.voices[some], self.given[some], self._padded_head[some]
        heat = self.divisor[some], self.spread[some]
        return (*own, self._mixtures, *heat, override, forced, actions, self.scale, self.max_steps, count)

    def warm_up(self) -> None:
        """Runs each kernel once and puts everything back."""
        before = self.snapshot()
        self.step()
        self.follow(np.zeros((1, 3)))
        self.restore(before)
        self.count[:] = 0

    def lay_out(self, gates: NDArray[np.float64]) -> NDArray[np.float64]:
        """By panels of 32 units, the smaller cell's behind, then what a head in the same panels starts from."""
        main, small = np.split(gates, [4 * self._hidden_size])
        parts = [common.by_panel(values, len(values) // 4) for values in (main, small) if len(values)]
        return np.concatenate([*parts, self._behind])

    def lay_out_state(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        """In whole panels, the smaller cell's behind."""
        parts = np.split(state, [self._hidden_size])
        return np.concatenate([np.pad(part, (0, padded(len(part)) - len(part))) for part in parts])

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """``Batch.step``."""
        if uniforms is None and steer is None and density is None:
            try:
                self._plain()
            except BaseException:
                if self._plain != self._first_step:
                    self._plain = self._step_again
                raise
            return self.actions
        everyone = slice(None)
        with self.whole():
            self._update(*self._model(everyone))
            if steer is not None:
                steer(self._head)
            if density is not None:
                density[:] = self._head
            self._act(*self._sampled(everyone, self.count, self._own_uniforms if uniforms is None else uniforms))
        return self.actions

    def _first_step(self) -> None:
        """Compiles; the steps that follow call what is compiled, without looking at its arguments' types again."""
        with self.whole():
            for kernel, arguments in itertools.chain(*map(self._calls, self._shares)):
                kernel(*arguments)
        self._plain = self._bound()

    def _step_again(self) -> None:
        """The one after one that was broken off."""
        self._plain = self._bound()
        self._plain()

    def _bound(self) -> Callable[[], object]:
        """A step of what is compiled."""
        steps = [common.together(*itertools.starmap(common.bound, self._calls(share))) for share in self._shares]
        return steps[0] if len(steps) == 1 else lambda: crew(len(steps)).run(lambda k: steps[k]())

    def _calls(self, share: Share) -> tuple[tuple[Any, tuple[Any, ...]], ...]:
        """The kernels of a step without anything given, with their arguments."""
        sampled = self._sampled(share.voices, share.count, self._own_uniforms)
        return (self._update, self._model(share.voices, share.weights)), (self._act, sampled)

    def force(
        self, k: int, rows: NDArray[np.float64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``Batch.force``."""
        out = np.zeros(len(rows), ACTION)
        for i, row in enumerate(rows):
            self._take(slice(k, k + 1), row, out[i : i + 1])
            if density is not None:
                density[i] = self._head[k]
        if end and density is not None:
            before = self.snapshot()
            self._look(slice(k, k + 1))
            density[len(rows)] = self._head[k]
            self.restore(before)
        return out

    def follow(self, rows: NDArray[np.float64], density: NDArray[Any] | None = None) -> None:
        """``Batch.follow``."""
        with self.whole():
            for i, row in enumerate(rows):
                self._take(slice(None), row, self._followed)
                if density is not None:
                    density[i] = self._head

    def look(self, k: int) -> None:
        """``NumpyBatch.look``."""
        self._look(slice(k, k + 1))

    def _look(self, some: slice) -> None:
        """The cell and the head of some voices."""
        self._update(*self._model(some))

    def _take(self, some: slice, row: NDArray[np.float64], out: NDArray[Any]) -> None:
        """Some voices take a stroke-3 row, data units, as their own; ``out`` receives their actions."""
        dx, dy, lift = row.tolist()
        self._moves[some] = dx / self.scale, dy / self.scale, int(lift), 0
        sampled = self._sampled(some, self._uncounted, self._moves[some], forced=True, actions=out)
        common.together(partial(self._update, *self._model(some)), partial(self._act, *sampled))()


class CpuBackend:
    """``Backend``: numba on this machine's processor."""

    def __init__(self, name: str = "cpu", *, fast: bool = False) -> None:
        self.name, self._fast = name, fast
        self._warm: set[tuple[str, ...]] = set()

    def open(self, checkpoint: Checkpoint, size: int) -> CpuBatch:
        """``Backend.open``; compiles, or loads what was compiled, so that no later step waits for it."""
        if self._fast and not BF16:
            raise BackendUnavailableError(
                "precision 'fast': this processor has no instructions for bfloat16 (avx512_bf16); expected one that "
                "has them; try precision='exact'"
            )
        batch = CpuBatch(checkpoint, size, fast=self._fast)
        batch.backend = self.name
        self._warm_up(batch)
        return batch

    def open_text(self, checkpoint: TextCheckpoint, size: int) -> "TextCpuBatch":
        """``Backend.open_text``; compiles or loads as ``open`` does."""
        if self._fast:
            raise BackendUnavailableError(
                f"precision 'fast' of {checkpoint.name!r}, which writes: on the cpu only models that draw have it; try "
                "precision='exact'"
            )
        from .text_cpu import TextCpuBatch  # noqa: PLC0415 - what draws does not load it

        batch = TextCpuBatch(checkpoint, size)
        self._warm_up(batch)
        return batch

    def _warm_up(self, batch: "CpuBatch | TextCpuBatch") -> None:
        if batch.types in self._warm:
            return
        collects = gc.isenabled()
        gc.disable()  # a compiler makes much, and nothing that is worth looking for: a tenth of its time
        try:
            batch.warm_up()
        finally:
            if collects:
                gc.enable()
        self._warm.add(batch.types)


BACKEND = CpuBackend()
FAST = CpuBackend("cpu-fast", fast=True)
"""In bfloat16: faster, and outside the promises of equality."""
