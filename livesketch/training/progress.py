"""A training as it is seen: a bar with loss, rate and time left in a terminal, lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .run import StepReport

_SMOOTH = 0.02
_LINES = 20  # lines of progress over a whole training where there is no terminal


class TrainingProgress:
    """Shows steps; a context manager. Nothing but this writes while it is open.

    Args:
        steps: of the whole training.
        counted: what its rate counts, as ``drawings``.
        console: where to; standard error by default.
    """

    def __init__(self, steps: int, counted: str, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._steps, self._counted, self._means = steps, counted, dict[str, float]()
        self._seen, self._count, self._began = 0, 0, 0.0
        self._bar = Progress(
            TextColumn("training"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"), TimeRemainingColumn(), console=self._console,
            disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=steps, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, step: int) -> None:
        """Where a training that goes on begins."""
        self._bar.update(self._task, completed=step)

    def step(self, report: StepReport) -> None:
        """One step was made."""
        self._seen += 1
        self._count += report.count
        share = max(_SMOOTH, 1 / self._seen)
        for name, value in report.shown.items():
            mean = self._means.get(name, 0.0)
            self._means[name] = mean + share * (value - mean)
        shown = "".join(f"{name} {value:.3f}, " for name, value in self._means.items())
        figures = f"{shown}{self.rate():.0f} {self._counted}/s"
        self._bar.update(self._task, completed=report.step, figures=figures)
        if not self._console.is_terminal and report.step % max(1, self._steps // _LINES) == 0:
            left = (self._steps - report.step) * (time.monotonic() - self._began) / self._seen
            self.say(f"step {report.step}/{self._steps}: {figures}, {left / 60:.1f} min left")

    def rate(self) -> float:
        """Drawings, or tokens, per second since it was opened."""
        return self._count / max(time.monotonic() - self._began, 1e-9)

    def look(self, step: int, figures: Mapping[str, float], *, better: bool) -> None:
        """The model was evaluated."""
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.say(f"step {step}: {shown}{' (best, kept)' if better else ''}")
