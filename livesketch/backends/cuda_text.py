"""The host's side of a text model's voices on a device, as ``cuda_batch`` is for sketch models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.checkpoint import TextCheckpoint
from .cuda_device import product_type, with_triton
from .cuda_host import Host
from .cuda_sampling import DONE, FLAGS, KEY_HIGH, KEY_LOW, NUMBER, STEP, VOICE, X
from .cuda_text_machine import TextMachine
from .cuda_text_sampling import FIELDS, GIVEN
from .protocol import TOKEN, WRITER, Mark, Steer, TextSnapshot
from .text_batch import TextNumpyBatch, check_architecture

_COLUMNS: Final = {
    "key_low": KEY_LOW, "key_high": KEY_HIGH, "voice": VOICE, "piece": NUMBER, "step": STEP, "token": X,
}  # fmt: skip
_OFFSETS: Final = {
    "piece": 0, "step": 8, "token": 40, "log_prob": 16, "entropy": 24, "mass": 32, "last": 44, "ended": 45,
    "softened": 46, "given": 47,
}  # fmt: skip
_RESULT: Final = np.dtype(
    {
        "names": list(_OFFSETS),
        "formats": [TOKEN[name] for name in _OFFSETS],
        "offsets": list(_OFFSETS.values()),
        "itemsize": 8 * FIELDS,
    }
)
"""A TOKEN record as the device gives it."""


class CudaTextBatch(Host, TextNumpyBatch):
    """``TextBatch`` on a device."""

    state: tuple[NDArray[Any], ...] = ()  # it is on the device
    rings: tuple[int, ...] = ()

    def __init__(
        self,
        checkpoint: TextCheckpoint,
        size: int,
        device: torch.device,
        precision: str = "exact",
        *,
        fused: bool | None = None,
    ) -> None:
        """``fused``: as in ``CudaBatch``."""
        check_architecture(checkpoint)
        self.precision = precision
        products = product_type(precision, device)
        kernels = with_triton(device) if fused is None else fused
        self._machine = TextMachine(checkpoint, size, device, products, fused=kernels)
        self._attach(self._machine.programs, self._machine.results, self._machine.looks, _RESULT)
        self._rows: set[int] = set()  # voices whose bias the device has not seen
        self._given = self._machine.controls.array[:, GIVEN]
        self._given[:] = -1
        self._program = "step"
        super().__init__(checkpoint, size)

    # What is set

    @property
    def writers(self) -> NDArray[Any]:
        """``TextBatch.writers``."""
        self._settle()
        if self._stale:
            found, writers = self._found, self._writers
            writers["piece"], writers["token"], writers["done"] = found["piece"], found["token"], found["last"]
            writers["step"] = found["step"] + 1
            self._stale = False
        return self._writers

    @writers.setter
    def writers(self, writers: NDArray[Any]) -> None:
        self._writers = writers

    def seat(self, k: int, seed: int, voice: int, piece: int = 0) -> None:
        """``TextBatch.seat``."""
        self._dirty = True
        super().seat(k, seed, voice, piece)

    def label(self, k: int, vector: NDArray[np.float64]) -> None:
        """``TextNumpyBatch.label``."""
        self._settle()
        self._dirty = True
        self._machine.labels.array[k] = vector

    def settle(
        self,
        k: int,
        divisor: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        unknown: bool = False,
    ) -> None:
        """``TextBatch.settle``."""
        self._settle()
        super().settle(k, divisor, top_k, top_p, min_p, unknown)
        self._control(k)

    def constrain(
        self,
        k: int,
        bias: NDArray[np.float32] | None,
        soft: NDArray[np.float32] | None = None,
        rare: Sequence[int] = (),
        lost: float = 0.0,
    ) -> None:
        """``TextBatch.constrain``."""
        self._settle()
        if bias is not None and not len(self.bias):
            with self._watched():
                self.bias, self.soft = (block.array for block in self._machine.make_biases())
        self._rows.add(k)
        self._dirty = True
        super().constrain(k, bias, soft, rare, lost)
        self._control(k)

    def _control(self, k: int) -> None:
        """The device is told voice k's settings by its next program."""
        self._machine.controls.array[k, :GIVEN] = self.settings[k].item()[:GIVEN]
        every = self.settings
        cut = (every["top_k"] > 0).any() or (every["top_p"] < 1).any() or (every["min_p"] > 0).any()
        self._program = "step" + "+bias" * bool(every["biased"].any()) + "+cut" * bool(cut)

    def restart(self, k: int) -> None:
        """``TextBatch.restart``; the device takes zeros for the state at step 0 by itself."""
        self._dirty = True
        super().restart(k)

    def finish(self, k: int) -> None:
        """``TextBatch.finish``."""
        self._dirty = True
        super().finish(k)

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """``TextBatch.rekey``."""
        self._dirty = True
        super().rekey(k, seed, voice)

    # Steps

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
        tokens: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """``TextBatch.step``; with uniforms, steer or density on a slower path, by way of the host."""
        given = None if tokens is None else self.checked_step(tokens)
        self._settle()
        self._given[:] = -1 if given is None else given
        if uniforms is None and steer is None and density is None:
            self._run_whole(self._program)
            return self.actions
        machine = self._machine
        with self._undone():
            self._look(slice(None))
            if steer is not None:
                steer(machine.logits.array)
            if density is not None:
                density[:] = machine.logits.array
            chance = machine.chance.array
            chance[:-1] = 0
            if uniforms is not None:
                chance[:-2], chance[-2] = uniforms, 1
            chance[-1] = 1
            self._run_whole("act")
        return self.actions

    def force(
        self, k: int, tokens: NDArray[np.int64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``TextBatch.force``."""
        given, voice = self.checked(tokens), slice(k, k + 1)
        out = np.zeros(len(given), TOKEN)
        for i, token in enumerate(given):
            with self._undone():
                self._look(voice)
                if density is not None:
                    density[i] = self._machine.logits.array[k]
                self._given[:] = token
                self._machine.chance.array[:] = 0
                self._run_whole("act")
                out[i : i + 1] = self._found[voice]
                self._take(k, out[i])
        if end and density is not None:
            with self._undone():
                before = self.writers[voice].copy()
                self._look(voice)
                density[len(given)] = self._machine.logits.array[k]
                self._undo(before, voice)
        return out

    def look(self, k: int) -> None:
        """``TextNumpyBatch.look``."""
        self._look(slice(k, k + 1))

    def _look(self, some: slice) -> None:
        """The model of some voices; the logits are then in ``logits.array``."""
        writers, live = self.writers, self._machine.live.array
        live[:] = 0
        live[some] = 1
        self._run_whole("update")
        over = np.flatnonzero(writers["done"] & (live == 1))
        writers["piece"][over] += 1
        for k in over.tolist():
            self.restart(k)

    def _take(self, k: int, record: Any) -> None:
        """Voice k has taken a record's token, which the device knows."""
        writer = self._writers[k]
        writer["step"], writer["token"], writer["done"] = record["step"] + 1, record["token"], record["last"]

    # Going back

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """``TextBatch.redo``."""
        for mark in marks:
            self.look(k)
            self._dirty = True
            self._writers[k] = np.frombuffer(mark, WRITER, 1)[0]

    def snapshot(self) -> TextSnapshot:
        """``TextBatch.snapshot``; of a ring only the places that some voice has filled."""
        writers = self.writers.copy()
        used = min(int(writers["step"].max(initial=0)), self.window)
        with self._watched():
            return TextSnapshot(writers, self._machine.state(used))

    def restore(self, snapshot: TextSnapshot) -> None:
        """``TextBatch.restore``."""
        self.writers[:] = snapshot.writers
        self._dirty = True
        with self._watched():
            self._machine.put_state(snapshot.state)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Takes an ``update`` back where an interruption breaks the block off before a step was counted."""
        writers, made, looks = self.writers.copy(), self._done, int(self._looks[0])
        try:
            yield
        except BaseException:
            self._settle()
            if self._done == made and int(self._looks[0]) != looks:
                self._undo(writers)
            elif self._done == made:
                self._writers[:], self._dirty = writers, True
            raise

    def _undo(self, writers: NDArray[Any], some: slice = slice(None)) -> None:
        """Takes an ``update`` of some voices back, which had these counters."""
        self._run_whole("undo")
        self._writers[some], self._dirty = writers, True

    # The device

    def _push(self) -> None:
        """Sends what only the host knows."""
        writers, own, biases = self.writers, self._machine.own.array, self._machine.biases
        for name, column in _COLUMNS.items():
            own[:, column] = writers[name]
        own[:, FLAGS] = DONE * writers["done"].astype(np.int64)
        self._flying = True
        self._machine.push()
        if biases is not None:
            for k in sorted(self._rows):
                for block in biases:
                    block.device[k].copy_(block.host[k], non_blocking=True)
        self._rows.clear()
        self._dirty = False
