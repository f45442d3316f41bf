"""What sketch and text batches share of the host's side: programs run, results taken up, a device that fails.

The device has the truth of a voice's counters while it steps; the host brings its own up to date from the results when
they are asked for, and sends them back, before the next program, where something other than a step has changed them. An
interruption (Ctrl-C) may come anywhere: whether a step was made then shows by the number that the device has counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import BackendUnavailableError
from .cuda_device import lost
from .cuda_graph import Block, Programs


class Host:
    """The host's side of a batch on a device."""

    backend = "cuda"
    actions: NDArray[Any]

    def _attach(self, programs: Programs, results: Block, looks: Block, record: np.dtype[Any]) -> None:
        """Takes a machine's programs and what they leave: results, of which ``record`` is one, behind them a count."""
        self._programs = programs
        self._device: torch.device = programs.device
        self._failed: BaseException | None = None
        self._found: NDArray[Any] = results.array[:-1].view(record)
        self._counted, self._looks = results.array[-1:], looks.array
        self._done = 0
        self._flying = False  # something was started, or is about to be, and not waited for
        self._stale = False  # steps were made since the counters here were brought up to date
        self._dirty = True  # the device has not what the host has

    def _push(self) -> None:
        """Sends what only the host knows; sets ``_flying`` before it enqueues anything."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """``Batch.steps``."""
        self._settle()
        return self._done

    def _run_whole(self, program: str) -> None:
        """Runs a program on what the host has set, and takes its results up."""
        self._settle()
        try:
            if self._dirty:
                self._push()
            self._flying = True  # before it is: then an interruption in between leaves something to settle
            self._programs.run(program)
            self._programs.wait(program)
        except RuntimeError as err:
            raise self._lost(err) from err
        self._take_up()

    def _settle(self) -> None:
        """Waits for what an interrupted call has started, and takes its results up where it made a step."""
        if self._failed is not None:
            raise lost(self._device, self._failed) from self._failed
        if self._flying:
            with self._watched():
                self._programs.settle()
            self._take_up()

    def _take_up(self) -> None:
        """The results are there."""
        made = int(self._counted[0])
        if made != self._done:
            self.actions[:] = self._found
            self._stale = True
            self._done = made
        self._flying = False

    def _lost(self, err: RuntimeError) -> RuntimeError:
        """A device that fails is lost: what it held cannot be trusted. The error to raise."""
        if isinstance(err, BackendUnavailableError) or self._device.type != "cuda":
            return err
        self._failed = err
        return lost(self._device, err)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as err:
            raise self._lost(err) from err
