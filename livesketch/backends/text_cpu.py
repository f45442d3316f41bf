"""Text models on the cpu backend: float32 arithmetic on int16 weights, nothing allocated per step.

A step is a call of the architecture's kernel and one of sampling's; ``text_layout`` lays out the weights, this module
the voices. Sampling computes in float64 from the float32 logits, so that its choices part from the reference only at
near-ties.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.checkpoint import TextCheckpoint
from .kernels import common, text_cut, text_sampling, text_weights
from .protocol import TOKEN, Steer
from .text_batch import TextNumpyBatch, check_architecture
from .text_layout import laid_out
from .text_masks import RARE, Masks


class TextCpuBatch(TextNumpyBatch):
    """``TextBatch`` in float32; the vocabulary is padded to whole panels, W."""

    backend = "cpu"

    def __init__(self, checkpoint: TextCheckpoint, size: int) -> None:
        check_architecture(checkpoint)
        laid = laid_out(checkpoint, size)
        self.types, self._kernel, self._shared, self._voices = laid.types, laid.update, laid.shared, laid.voices
        self.state, self.rings = laid.voices[-laid.states :], laid.rings
        self._labels, self._laid_label = laid.voices[-laid.states - 1], laid.label
        super().__init__(checkpoint, size)
        self._masks = Masks(size, self.tokens)
        self._masked, self._rare, self._lost = (self.settings[name] for name in ("masked", "rare", "lost"))
        width = laid.columns
        self._logits = np.zeros((size, width), np.float32)
        self._own_uniforms, self._drawn = np.zeros(0), np.full(size, -1)
        work = np.full((4, width), -np.inf)
        self._scratch = (
            work, np.zeros((2, text_weights.LANES)), np.zeros(width, np.int64),
            np.zeros(text_cut.BUCKETS, np.int64), np.zeros(text_cut.BUCKETS), np.zeros(self.tokens, np.float32),
            self.max_steps,
        )  # fmt: skip
        self._uncounted, self._token = np.zeros(1, np.int64), np.zeros(1, np.int64)

    def warm_up(self) -> None:
        """Runs each kernel once and puts everything back."""
        before = self.snapshot()
        self.step()
        self.restore(before)
        self.count[:] = 0

    def label(self, k: int, vector: NDArray[np.float64]) -> None:
        """``TextNumpyBatch.label``."""
        self._labels[k] = self._laid_label(vector)

    def constrain(
        self,
        k: int,
        bias: NDArray[np.float32] | None,
        soft: NDArray[np.float32] | None = None,
        rare: Sequence[int] = (),
        lost: float = 0.0,
    ) -> None:
        """``TextBatch.constrain``; rows that only forbid are taken as masks."""
        if bias is not None and len(rare) <= RARE:
            masks = self._masks
            hard, common = masks.of(bias), masks.free if soft is None else masks.of(soft)
            if hard.usable and common.only and len(bias) == self.tokens == len(common.row):
                self.check_rare(rare, lost)
                masks.hold(k, hard, common, rare)
                self._biased[k] = self._masked[k] = True
                self._soft[k] = soft is not None or bool(rare)
                self._rare[k], self._lost[k] = len(rare), lost
                return
        super().constrain(k, bias, soft, rare, lost)
        self._masked[k] = False

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
        tokens: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """``TextBatch.step``."""
        given = self._drawn if tokens is None else self.checked_step(tokens)
        drawn = (self._own_uniforms if uniforms is None else uniforms, given, self.actions)
        everyone = slice(None)
        if steer is None and density is None:
            self._both(everyone, drawn, self.count)
            return self.actions
        with self.whole():
            self._kernel(*self._model(everyone))
            logits = self._logits[:, : self.tokens]
            if steer is not None:
                steer(logits)
            if density is not None:
                density[:] = logits
            text_sampling.act(*self._sampled(everyone, drawn, self.count))
        return self.actions

    def force(
        self, k: int, tokens: NDArray[np.int64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``TextBatch.force``."""
        given, voice = self.checked(tokens), slice(k, k + 1)
        out = np.zeros(len(given), TOKEN)
        for i, token in enumerate(given):
            self._token[0] = token
            self._both(voice, (self._own_uniforms, self._token, out[i : i + 1]), self._uncounted)
            if density is not None:
                density[i] = self._logits[k, : self.tokens]
        if end and density is not None:
            with self.whole(voice):
                before = self.kept(voice)
                self._kernel(*self._model(voice))
                density[len(given)] = self._logits[k, : self.tokens]
                self.put_back(voice, before)
        return out

    def look(self, k: int) -> None:
        """``TextNumpyBatch.look``."""
        self._kernel(*self._model(slice(k, k + 1)))

    def _model(self, some: slice) -> tuple[Any, ...]:
        """What the layers and the logits of some voices are made from, as their kernel takes it."""
        own = *self._voices, self.writers, self._logits
        return (*self._shared, *(array[some] for array in own))

    def _sampled(self, some: slice, drawn: tuple[NDArray[Any], ...], count: NDArray[np.int64]) -> tuple[Any, ...]:
        """What sampling reads and writes; ``drawn`` is uniforms, given tokens and where the actions go, of some."""
        masks = self._masks
        own = self.writers, self._logits, self.bias, self.soft, masks.allowed, masks.rare, self.settings
        return (*(array[some] for array in own), *drawn, *self._scratch, count)

    def _both(self, some: slice, drawn: tuple[NDArray[Any], ...], count: NDArray[np.int64]) -> None:
        """One step of some voices; no signal breaks it off."""
        act = partial(text_sampling.act, *self._sampled(some, drawn, count))
        common.together(partial(self._kernel, *self._model(some)), act)()
