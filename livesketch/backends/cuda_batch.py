"""The host's side of a sketch model's voices on a device: what is set, steps, going back. See ``cuda_host``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ControlError
from ..models.checkpoint import Checkpoint
from .cuda_device import product_type, with_triton
from .cuda_host import Host
from .cuda_rows import Rows
from .cuda_sampling import DONE, FLAGS, KEY_HIGH, KEY_LOW, NUMBER, STEP, VOICE, X, Y
from .cuda_sketch import SketchMachine
from .numpy_batch import Constants, constants_of, product
from .protocol import ACTION, Mark, Snapshot, Steer
from .protocol import VOICE as RECORD

_COLUMNS: Final = {"key_low": KEY_LOW, "key_high": KEY_HIGH, "voice": VOICE, "drawing": NUMBER, "step": STEP}


class CudaBatch(Host):
    """``Batch`` on a device."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        size: int,
        device: torch.device,
        precision: str = "exact",
        *,
        fused: bool | None = None,
    ) -> None:
        """``fused``: whether the kernels in Triton are used; None uses them on a GPU where Triton is installed."""
        self.size, self.precision = size, precision
        self.constants: Constants = constants_of(checkpoint)
        self._c_first = checkpoint.cell == "lstm"  # as in ``NumpyBatch``
        self.scale, self.max_steps = checkpoint.scale_factor, checkpoint.max_steps
        self._token = np.array(checkpoint.start_token, np.float32)
        products = product_type(precision, device)
        kernels = with_triton(device) if fused is None else fused
        self._machine = SketchMachine(checkpoint, self.constants, size, device, products, fused=kernels)
        self._attach(self._machine.programs, self._machine.results, self._machine.looks, ACTION)
        self.actions = np.zeros(size, ACTION)
        self._voices, self._given = np.zeros(size, RECORD), np.zeros((size, 5), np.float32)
        self._rows = Rows(size)
        self._machine.live.array[:] = 1
        self._machine.heat.array[:] = 1
        nothing = np.zeros(len(self.constants.weights))
        for k in range(size):
            self.condition(k, nothing)
        self._given[:] = self._token

    # What is set

    def seat(self, k: int, seed: int, voice: int, drawing: int = 0) -> None:
        """``Batch.seat``."""
        self._known()[k] = (seed & 0xFFFFFFFF, seed >> 32, voice, drawing, 0, 0.0, 0.0, 0, False)
        self._begun(k)

    def condition(self, k: int, vector: NDArray[np.float64]) -> None:
        """``Batch.condition``."""
        own = self.constants
        if vector.shape != (len(own.weights),):
            raise ControlError(
                f"a condition of shape {vector.shape}; expected ({len(own.weights)},): the latent vector, then the "
                "label's, as far as the model has them"
            )
        self._settle()
        vector = np.ascontiguousarray(vector, np.float64)
        row = self._rows.find(vector)
        if row is None:
            row = self._rows.take(self._machine.which.array)
            first, second = np.split(np.tanh(own.start_b + product(vector, own.start_w)), 2)
            if not len(vector):
                first = second = np.zeros(len(first))
            starts = (second, first) if self._c_first else (first, second)
            with self._watched():
                self._machine.put_row(row, own.bias + product(vector, own.weights), *starts)
            self._rows.hold(vector, row)
        self._dirty = True
        self._machine.which.array[k] = row

    def heat(self, k: int, divisor: float, spread: float) -> None:
        """``Batch.heat``."""
        self._settle()
        self._machine.heat.array[k] = divisor, spread

    def restart(self, k: int) -> None:
        """``Batch.restart``."""
        voice = self._known()[k]
        voice["step"], voice["x"], voice["y"], voice["pen"], voice["done"] = 0, 0.0, 0.0, 0, False
        self._begun(k)

    def rekey(self, k: int, seed: int, voice: int) -> None:
        """``Batch.rekey``."""
        own = self._known()[k]
        self._dirty = True
        own["key_low"], own["key_high"], own["voice"] = seed & 0xFFFFFFFF, seed >> 32, voice

    def _begun(self, k: int) -> None:
        """Step 0 of voice k: the device takes its first state and input there by itself."""
        self._dirty = True
        self._given[k] = self._token

    # Steps

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """``Batch.step``; with any argument on a slower path, which comes back to the host before it samples."""
        if uniforms is None and steer is None and density is None:
            self._run_whole("step")
            return self.actions
        machine = self._machine
        with self._whole():
            self._look(slice(None))
            if steer is not None:
                steer(machine.head.array)
            if density is not None:
                density[:] = machine.head.array
            machine.chance.array[:] = 0
            if uniforms is not None:
                machine.chance.array[:-1], machine.chance.array[-1] = uniforms, 1
            self._run_whole("act")
        return self.actions

    def run(self, count: int) -> NDArray[Any]:
        """That many steps of every voice without the host between them: ACTION records (count, N).

        Broken off by an interruption, no step of it was made.
        """
        out = np.zeros((count, self.size), ACTION)
        if count < 1:
            return out
        before, given = self._known().copy(), self._given.copy()
        actions, made = self.actions.copy(), self._done
        with self._watched():
            state = self._machine.kept()
        try:
            with self._watched():
                self._run(out)
        except BaseException:
            self._settle()
            self._known()[:], self._given[:], self._dirty = before, given, True
            with self._watched():
                self._machine.put_back(state, made)
            self.actions[:], self._done = actions, made
            raise
        return out

    def _run(self, out: NDArray[Any]) -> None:
        length = self._machine.ring()
        if self._dirty:
            self._push()
        self._flying = True
        self._machine.heat.up()
        waiting: tuple[str, int, int] | None = None  # a program, its ring, and where its actions go
        at = turn = 0
        while at < len(out) or waiting:
            started = None
            if len(out) - at >= length:
                started = (f"many{turn}", turn, at)
                self._programs.run(started[0])
                at, turn = at + length, 1 - turn
            if waiting:
                self._programs.wait(waiting[0])
                rows = self._machine.rings[waiting[1]].array[: len(out) - waiting[2]]
                out[waiting[2] : waiting[2] + len(rows)] = rows.view(ACTION)
            waiting = started
            if waiting is None and at < len(out):
                self._programs.run("one")
                self._programs.wait("one")
                out[at] = self._machine.rings[0].array[0].view(ACTION)
                at += 1
        self._settle()

    def force(
        self, k: int, rows: NDArray[np.float64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``Batch.force``."""
        out, voice = np.zeros(len(rows), ACTION), slice(k, k + 1)
        for i, row in enumerate(rows):
            with self._whole():
                self._look(voice)
                if density is not None:
                    density[i] = self._machine.head.array[k]
                self._take(voice, row, out[i : i + 1])
        if end and density is not None:
            with self._whole():
                before = self._known()[voice].copy(), self._given[voice].copy()
                self._look(voice)
                density[len(rows)] = self._machine.head.array[k]
                self._undo(*before, voice)
        return out

    def follow(self, rows: NDArray[np.float64], density: NDArray[Any] | None = None) -> None:
        """``Batch.follow``."""
        before, given, unused = self._known().copy(), self._given.copy(), np.zeros(self.size, ACTION)
        with self._watched():
            state = self._machine.kept()
        try:
            for i, row in enumerate(rows):
                self._look(slice(None))
                if density is not None:
                    density[i] = self._machine.head.array
                self._take(slice(None), row, unused)
        except BaseException:
            self._settle()
            self._voices[:], self._given[:], self._dirty = before, given, True
            with self._watched():
                self._machine.put_back(state, self._done)
            raise

    # Going back

    @property
    def voices(self) -> NDArray[Any]:
        """The voices' counters, VOICE records (N,), to be read."""
        return self._known()

    @property
    def hidden(self) -> NDArray[np.float32]:
        """h, (N, S), a hyper cell's smaller one behind; a copy."""
        return self.snapshot().hidden

    @property
    def cell(self) -> NDArray[np.float32]:
        """c, like ``hidden``."""
        return self.snapshot().cell

    def mark(self, k: int) -> Mark:
        """``Batch.mark``."""
        mark: Mark = self._known()[k : k + 1].tobytes() + self._given[k].tobytes()
        return mark

    def redo(self, k: int, marks: Sequence[Mark]) -> None:
        """``Batch.redo``."""
        for mark in marks:
            self._look(slice(k, k + 1))
            self._dirty = True
            self._voices[k] = np.frombuffer(mark, RECORD, 1)[0]
            self._given[k] = np.frombuffer(mark, np.float32, offset=RECORD.itemsize)

    def snapshot(self) -> Snapshot:
        """``Batch.snapshot``; h and c in float32."""
        voices = self._known().copy()
        with self._watched():
            hidden, cell = self._machine.state()
        return Snapshot(voices, hidden, cell, self._given.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """``Batch.restore``."""
        self._known()[:] = snapshot.voices
        self._given[:] = snapshot.given
        self._dirty = True
        with self._watched():
            self._machine.put_state(snapshot.hidden, snapshot.cell)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Takes an ``update`` back where an interruption breaks the block off before the step was counted."""
        voices, given = self._known().copy(), self._given.copy()
        made, looks = self._done, int(self._looks[0])
        try:
            yield
        except BaseException:
            self._settle()
            if self._done == made and int(self._looks[0]) != looks:
                self._undo(voices, given)
            elif self._done == made:
                self._voices[:], self._given[:], self._dirty = voices, given, True
            raise

    def _undo(self, voices: NDArray[Any], given: NDArray[np.float32], some: slice = slice(None)) -> None:
        """Takes an ``update`` of some voices back, which had these counters and inputs."""
        self._run_whole("undo")
        self._voices[some], self._given[some], self._dirty = voices, given, True

    # The device

    def _look(self, some: slice) -> None:
        """The cell and the head of some voices; the head is then in ``head.array``."""
        voices, live = self._known(), self._machine.live.array
        live[:] = 0
        live[some] = 1
        self._run_whole("update")
        over = np.flatnonzero(voices["done"] & (live == 1))
        voices["drawing"][over] += 1
        for k in over.tolist():
            self.restart(k)

    def _take(self, some: slice, row: NDArray[np.float64], out: NDArray[Any]) -> None:
        """Some voices take a stroke-3 row, data units, as their own: ``ReferenceBatch._move``."""
        voices, (dx, dy, lift) = self._voices[some], row.tolist()
        pen = int(lift)
        ended = pen == 2
        self._dirty = True
        self._given[some] = (dx / self.scale, dy / self.scale, pen == 0, pen == 1, ended)
        if ended:
            dx = dy = 0.0
        voices["x"] += dx
        voices["y"] += dy
        for name in ("drawing", "step", "x", "y"):
            out[name] = voices[name]
        out["dx"], out["dy"], out["component"], out["pen"], out["ended"] = dx, dy, -1, pen, ended
        out["last"] = ended | (voices["step"] + 1 >= self.max_steps)
        out["ink"] = (voices["pen"] == 0) & (not ended)
        voices["pen"], voices["done"] = pen, out["last"]
        voices["step"] += 1

    def _known(self) -> NDArray[Any]:
        """The counters as they are; ``_given`` with them."""
        self._settle()
        if self._stale:
            found, voices, given = self._found, self._voices, self._given
            for name in ("drawing", "x", "y", "pen"):
                voices[name] = found[name]
            voices["step"], voices["done"] = found["step"] + 1, found["last"]
            given[:, 0], given[:, 1] = found["dx"] / self.scale, found["dy"] / self.scale
            given[:, 2:] = found["pen"][:, None] == (0, 1, 2)
            self._stale = False
        return self._voices

    def _push(self) -> None:
        """Sends what only the host knows."""
        voices, own = self._known(), self._machine.own.array
        for name, column in _COLUMNS.items():
            own[:, column] = voices[name]
        for name, column in (("x", X), ("y", Y)):
            own[:, column] = voices[name].copy().view(np.int64)
        own[:, FLAGS] = voices["pen"] + DONE * voices["done"].astype(np.int64)
        self._machine.given.array[:] = self._given
        self._flying = True
        self._machine.push()
        self._dirty = False
