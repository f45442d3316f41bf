"""Drawings to train on, from any mixture of files: classes, splits, and a report of what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .found import Drawings, Found, Skipped
from .sketch_npz import SPLITS, Stroke3
from .sources import plain_label, read_sources

__all__ = ["DrawingSet", "Skipped", "Split", "load_drawings"]

MAX_OFFSET: Final = 1000.0
"""Largest offset in data units; larger ones are clamped, as in magenta's ``sketch_rnn/utils.py``, ``DataLoader``."""

HELD_OUT: Final = 0.05
"""Share of the drawings without splits that goes to ``valid``, and to ``test``."""

FEWEST: Final = 3
"""Fewest drawings of a class without splits: one for each split."""


FLAT: Final = 1e-6
"""Offsets vary where their standard deviation is more than this share of the largest; rounding alone gives less."""


@dataclass(frozen=True, slots=True)
class Split:
    """The drawings of one split, all classes one after the other."""

    drawings: Drawings
    """Stroke-3 rows (n, 3) float32, data units; none empty."""
    label: NDArray[np.int64]
    """(drawings,): the class of each, an index into ``DrawingSet.labels``."""


@dataclass(frozen=True, slots=True)
class DrawingSet:
    """Drawings of one or several classes in three splits."""

    labels: tuple[str, ...]
    """Names of the classes, in the order in which they were first met."""
    train: Split
    valid: Split
    test: Split
    skipped: tuple[Skipped, ...]
    """Everything that was left out or changed; nothing else was."""

    def scale_factor(self) -> float:
        """The standard deviation of all dx and dy of ``train``, data units: what makes data units model units.

        Source: magenta/magenta ``sketch_rnn/utils.py``, ``DataLoader.calculate_normalizing_scale_factor``.

        Raises:
            DataError: all of them are one number, so that nothing can be scaled by how they vary.
        """
        offsets = np.concatenate([rows[:, :2].ravel() for rows in self.train.drawings])
        found = float(offsets.std(dtype=np.float64))
        if found <= FLAT * float(np.abs(offsets).max()):
            raise DataError(
                f"all {len(offsets)} offsets of the training drawings are about {offsets[0]:g} data units; expected "
                "drawings that differ in dx and dy; give more of them"
            )
        return found

    def stage_units(self) -> float:
        """Data units across a stage on which 95 % of ``train`` stay: twice that quantile of their reach.

        The reach of a drawing is its largest distance along x or along y from the start.
        """
        reach = [float(np.abs(rows[:, :2].cumsum(0, np.float64)).max()) for rows in self.train.drawings]
        return 2 * float(np.quantile(reach, 0.95))

    def longest(self) -> int:
        """Rows of the longest drawing of all splits."""
        return max(len(rows) for split in (self.train, self.valid, self.test) for rows in split.drawings)


def load_drawings(
    paths: Sequence[Path], *, max_rows: int = 250, seed: int = 1, recognized_only: bool = False
) -> DrawingSet:
    """Reads drawings from files and folders; what each may be is said at ``sources.read_sources``.

    A source names a class: its file or folder name, underscores as spaces. Sources of one name are one class, as the
    first spells it; capitals and hyphens make no other name, as a model forgives them when it is asked for a class.
    Official splits are kept; other drawings are split 90/5/5, class by class, the same for the same ``seed`` and
    drawings.
    Offsets are clamped to ±1000 data units. What is left out or changed is in ``skipped``.

    Args:
        paths: files and folders, at least one.
        max_rows: longer drawings (stroke-3 rows) are left out, in all splits.
        seed: decides which drawings without splits go where.
        recognized_only: of Quick, Draw! ndjson, only drawings that the game recognized.

    Raises:
        DataError: a source cannot be read, or read safely, or holds something else; a class has no usable drawing, or
            too few to be split.
    """
    if isinstance(paths, str | Path) or not paths:
        raise DataError(f"the data are {paths!r:.60}; give a list of at least one file or folder of drawings")
    classes: dict[str, dict[str, Drawings]] = {}
    spelled: dict[str, str] = {}
    skipped: list[Skipped] = []
    for path in paths:
        for found in read_sources(Path(path), recognized_only=recognized_only):
            if found.label:  # a folder without drawings has none
                label = spelled.setdefault(plain_label(found.label), found.label)
                taken = classes.setdefault(label, {name: [] for name in (*SPLITS, "")})
                for name, drawings in _usable(found, max_rows).items():
                    taken[name] += drawings
            skipped += [item for item in found.skipped() if item not in skipped]
    for label, taken in classes.items():
        _check_any(label, taken, skipped)
        _divide(label, taken, seed, skipped)
    splits = {name: _joined([taken[name] for taken in classes.values()]) for name in SPLITS}
    return DrawingSet(tuple(classes), **splits, skipped=tuple(skipped))


def _joined(classes: Sequence[Drawings]) -> Split:
    counts = [len(drawings) for drawings in classes]
    label = np.repeat(np.arange(len(classes), dtype=np.int64), counts)
    return Split([rows for drawings in classes for rows in drawings], label)


def _usable(found: Found, max_rows: int) -> dict[str, Drawings]:
    """The drawings of a source by split (``""``: none yet) that can be trained on; the others are counted there."""
    out: dict[str, Drawings] = {}
    for name, drawings in {**found.splits, "": found.drawings}.items():
        out[name] = _kept(drawings, found, max_rows, name) if drawings else []
    return out


def _kept(drawings: Drawings, found: Found, max_rows: int, name: str) -> Drawings:
    """Those of one split that can be trained on, clamped; all looked at together, for there may be 70,000."""
    rows = np.concatenate(drawings)
    lengths = np.array([len(drawing) for drawing in drawings])
    starts = np.cumsum(lengths) - lengths  # no reader gives a drawing without rows, which reduceat could not tell
    unlike = np.logical_or.reduceat((rows[:, 2] != 0) & (rows[:, 2] != 1), starts)
    if unlike.any():
        number = int(unlike.argmax())
        raise DataError(
            f"{found.where}: drawing {number}{' of ' + name if name else ''}: a third column other than 0 and 1; "
            "expected stroke-3 rows (dx, dy, pen lifts after)"
        )
    still = ~np.logical_or.reduceat(rows[:, :2].any(1), starts)
    long = ~still & (lengths > max_rows)
    far = np.logical_or.reduceat((np.abs(rows[:, :2]) > MAX_OFFSET).any(1), starts) & ~still & ~long
    found.skip("no movement at all: left out", int(still.sum()))
    found.skip(f"longer than {max_rows} rows: left out", int(long.sum()))
    found.skip(f"offsets beyond ±{MAX_OFFSET:g} data units: clamped, and kept", int(far.sum()))
    kept = np.flatnonzero(~still & ~long).tolist()
    return [_clamped(drawings[i]) if far[i] else drawings[i] for i in kept]


def _clamped(rows: Stroke3) -> Stroke3:
    out = rows.copy()
    out[:, :2] = out[:, :2].clip(-MAX_OFFSET, MAX_OFFSET)
    return out


def _check_any(label: str, taken: dict[str, Drawings], skipped: Sequence[Skipped]) -> None:
    if not any(taken.values()):
        reasons = "; ".join(f"{item.where}: {item.count} {item.reason}" for item in skipped) or "its files hold none"
        raise DataError(f"class {label!r} has no drawing that can be trained on ({reasons}); leave it out, or add some")


def _divide(label: str, taken: dict[str, Drawings], seed: int, skipped: list[Skipped]) -> None:
    """Divides the drawings of a class that have no split yet among the splits.

    Official splits of which one has no usable drawing are divided anew, and reported: they could not be judged by.
    """
    loose = taken.pop("")
    empty = [name for name in SPLITS if not taken[name]]
    if empty and len(empty) < len(SPLITS):
        official = [rows for name in SPLITS for rows in taken[name]]
        skipped.append(Skipped(label, f"no usable drawing in {', '.join(empty)}: all divided anew", len(official)))
        loose = official + loose
        taken.update({name: [] for name in SPLITS})
    if len(loose) < FEWEST and any(taken.values()):  # a few more beside official splits
        taken["train"] += loose
        return
    if len(loose) < FEWEST:
        raise DataError(
            f"class {label!r} has {len(loose)} usable drawing{'s' * (len(loose) > 1)}; at least {FEWEST} are needed, "
            "one each to train, validate and test; give more drawings of it"
        )
    order = np.random.default_rng(seed % 2**64).permutation(len(loose))
    held = max(1, round(HELD_OUT * len(loose)))
    for name, part in zip(SPLITS, np.split(order, [len(loose) - 2 * held, len(loose) - held]), strict=True):
        taken[name] += [loose[i] for i in sorted(part.tolist())]
