"""A training as it is seen: a bar with loss, rate and time left in a terminal, lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .sketch import StepReport

_SMOOTH = 0.02
_LINES = 20  # lines of progress over a whole training where there is no terminal


class TrainingProgress:
    """Shows steps; a context manager. Nothing but this writes while it is open."""

    def __init__(self, steps: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._steps, self._mean, self._kl = steps, 0.0, 0.0
        self._seen, self._drawings, self._began = 0, 0, 0.0
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
        self._drawings += report.drawings
        share = max(_SMOOTH, 1 / self._seen)
        self._mean += share * (report.nats - self._mean)
        self._kl += share * (report.kl - self._kl)
        figures = f"{self._mean:.3f} nats/step, KL {self._kl:.3f}, {self.rate():.0f} drawings/s"
        self._bar.update(self._task, completed=report.step, figures=figures)
        if not self._console.is_terminal and report.step % max(1, self._steps // _LINES) == 0:
            left = (self._steps - report.step) * (time.monotonic() - self._began) / self._seen
            self.say(f"step {report.step}/{self._steps}: {figures}, {left / 60:.1f} min left")

    def rate(self) -> float:
        """Drawings per second since it was opened."""
        return self._drawings / max(time.monotonic() - self._began, 1e-9)

    def look(self, step: int, figures: Mapping[str, float], *, better: bool) -> None:
        """The model was evaluated."""
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self.say(f"step {step}: {shown}{' (best, kept)' if better else ''}")
