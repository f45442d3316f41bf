"""A whole training: data in, a model that draws out, with everything beside it that a stop and a look need.

Beside ``cat.safetensors`` stand ``cat.training.safetensors`` (where the training stands), ``cat.samples.svg`` (drawings
of the model so far), ``cat.log.jsonl`` (a line per evaluation) and ``cat.md`` (the model card).
"""

import json
import platform
import shlex
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..data.drawings import DrawingSet, load_drawings
from ..errors import OutputError
from ..models.checkpoint import Checkpoint
from ..models.checks import check
from ..models.network import SketchRNN
from .evaluation import evaluate, figures, total
from .export import checkpoint_of, save_model
from .progress import TrainingProgress
from .samples import draw_samples
from .settings import SketchSettings
from .sketch import SketchRun
from .state import load_state, save_state
from .workers import Workers, workers

SAMPLES = 30
"""Drawings on the contact sheet; a model of more classes shows some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train, from what, to where."""

    sources: Sequence[Path]
    output: Path
    settings: SketchSettings
    name: str
    licence: str = "not stated"
    attribution: str = "not stated"
    fresh: bool = False
    """Whether a training that was begun there is thrown away."""
    init: Checkpoint | None = None
    """A model to begin from."""
    init_as: str = ""
    """As what it was asked for, for the model card; its name by default."""

    def beside(self, ending: str) -> Path:
        """A file next to the model."""
        return self.output.with_name(f"{self.output.stem}.{ending}")


def train_sketch(order: Order) -> Path:
    """Trains, or goes on where a training of the same files was stopped; returns the model's path.

    Ctrl-C and SIGTERM end it after the step at hand, everything saved; the same call then goes on.

    Raises:
        DataError: the drawings.
        TrainingError: numbers that are not finite, or a begun training of other data or options.
        ControlError: the device; CheckpointError: a damaged training file; OutputError: a file cannot be written.
    """
    if order.output.suffix != ".safetensors":
        raise OutputError(f"{order.output}: a model is known by its ending; give a name such as cat.safetensors")
    _check_place(order)
    with workers(order.settings.device) as team:
        data = load_drawings(order.sources, max_rows=order.settings.max_rows, seed=order.settings.seed)
        run = SketchRun(order.settings, data, team, order.name, order.init)
        state = order.beside("training.safetensors")
        begun = team.agree(state.exists() and not order.fresh)
        if begun:
            run.resume(load_state(state))
        with TrainingProgress(order.settings.steps) as progress, _stoppable() as stopped:
            if team.first:
                _describe(progress, run, data)
            files = _Files(order, data, progress, team)
            if team.first:
                files.check(run)
            if team.first and not begun:
                order.beside("log.jsonl").unlink(missing_ok=True)  # of another training
            _loop(order, run, files, stopped)
    return order.output


def _check_place(order: Order) -> None:
    """Refuses an output that could not be written, or would be read as drawings, before hours are spent on it."""
    folder = order.output.resolve().parent
    for source in order.sources:
        if source.is_dir() and source.resolve() in {folder, folder.parent}:
            raise OutputError(
                f"{order.output}: lies in {source}, of which all is read as drawings, the samples and the log too; give "
                "a file in another folder with -o"
            )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise OutputError(
            f"{order.output}: cannot be written ({err.strerror}); give a file in a folder that exists and can be written"
        ) from err
    if order.output.is_dir():
        raise OutputError(f"{order.output}: is a folder; give the name of a file")


def _describe(progress: TrainingProgress, run: SketchRun, data: DrawingSet) -> None:
    sizes = ", ".join(f"{len(part)} {split}" for split, part in run.splits.items())
    progress.say(
        f"{sizes}; {len(data.labels)} classes; longest {run.longest} rows; scale factor {run.scale_factor:.2f}"
    )
    for skipped in data.skipped:
        progress.say(f"{skipped.where}: {skipped.count} {skipped.reason}")
    count = sum(value.numel() for value in run.net.parameters())
    progress.say(f"{count:,} parameters, {str(run.dtype).removeprefix('torch.')}, {device_name(run.workers.device)}")
    if run.step:
        progress.say(f"going on from step {run.step}")
    progress.begin(run.step)


def _loop(order: Order, run: SketchRun, files: "_Files", stopped: Callable[[], bool]) -> None:
    asked, team = order.settings, run.workers
    done = asked.patience and run.waited >= asked.patience and run.kept  # ended so before, and called again
    while not done and run.step < asked.steps:
        report = run.advance()
        if team.first:
            files.progress.step(report)
        over = run.step >= asked.steps
        if run.step % asked.eval_every == 0 or over:
            if team.first:
                files.evaluated(run)
            team.wait()
            if asked.patience and team.agree(run.waited >= asked.patience):
                files.say(f"no better one in {run.waited} evaluations: the best, of step {run.best_step}, is kept")
                break
        if team.agree(stopped()):
            files.stopped(run)
            return
    if team.first:
        files.finish(run)
    team.wait()


class _Files:
    """What a training writes; the first process only."""

    def __init__(self, order: Order, data: DrawingSet, progress: TrainingProgress, team: Workers) -> None:
        self.order, self.progress, self._team = order, progress, team
        self._notes = [f"{skipped.where}: {skipped.count} {skipped.reason}" for skipped in data.skipped]

    def say(self, text: str) -> None:
        if self._team.first:
            self.progress.say(text)

    def check(self, run: SketchRun) -> None:
        """CheckpointError: a name or a class that no model file can have, seen before any training."""
        check(checkpoint_of(run.net.spec, _arrays(run.average), self._facts(run), exact=True), str(self.order.output))

    def evaluated(self, run: SketchRun) -> None:
        """A look at the model: figures, the model where it is the best so far, drawings, and the state, the last."""
        _, seen = run.look()
        better = run.best_step == run.step
        self.progress.look(run.step, seen, better=better)
        if better:
            self._save_model(run)
        net = SketchRNN(run.net.spec)
        net.load(run.average)
        exact = checkpoint_of(net.spec, _arrays(run.average), self._facts(run), exact=True)
        draw_samples(exact, self.order.beside("samples.svg"), count=SAMPLES, seed=run.settings.seed)
        path = self.order.beside("log.jsonl")
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": run.step, "seconds": round(run.seconds, 1), **seen}) + "\n")
        except OSError as err:
            raise OutputError(f"{path}: cannot be written ({err.strerror}); see that the disk has room") from err
        save_state(run.state(), self.order.beside("training.safetensors"))

    def stopped(self, run: SketchRun) -> None:
        """Saved where it stands."""
        if self._team.first:
            save_state(run.state(), self.order.beside("training.safetensors"))
            self.say(f"stopped and saved at step {run.step}; the same command goes on from there")

    def finish(self, run: SketchRun) -> None:
        """The kept weights are measured on the test drawings, and the model and its card written once more."""
        if not run.kept:
            self.evaluated(run)
        net = SketchRNN(run.net.spec).to(run.workers.device)
        net.load(run.kept)
        found = total(evaluate(net, run.splits["test"], run.longest, padded=True, dtype=run.dtype))
        run.losses |= {f"test {name}": value for name, value in figures(found, padded=True).items()}
        if run.settings.z_dropout and run.settings.z_size:
            without = total(evaluate(net, run.splits["test"], run.longest, latent=False, dtype=run.dtype))
            run.losses["test nats per step, without latent"] = float(without.nats_per_step)
        self._save_model(run)
        tested = {name: value for name, value in run.losses.items() if name.startswith("test")}
        self.say(", ".join(f"{name} {value:.4f}" for name, value in tested.items()))
        self.say(f"L_R is divided by N_max = {run.longest}")
        samples = self.order.beside("samples.svg").name
        self.say(f"{self.order.output}: the model of step {run.best_step}; its drawings: {samples}")

    def _save_model(self, run: SketchRun) -> None:
        facts = self._facts(run)
        save_model(checkpoint_of(run.net.spec, _arrays(run.kept), facts), facts, self.order.output)

    def _began(self) -> str:
        init = self.order.init
        if init is None:
            return ""
        words = f"; {init.attribution}; licence: {init.licence}" if init.attribution else f"; licence: {init.licence}"
        return f"{init.name}{words}"

    def _facts(self, run: SketchRun) -> dict[str, Any]:
        classes, count = run.data_labels, sum(map(len, run.splits.values()))
        kinds = f"{len(classes)} classes" if len(classes) > 1 else classes[0]
        return {
            **run.facts(), "options": self._options(), "licence": self.order.licence, "attribution": self.order.attribution, "skipped": self._notes,
            "data": f"{count} drawings, {kinds}", "device": device_name(run.workers.device),
            "began": self._began(),
            "precision": str(run.dtype).removeprefix("torch."),
            "sources": " ".join(shlex.quote(path.name) for path in self.order.sources[:8])
            + (f" ... ({len(self.order.sources)} files)" if len(self.order.sources) > 8 else ""),
        }  # fmt: skip

    def _options(self) -> str:
        asked = self.order
        init = ["--init", shlex.quote(Path(asked.init_as or asked.init.name).name)] if asked.init else []
        return " ".join([*init, asked.settings.command()])


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


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
