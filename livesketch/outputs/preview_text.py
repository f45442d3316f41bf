"""What text models write, in the preview window: as lines over all of it, or the last line below drawings."""

from collections.abc import Callable
from typing import Any, Final

from ..events import Token
from .preview_scene import Rgb
from .raster import printable
from .writing import Writing

_ROWS: Final = 14
"""Of a window that shows nothing else."""
_SHARE_BELOW: Final = 1 / 30
"""Height of the line below drawings, of the window's."""
_WIDE_FONTS: Final = (
    "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "AR PL UMing CN",
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimSun",
)  # fmt: skip
_CJK: Final = "\u2e80"
"""The first character that needs one of these."""


class Lines:
    """The text of all voices, drawn with pyglet's labels; ``report`` is told once where that fails."""

    def __init__(self, pyglet: Any, color: Rgb, font: str | None, report: Callable[[str], None]) -> None:
        self._pyglet, self._font, self._report = pyglet, font, report
        self._color = (*(round(255 * part) for part in color), 255)
        self._writing = Writing()
        self._wide = self._failed = self._warned = False
        self._labels: list[Any] = []
        self._drawn: tuple[int, int, bool] | None = None
        self._fresh = True

    def add(self, token: Token) -> None:
        """One token more."""
        self._writing.add(token, several=False)
        if not self._wide and any(c >= _CJK for c in token.text):
            self._wide, self._drawn = True, None
        self._fresh = True

    def draw(self, width: int, height: int, *, alone: bool) -> None:
        """The text into a window of so many of its own units; ``alone``: nothing else is in it."""
        if self._failed:
            return
        try:
            self._lay(width, height, alone)
            for label in self._labels:
                label.draw()
        except Exception as error:  # noqa: BLE001 - without its fonts the window still shows drawings
            self._failed = True
            self._report(f"text is not shown in the window: {type(error).__name__}: {error}; are there fonts?")

    def _lay(self, width: int, height: int, alone: bool) -> None:
        rows = _ROWS if alone else 1
        line = height / (_ROWS + 2) if alone else height * _SHARE_BELOW
        if self._drawn != (width, height, alone):
            self._drawn, self._fresh = (width, height, alone), True
            bottoms = [height - line * (row + 1.5) if alone else line / 2 for row in range(rows)]
            font = self._fonts()
            self._labels = [self._label(line, bottom, font) for bottom in bottoms]
        if self._fresh:
            self._fresh = False
            columns = max(1, int((width - 2 * line) / ((0.37 if self._wide else 0.45) * line)))
            for label, text in zip(self._labels, self._writing.rows(columns, rows), strict=True):
                label.text = printable(text)

    def _label(self, line: float, bottom: float, font: str | None) -> Any:
        """One row, ``line`` high with its spacing, at ``bottom``."""
        points = max(4.0, 0.72 * line * 72 / 96)  # a font's size is in points of 1/72 inch, a window's unit 1/96
        return self._pyglet.text.Label(
            "", font_name=font, font_size=points, x=line, y=bottom, color=self._color, anchor_y="bottom"
        )

    def _fonts(self) -> str | None:
        if self._font is not None or not self._wide:
            return self._font
        found = next((name for name in _WIDE_FONTS if self._pyglet.font.have_font(name)), None)
        if found is None and not self._warned:
            self._warned = True
            self._report("the window's fonts lack Chinese and Japanese characters; install one, such as Noto Sans CJK")
        return found
