"""A run: many drawings into a folder or a file. Stopped anywhere, also by force, it goes on when it is begun again.

What is written depends on the subject and the numbers only, bit for bit: not on how often it was stopped, nor on who
drew which part.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import OutputError
from ..outputs.base import Stage
from ..outputs.svg import facts_of as play_of
from ..outputs.svg import written
from ..paper import Page, check_color
from ..streams.bulk import Subject, voices_for
from ..streams.condition import asked_of
from . import folder, single
from .cluster import on_cluster
from .hands import here, processes
from .notes import facts_of, noted
from .parts import Kind, Part


class Store(Protocol):
    """Where a run's drawings go."""

    kind: Kind

    def missing(self, numbers: range) -> list[range]:
        """What of the numbers is not there yet."""

    def keep(self, part: Part) -> None:
        """Takes a part; from then on it is there, whatever happens."""

    def finish(self) -> None:
        """All parts are there."""

    def close(self) -> None:
        """Others may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to draw, and where to."""

    subject: Subject
    numbers: range
    output: Path
    folder: bool
    """Whether the output is a folder."""
    page: Page
    color: str = "black"
    voices: int | None = None
    """Drawings at a time, in each process; None chooses."""
    processes: int = 1
    cluster: str | None = None
    """Address of a Dask scheduler, which takes the place of processes here."""


@dataclass(slots=True)
class Tally:
    """What a run drew, beyond what was there."""

    before: int = 0
    """Drawings that were there already."""
    drawn: int = 0
    cut: int = 0
    """Of the drawn ones, those that the model did not end by itself."""
    empty: int = 0
    """Of the drawn ones, those with nothing that can be kept."""

    def add(self, part: Part) -> None:
        """Counts a part."""
        self.drawn += len(part.numbers)
        self.cut += int((~part.ended).sum())
        self.empty += int((part.lengths == 0).sum())


def run(order: Order, progress: Callable[[int], None] = lambda _: None) -> Tally:
    """Draws what is not there yet; ``progress`` is told how many drawings there are.

    Raises:
        ControlError: other options than those with which it was begun, or one out of range.
        OutputError: something cannot be written, read or reached, or belongs to others.
        MissingExtraError, BackendUnavailableError: the cluster, or the processes.
    """
    voices = voices_for(order.subject.checkpoint, order.voices)
    with closing(_store(order)) as store:
        left = store.missing(order.numbers)
        tally = Tally(before=len(order.numbers) - sum(map(len, left)))
        progress(tally.before)
        with closing(_drawn(order, left, store.kind, voices)) as parts:
            for part in parts:
                store.keep(part)
                tally.add(part)
                progress(tally.before + tally.drawn)
        store.finish()
    return tally


def _drawn(order: Order, left: Sequence[range], kind: Kind, voices: int) -> Generator[Part, None, None]:
    if order.cluster is not None:
        return on_cluster(order.subject, left, kind, voices, order.cluster)
    if order.processes > 1 and len(left) > 1:
        return processes(order.subject, left, kind, voices, order.processes)
    return here(order.subject, left, kind, voices)


def _store(order: Order) -> Store:
    facts, about = facts_of(order.subject), _about(order.subject)
    color = check_color(order.color)
    if order.folder:
        return folder.Folder(order.output, facts, order.page, color, about)
    return single.SingleFile(order.output, order.numbers, facts, order.page, color, about)


def _about(subject: Subject) -> dict[str, str]:
    """What a page says of them: as ``draw`` to ``svg``."""
    units, controls = subject.checkpoint.stage_units, subject.controls
    stage = Stage(subject.name, subject.seed, units, controls.temperature, controls.convention)
    asked = asked_of(subject.condition, 0, subject.name)
    return play_of(stage) | ({} if asked is None else written(asked)) | {"voice": "0"}


def begun_with(output: Path, *, is_folder: bool) -> int | None:
    """The seed of the run that was begun there; None where none was.

    Raises:
        OutputError: what it noted cannot be read.
    """
    place = output / folder.NOTES if is_folder else single.folder_of(output) / single.NOTES
    try:
        found = noted(place)
    except (OSError, ValueError) as err:
        raise OutputError(f"{str(output)!r:.200}: no name for a file ({err}); give another") from err
    return None if found is None else int(found["seed"])
