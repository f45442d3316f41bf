"""What a preview window shows, as numbers: no window here."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from livesketch.outputs.preview_scene import MARGIN, THINNEST, Look, Scene, cells

RED, BLUE, BLACK = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)


def look(**changed: object) -> Look:
    values: dict[str, object] = {
        "colors": [RED, BLUE], "background": BLACK, "line_width": 0.01, "fade": 4.0, "grid": True,
    }  # fmt: skip
    return Look(**{**values, **changed})  # type: ignore[arg-type]


def scene(voices: int = 1, pieces: int = 64, slots: int = 16, **changed: object) -> Scene:
    made = Scene(look(**changed), pieces, slots)
    made.open(voices, 0.0)
    for voice in range(voices):
        made.pen(voice, voice)
    return made


def live(table: NDArray[np.float32]) -> NDArray[np.float32]:
    return table[table[:, 3] > 0]


@given(st.integers(1, 1500), st.integers(1, 5000), st.integers(1, 5000))
def test_cells_fill_the_window_and_do_not_overlap(voices: int, width: int, height: int) -> None:
    got = cells(voices, width, height)
    assert got.shape == (voices, 4)
    assert (got[:, 2:] == got[0, 2:]).all(), "all have the same size"
    assert (got[:, :2] >= 0).all()
    assert (got[:, 0] + got[:, 2] <= width * (1 + 1e-9)).all()
    assert (got[:, 1] + got[:, 3] <= height * (1 + 1e-9)).all()
    places = np.round(got[:, :2] / got[0, 2:]).astype(int)
    assert len(np.unique(places, axis=0)) == voices


@pytest.mark.parametrize(("voices", "size", "grid"), [(1, (600, 400), (1, 1)), (2, (800, 400), (2, 1)),
                                                      (2, (400, 800), (1, 2)), (16, (900, 900), (4, 4)),
                                                      (3, (900, 300), (3, 1))])  # fmt: skip
def test_cells_are_as_large_as_can_be(voices: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert cells(voices, *size)[0, 2:].tolist() == [size[0] / grid[0], size[1] / grid[1]]


def test_a_dot_and_a_line() -> None:
    made = scene()
    made.drawing(0, 0.0)
    made.move(0, 0.5, 0.25, 0.0)
    made.line(0, 0.75, 0.5, 0.0)
    made.line(0, 1.0, 0.5, 0.0)
    slot = made.rows[0, 4]
    assert made.rows[: made.count].tolist() == [
        [0.5, 0.25, 0.5, 0.25, slot], [0.5, 0.25, 0.75, 0.5, slot], [0.75, 0.5, 1.0, 0.5, slot],
    ]  # fmt: skip


def test_the_stage_lies_in_the_middle_of_its_cell() -> None:
    made = scene()
    made.drawing(0, 0.0)
    (row,) = live(made.table(0.0, 600, 400))
    scale, left, top, half, *color, below = row.tolist()
    assert scale == pytest.approx(400 * (1 - 2 * MARGIN))
    assert (left + scale / 2, top + scale / 2) == pytest.approx((300, 200))
    assert half == pytest.approx(0.01 * 400 / 2)
    assert color == list(RED)
    assert below == 0


def test_each_voice_has_its_color_and_its_cell_or_all_share_one() -> None:
    for grid, middles in ((True, [(150, 100), (450, 100)]), (False, [(300, 100), (300, 100)])):
        made = scene(2, grid=grid)
        made.drawing(0, 0.0)
        made.drawing(1, 0.0)
        rows = live(made.table(0.0, 600, 200))
        assert sorted(tuple(row[4:7]) for row in rows.tolist()) == [BLUE, RED]
        by_color = sorted(rows.tolist(), key=lambda row: -row[4])
        found = np.array([(row[1] + row[0] / 2, row[2] + row[0] / 2) for row in by_color])
        assert found == pytest.approx(np.array(middles), abs=1e-3)


def test_thin_lines_stay_visible() -> None:
    made = scene(16, slots=32, line_width=1e-6)
    for voice in range(16):
        made.drawing(voice, 0.0)
    assert (live(made.table(0.0, 640, 480))[:, 3] == THINNEST / 2).all()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30), st.booleans())
def test_a_drawing_that_leaves_the_stage_is_seen_whole_after_a_while(
    points: list[tuple[float, float]], grid: bool
) -> None:
    made = scene(2, grid=grid)
    made.drawing(0, 0.0)
    made.drawing(1, 0.0)
    made.move(0, *points[0], 0.0)
    for point in points[1:]:
        made.line(0, *point, 0.0)
    made.table(0.0, 800, 400)
    table = made.table(60.0, 800, 400)
    assert not made.moving()
    width = 400 if grid else 800
    where = np.array(points, np.float32) * table[int(made.rows[0, 4]), 0] + table[int(made.rows[0, 4]), 1:3]
    assert (where >= -1.0).all()
    assert (where <= (width + 1.0, 401.0)).all()


def test_a_view_grows_smoothly_and_says_that_it_moves() -> None:
    made = scene()
    made.drawing(0, 0.0)
    before = live(made.table(0.0, 400, 400))[0, 0]
    assert not made.moving()
    made.move(0, 3.0, 0.5, 0.0)
    assert made.moving()
    scales = [live(made.table(now, 400, 400))[0, 0] for now in (0.0, 0.02, 0.04, 1.0, 5.0)]
    assert scales[0] == before
    assert scales == sorted(scales, reverse=True)
    assert scales[1] < before
    assert scales[-1] == pytest.approx(before / 3, rel=1e-3)


def test_older_drawings_fade_and_go() -> None:
    made = scene(fade=4.0)
    made.drawing(0, 0.0)
    made.move(0, 0.5, 0.5, 0.0)
    assert not made.fading()
    assert live(made.table(100.0, 99, 99))[0, 4] == 1.0, "the present drawing does not fade"
    made.drawing(0, 100.0)
    assert made.fading()
    assert made.moving()
    old = [live(made.table(now, 99, 99))[:, 4].min() for now in (100.0, 101.0, 102.0, 103.0)]
    assert old == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert sorted(live(made.table(103.5, 99, 99))[:, 7]) == [0.0, 1.0], "what fades is painted below"
    assert len(live(made.table(104.0, 99, 99))) == 1
    assert not made.fading()
    assert not made.moving()


def test_lines_that_nobody_sees_any_more_are_not_kept() -> None:
    made = scene(pieces=4096, slots=64, fade=1.0)
    for number in range(100):
        made.drawing(0, float(number))
        for _ in range(20):
            made.line(0, 0.5, 0.5, float(number))
        made.table(number + 0.5, 99, 99)
        assert made.count <= 20 * 4
    assert made.forgotten == 0


def test_faded_means_like_the_background() -> None:
    made = scene(background=(0.2, 0.4, 0.6), fade=2.0)
    made.drawing(0, 0.0)
    made.drawing(0, 0.0)
    rows = live(made.table(1.0, 99, 99))
    assert rows[rows[:, 7] == 1][0, 4:7] == pytest.approx([0.6, 0.2, 0.3])


@pytest.mark.parametrize(("fade", "left"), [(0.0, 1), (math.inf, 2)])
def test_at_once_or_never(fade: float, left: int) -> None:
    made = scene(fade=fade)
    made.drawing(0, 0.0)
    made.drawing(0, 1.0)
    assert len(live(made.table(1e6, 99, 99))) == left
    assert not made.moving(), "nothing to paint again and again"


def test_another_player_takes_the_place() -> None:
    made = scene(2, fade=1.0)
    made.drawing(0, 0.0)
    made.drawing(1, 0.0)
    made.open(1, 5.0)
    made.pen(0, 0)
    made.drawing(0, 5.0)
    assert len(live(made.table(5.5, 99, 99))) == 3
    assert len(live(made.table(6.5, 99, 99))) == 1


def test_a_pen_that_draws_after_its_drawing_is_gone_begins_another() -> None:
    made = scene(fade=1.0)
    made.line(0, 0.6, 0.6, 0.0)  # before any drawing
    made.open(1, 0.0)
    made.table(9.0, 99, 99)
    assert made.drawings == 0
    made.line(0, 0.7, 0.7, 9.0)  # a pen that was not announced
    assert made.drawings == 1


def test_endless_drawings_keep_the_newest_lines_in_bounded_memory() -> None:
    made = scene(pieces=4096)
    made.drawing(0, 0.0)
    size = made.rows.nbytes
    total = 1_000_000
    for step in range(total):
        made.line(0, step / total, 0.5, 0.0)
    assert made.rows.nbytes == size
    assert 4096 // 2 < made.count <= 4096
    assert made.count + made.forgotten == total
    kept = made.rows[: made.count, 2]
    assert np.array_equal(kept, (np.arange(total - made.count, total) / total).astype(np.float32))
    assert np.isfinite(made.table(1.0, 640, 480)).all()


def test_very_many_drawings_forget_the_oldest() -> None:
    made = scene(pieces=4096, slots=8, fade=math.inf)
    for number in range(1000):
        made.drawing(0, float(number))
        made.move(0, number / 1000, 0.5, float(number))
    assert 1 <= made.drawings <= 8
    assert made.rows[made.count - 1, 0] == np.float32(0.999)
    assert made.count == made.drawings


def test_a_pen_whose_drawing_made_room_does_not_draw_in_that_of_another() -> None:
    made = scene(6, slots=4, fade=math.inf)
    for pen in range(6):
        made.drawing(pen, 0.0)
        made.move(pen, pen / 10, 0.5, 0.0)
    made.line(0, 0.9, 0.9, 1.0)
    slots = made.rows[: made.count, 4]
    assert (slots == slots[-1]).sum() == 1


class Card:
    """Holds what a graphics card would: the rows that it was sent."""

    def __init__(self, made: Scene) -> None:
        self.rows = np.zeros_like(made.rows)

    def take(self, made: Scene) -> None:
        self.rows[made.changed : made.count] = made.rows[made.changed : made.count]
        made.changed = made.count


STEPS = st.lists(
    st.tuples(st.sampled_from(["drawing", "move", "line", "line", "line", "table", "open", "pen"]),
              st.integers(0, 4), st.floats(-2, 3), st.floats(-2, 3)), max_size=200)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(STEPS, st.sampled_from([0.0, 0.3, math.inf]), st.booleans())
def test_whatever_is_drawn(steps: list[tuple[str, int, float, float]], fade: float, grid: bool) -> None:
    made = scene(3, pieces=24, slots=6, fade=fade, grid=grid)
    card = Card(made)
    last: tuple[float, float] | None = None
    for number, (what, pen, x, y) in enumerate(steps):
        now = number / 10
        act: dict[str, Callable[[], object]] = {
            "drawing": lambda: made.drawing(pen, now),  # noqa: B023 - called at once
            "move": lambda: made.move(pen, x, y, now),  # noqa: B023
            "line": lambda: made.line(pen, x, y, now),  # noqa: B023
            "open": lambda: made.open(1 + pen, now),  # noqa: B023
            "pen": lambda: made.pen(pen, pen),  # noqa: B023
            "table": lambda: made.table(now, 300, 200),  # noqa: B023
        }
        act[what]()
        last = (x, y) if what in {"move", "line"} else last
        table = made.table(now, 300, 200)
        card.take(made)
        assert 0 <= made.count <= 24
        assert made.drawings <= 6
        assert np.array_equal(card.rows[: made.count], made.rows[: made.count]), "the card has every row"
        assert np.isfinite(table).all()
        assert (table[:, 4:7] >= 0).all()
        assert (table[:, 4:7] <= 1).all()
        if what in {"move", "line"}:
            newest = made.rows[made.count - 1]
            assert newest[2:4].tolist() == pytest.approx(last, rel=1e-6)
            assert table[int(newest[4]), 3] > 0, "what was drawn just now is shown"
            assert table[int(newest[4]), 7] == 0
