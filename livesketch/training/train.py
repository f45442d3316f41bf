"""A whole training: data in, a model that draws or writes out, with everything beside it that a stop and a look need.

Beside ``cat.safetensors`` stand ``cat.training.safetensors`` (where the training stands), ``cat.samples.svg`` or
``cat.samples.txt`` (what the model makes so far), ``cat.log.jsonl`` (a line per evaluation) and ``cat.md`` (the model
card).
"""

import json
import platform
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..data.corpus import load_corpus
from ..data.drawings import load_drawings
from ..errors import OutputError
from ..models.checkpoint import Checkpoint
from .beside import alone, beside, check_place, forget_after
from .options import Settings
from .progress import TrainingProgress
from .run import Run
from .settings import SketchSettings
from .sketch import SketchRun
from .state import load_state, save_state
from .text_run import TextRun
from .text_settings import TextSettings
from .workers import Workers, workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train, from what, to where."""

    sources: Sequence[Path]
    output: Path
    settings: Settings
    name: str
    licence: str = "not stated"
    attribution: str = "not stated"
    fresh: bool = False
    """Whether a training that was begun there is thrown away."""
    init: Checkpoint | None = None
    """A model to begin from; of sketches only."""
    init_as: str = ""
    """As what it was asked for, for the model card; its name by default."""

    def beside(self, ending: str) -> Path:
        """A file next to the model."""
        return beside(self.output, ending)


def train_sketch(order: Order) -> Path:
    """Trains on drawings, with ``SketchSettings``, as ``train`` says; returns the model's path.

    Raises:
        DataError: the drawings; and what ``train`` raises.
    """

    def make(team: Workers) -> Run:
        asked = order.settings
        assert isinstance(asked, SketchSettings)
        data = load_drawings(order.sources, max_rows=asked.max_rows, seed=asked.seed)
        return SketchRun(asked, data, team, order.name, order.init)

    check_output(order, SketchRun.samples_ending, deep=False)
    return train(order, make)


def train_text(order: Order) -> Path:
    """Trains on texts, with ``TextSettings``, as ``train`` says; returns the model's path.

    Raises:
        DataError: the corpus; and what ``train`` raises.
    """

    def make(team: Workers) -> Run:
        asked = order.settings
        assert isinstance(asked, TextSettings)
        return TextRun(asked, load_corpus(order.sources, way=asked.documents), team, order.name)

    check_output(order, TextRun.samples_ending, deep=True)
    return train(order, make)


def check_output(order: Order, samples: str, *, deep: bool) -> None:
    """OutputError: a place that a model and what stands beside it cannot be written to; before anything is read."""
    if order.output.suffix != ".safetensors":
        raise OutputError(f"{order.output}: a model is known by its ending; give a name such as cat.safetensors")
    check_place(order.output, order.sources, samples, deep=deep)


def train(order: Order, make: Callable[[Workers], Run]) -> Path:
    """Trains, or goes on where a training of the same files was stopped; returns the model's path.

    Ctrl-C and SIGTERM end it after the step at hand, everything saved; the same call then goes on.

    Args:
        order: what is asked; its output is a place that ``check_output`` found fit.
        make: reads the data and gives the training at its beginning.

    Raises:
        TrainingError: numbers that are not finite, or a begun training of other data or options.
        ControlError: the device; CheckpointError: a damaged training file; OutputError: a file cannot be written, is
            somebody's own, or another training writes it.
    """
    with workers(order.settings.device) as team, alone(order.output) if team.first else nullcontext():
        run = make(team)
        state = order.beside("training.safetensors")
        begun = team.agree(state.exists() and not order.fresh)
        if begun:
            run.resume(load_state(state))
        with TrainingProgress(order.settings.steps, run.counted) as progress, _stoppable() as stopped:
            files = _Files(order, run, progress)
            if team.first:
                files.describe()
                files.check()
                if begun:
                    forget_after(order.beside("log.jsonl"), run.step)
                else:
                    order.beside("log.jsonl").unlink(missing_ok=True)  # of another training
            _loop(run, files, stopped)
    return order.output


def _loop(run: Run, files: "_Files", stopped: Callable[[], bool]) -> None:
    asked, team = run.settings, run.workers
    done = asked.patience and run.waited >= asked.patience and run.kept  # ended so before, and called again
    while not done and run.step < asked.steps:
        report = run.advance()
        if team.first:
            files.progress.step(report)
        over = run.step >= asked.steps
        if run.step % asked.eval_every == 0 or over:
            if team.first:
                files.evaluated()
            run.saved = True
            team.wait()
            if asked.patience and team.agree(run.waited >= asked.patience):
                files.say(f"no better one in {run.waited} evaluations: the best, of step {run.best_step}, is kept")
                break
        if team.agree(stopped()):
            files.stopped()
            return
    if team.first:
        files.finish()
    team.wait()


class _Files:
    """What a training writes; the first process only."""

    def __init__(self, order: Order, run: Run, progress: TrainingProgress) -> None:
        self.order, self.run, self.progress = order, run, progress
        self._notes = [f"{skipped.where}: {skipped.count} {skipped.reason}" for skipped in run.skipped]

    def say(self, text: str) -> None:
        if self.run.workers.first:
            self.progress.say(text)

    def describe(self) -> None:
        """What is trained, on what."""
        run = self.run
        for line in (run.describe(), *self._notes):
            self.say(line)
        count = sum(value.numel() for value in run.net.parameters())
        self.say(f"{count:,} parameters, {str(run.dtype).removeprefix('torch.')}, {device_name(run.workers.device)}")
        if run.step:
            self.say(f"going on from step {run.step}")
        self.progress.begin(run.step)

    def check(self) -> None:
        """CheckpointError: a name or a class that no model file can have, seen before any training."""
        self.run.check(self._facts(), str(self.order.output))

    def evaluated(self) -> None:
        """A look at the model: figures, the model where it is the best so far, samples, and the state, the last."""
        run = self.run
        seen = run.look()
        better = run.best_step == run.step
        self.progress.look(run.step, seen, better=better)
        if better:
            run.save(self._facts(), self.order.output)
        run.samples(self._facts(), self.order.beside(run.samples_ending))
        path = self.order.beside("log.jsonl")
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": run.step, "seconds": round(run.seconds, 1), **seen}) + "\n")
        except OSError as err:
            raise OutputError(f"{path}: cannot be written ({err.strerror}); see that the disk has room") from err
        save_state(run.state(), self.order.beside("training.safetensors"))

    def stopped(self) -> None:
        """Saved where it stands."""
        if self.run.workers.first:
            save_state(self.run.state(), self.order.beside("training.safetensors"))
            self.say(f"stopped and saved at step {self.run.step}; the same command goes on from there")

    def finish(self) -> None:
        """The kept weights are measured on test examples, and the model and its card written once more."""
        run = self.run
        if not run.kept:
            self.evaluated()
        notes = run.finish()
        run.save(self._facts(), self.order.output)
        tested = {name: value for name, value in run.losses.items() if name.startswith("test")}
        for line in (", ".join(f"{name} {value:.4f}" for name, value in tested.items()), *notes):
            self.say(line)
        samples = self.order.beside(run.samples_ending).name
        self.say(f"{self.order.output}: the model of step {run.best_step}; what it makes: {samples}")

    def _began(self) -> str:
        init = self.order.init
        if init is None:
            return ""
        words = f"; {init.attribution}; licence: {init.licence}" if init.attribution else f"; licence: {init.licence}"
        return f"{init.name}{words}"

    def _facts(self) -> dict[str, Any]:
        order, run = self.order, self.run
        return {
            **run.facts(), "options": self._options(), "licence": order.licence, "attribution": order.attribution,
            "skipped": list(map(self._by_name, self._notes)), "data": run.data(), "device": device_name(run.workers.device),
            "began": self._began(), "precision": str(run.dtype).removeprefix("torch."),
            "sources": " ".join(shlex.quote(path.name) for path in order.sources[:8])
            + (f" ... ({len(order.sources)} files)" if len(order.sources) > 8 else ""),
        }  # fmt: skip

    def _by_name(self, note: str) -> str:
        """A note for the card, which tells nobody where the data lay."""
        for source in self.order.sources:
            note = note.replace(str(source), source.name or str(source))
        return note

    def _options(self) -> str:
        asked = self.order
        init = ["--init", shlex.quote(Path(asked.init_as or asked.init.name).name)] if asked.init else []
        return " ".join([*init, asked.settings.command()])


def device_name(device: torch.device) -> str:
    """What the training runs on, for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads on {platform.machine()}"


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Says whether Ctrl-C or SIGTERM came; the second one breaks off at once."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
