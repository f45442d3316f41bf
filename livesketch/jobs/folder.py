"""A folder with an SVG page for each drawing; several runs of other numbers may fill the same one at once."""

import os
import re
import secrets
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import OutputError
from ..paper import Frame, Page, bounds_of, grid_of, page_frame, page_in_parts
from ..rows import Rows
from .notes import agree
from .parts import Kind, Part, lines_of, stretches

NOTES: Final = ".livesketch-bulk.json"
"""Hidden, so that what reads a folder of drawings passes it over."""

_PAGE: Final = re.compile(r"([0-9]{8,10})\.svg")
_PART: Final = re.compile(r"\.([0-9]{8,10})\.[0-9a-f]{8}\.part")


class Folder:
    """``run.Store``: each page is written whole or not at all, and is there or not: nothing else says what is done."""

    kind: Kind = "places"

    def __init__(self, path: Path, facts: dict[str, Any], page: Page, color: str, about: dict[str, str]) -> None:
        self.path = path
        self._page = page
        self._frame = page_frame(page, color=color, about=about | {"drawing": "0"})
        look = {"page": [page.width, page.height, page.margin, page.pen_width], "color": color}
        self._open(facts | look)

    def _open(self, facts: dict[str, Any]) -> None:
        try:
            self.path.mkdir(exist_ok=True)
            names = {entry.name for entry in self.path.iterdir()}
        except (OSError, ValueError) as err:
            reason = getattr(err, "strerror", None) or err
            raise OutputError(
                f"{self.path}: not a folder that can be written ({reason}); give one that is there, or a new one in a "
                "folder that exists"
            ) from err
        found = next((name for name in sorted(names) if _PAGE.fullmatch(name)), None)
        if found and NOTES not in names:
            raise OutputError(
                f"{self.path}: it holds {found}, and nothing says that a run of this program made it; give a new "
                "folder, or move the file away"
            )
        agree(self.path / NOTES, facts)

    def close(self) -> None:
        """Nothing is held."""

    def missing(self, numbers: range) -> list[range]:
        """The stretches that are not there, from one run of missing pages to the next.

        Raises:
            OutputError: a page of that name is there and is of something else.
        """
        there = np.zeros(len(numbers), np.bool_)
        for name in os.listdir(self.path):  # noqa: PTH208 - names alone: there may be a million
            page, part = _PAGE.fullmatch(name), _PART.fullmatch(name)
            number = int((page or part or [0, -1])[1])
            if number not in numbers:
                continue
            if part:  # of a run that was killed
                (self.path / name).unlink(missing_ok=True)
            elif name == name_of(number):
                there[number - numbers.start] = self._is_whole(self.path / name, number)
        left = []
        for stretch in stretches(numbers):
            own = there[stretch.start - numbers.start : stretch.stop - numbers.start]
            edges = np.flatnonzero(np.diff(np.concatenate([[True], own, [True]]))) + stretch.start
            left += [range(a, b) for a, b in edges.reshape(-1, 2).tolist()]
        return left

    def _is_whole(self, path: Path, number: int) -> bool:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as err:
            raise OutputError(f"{path}: cannot be read ({err}); expected a page of this run; move it away") from err
        frame = self._frame_of(number)
        if text == frame.empty or (text.startswith(frame.before) and text.endswith(frame.after)):
            return True
        if not text.strip("\0") or text.startswith(frame.before) or frame.before.startswith(text):
            return False  # the power went while it was written
        raise OutputError(
            f"{path}: not a page of this run, which would write one of that name; move it away, or give a new folder"
        )

    def keep(self, part: Part) -> None:
        """Writes the pages of a part. OutputError: one cannot be written."""
        for number, rows in part.drawings():
            target = self.path / name_of(number)
            beside = self.path / f".{number:08d}.{secrets.token_hex(4)}.part"
            try:
                beside.write_text(self._text(number, rows), encoding="utf-8", newline="")
                beside.replace(target)
            except OSError as err:
                beside.unlink(missing_ok=True)
                raise OutputError(
                    f"{target}: cannot be written ({err.strerror or err}); see that the disk has room, and run again: "
                    "it goes on from there"
                ) from err

    def finish(self) -> None:
        """All is there already."""

    def _text(self, number: int, rows: Rows) -> str:
        lines, frame = lines_of(rows), self._frame_of(number)
        if not lines:
            return frame.empty
        grid = grid_of(np.array([bounds_of(lines)]), self._page)
        return "".join(page_in_parts([lines], grid, frame))

    def _frame_of(self, number: int) -> Frame:
        before, empty = (
            text.replace(' drawing="0"', f' drawing="{number}"', 1) for text in (self._frame.before, self._frame.empty)
        )
        return Frame(before, self._frame.path, self._frame.after, empty)


def name_of(number: int) -> str:
    """The name of a drawing's page: eight digits, more from a hundred million on."""
    return f"{number:08d}.svg"
