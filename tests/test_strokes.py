import io
import json
import math
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from livesketch import rows as rows_module
from livesketch import stroke_files
from livesketch.errors import DataError, OutputError, StrokesError
from livesketch.events import Cue, Event, Pen, PenAction, Token
from livesketch.streams.drawing import Drawing
from livesketch.stroke_files import load_strokes, save_strokes
from livesketch.strokes import CueMaker, Drawn, PolylineBuilder, to_polylines, to_rows, to_stroke3

UNITS = 100.0
SQUARE = [[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [-10.0, 0.0, 1.0], [5.0, 5.0, 0.0], [1.0, 1.0, 1.0]]


def play(rows: Any, *, end: bool = True, voice: int = 0, drawing: int = 0, cut: bool = False) -> list[PenAction]:
    """The actions that a stream makes of stroke-3 rows, by the rules of the pen."""
    actions = []
    x = y = 0.0
    down = True
    rows = np.asarray(rows, np.float64).tolist()
    for step, (dx, dy, lift) in enumerate(rows):
        x, y = x + dx, y + dy
        pen = Pen.UP if lift else Pen.DOWN
        last = cut and step == len(rows) - 1
        place = (0.5 + x / UNITS, 0.5 + y / UNITS, dx, dy)
        actions.append(PenAction(step / 10, "cat", voice, drawing, step, *place, down, pen, last, False, "model"))
        down = not lift
    if end and not cut:
        place = (0.5 + x / UNITS, 0.5 + y / UNITS, 0.0, 0.0)
        at = len(rows) / 10
        actions.append(PenAction(at, "cat", voice, drawing, len(rows), *place, False, Pen.END, True, True, "model"))
    return actions


drawings = (
    hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(-1000, 1000, width=32))
    .flatmap(
        lambda moves: hnp.arrays(np.float32, (len(moves), 1), elements=st.sampled_from([0.0, 1.0])).map(
            lambda lifts: np.concatenate([moves, lifts], 1)
        )
    )
    .filter(lambda rows: bool(rows[0].any()))
)


# Bad strokes


@pytest.mark.parametrize(
    ("strokes", "words"),
    [
        ([], "empty"),
        ((), "empty"),
        (np.zeros((0, 3)), "empty"),
        ([[0, 0, 0]], "only the start point"),
        (np.zeros((2, 4)), "shape"),
        (np.zeros((2, 3, 3)), "shape"),
        (np.zeros(3), "shape"),
        ([1, 2, 3], "shape"),
        ([[1, 2]], "one polyline alone goes into a list"),
        (np.zeros((5, 2)), "one polyline alone goes into a list"),
        ([np.zeros((0, 2))], "empty"),
        ([np.zeros((2, 2)), np.zeros((0, 2))], "polyline 1 is empty"),
        ([np.zeros((2, 2)), []], "polyline 1"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "polyline 1: shape"),
        ([np.zeros((2, 2)), 5], "polyline 1"),
        ([np.zeros((2, 2)), None], "polyline 1"),
        ([[[1, 2], [3]]], "cannot be read"),
        ([[1, 2, 0], [1, 2]], "cannot be read as numbers"),
        ([[1, 2, math.nan]], "finite"),
        ([[math.nan, 2, 0]], "point 0"),
        ([[1, 2, 0], [math.inf, 2, 0]], "point 1"),
        ([[[0, 0], [math.nan, 0]]], "polyline 0: point 1"),
        ([[1e300, 0, 1]], "within"),
        ([[[1e308, 0], [-1e308, 0]]], "within"),
        ([[1, 2, 0.5]], "lift 0.5"),
        ([[1, 2, 2]], "row 0 has lift 2"),
        ([[1, 2, -1]], "lift -1"),
        ("strokes", "str"),
        (b"strokes", "bytes"),
        (None, "NoneType"),
        (5, "int"),
        ({"rows": 1}, "dict"),
        (np.array(5.0), "cannot be read"),
        (np.array([["1", "2", "3"]]), "dtype"),
        (np.array([[1, 2, 1j]]), "dtype"),
        (np.array([[1, 2, None]], object), "dtype"),
        ([[10**400, 0, 0]], "dtype"),
    ],
)
def test_bad_strokes_are_refused_saying_what_came(strokes: Any, words: str) -> None:
    with pytest.raises(StrokesError, match=words) as caught:
        to_rows(strokes)
    assert len(str(caught.value)) > 30


def test_longdouble_beyond_float64_is_refused() -> None:
    with pytest.raises(StrokesError, match="finite"):
        to_rows(np.array([[np.longdouble("1e4000"), 0, 1]]))


def test_too_many_points_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(StrokesError, match="at most"):
        to_rows(np.broadcast_to(np.zeros(3), (10**13, 3)))
    with pytest.raises(StrokesError, match="at most"):
        to_rows([np.broadcast_to(np.zeros(2), (10**13, 2))])
    with pytest.raises(StrokesError, match="shape"):
        to_rows(np.broadcast_to(np.zeros(1), (5, 10**13)))


@given(
    st.recursive(st.none() | st.floats() | st.integers() | st.text(max_size=3), lambda part: st.lists(part, max_size=4))
)
def test_anything_gives_rows_or_a_strokes_error(strokes: Any) -> None:
    try:
        rows = to_rows(strokes)
    except StrokesError:
        return
    assert rows.shape[1] == 3
    assert np.isfinite(rows).all()


# Strokes in


def test_stroke3_comes_back_as_float64_and_is_a_copy() -> None:
    given_rows = np.array(SQUARE, np.float32)
    rows = to_rows(given_rows)
    assert rows.dtype == np.float64
    assert rows.tolist() == SQUARE
    rows[0, 0] = 77
    assert given_rows[0, 0] == 10


def test_one_leading_start_row_is_dropped_and_a_dot_is_kept() -> None:
    assert to_rows([[0, 0, 0], *SQUARE]).tolist() == SQUARE
    assert to_rows([[0, 0, 0], [0, 0, 0], *SQUARE]).tolist() == [[0, 0, 0], *SQUARE]
    assert to_rows([[0, 0, 1], *SQUARE]).tolist() == [[0, 0, 1], *SQUARE]
    assert to_rows([[0, 0, 1]]).tolist() == [[0, 0, 1]]


def test_a_drawing_without_length_is_allowed() -> None:
    assert to_rows([[0, 0, 0]] * 4).tolist() == [[0, 0, 0]] * 3
    assert to_rows([[[3, 3], [3, 3], [3, 3]]]).tolist() == [[0, 0, 1]]


def test_polylines_put_their_first_point_at_the_origin() -> None:
    lines = [[[50, 60], [60, 60], [60, 70]], [[10, 10]], np.array([[0, 0], [1, 2]], np.int16)]
    assert to_rows(lines).tolist() == [[10, 0, 0], [0, 10, 1], [-50, -60, 1], [-10, -10, 0], [1, 2, 1]]


def test_a_leading_single_point_is_a_dot_at_the_origin() -> None:
    assert to_rows([[[5, 6]]]).tolist() == [[0, 0, 1]]
    assert to_rows([[[5, 6]], [[6, 6], [7, 7]]]).tolist() == [[0, 0, 1], [1, 0, 0], [1, 1, 1]]


def test_polylines_of_equal_length_may_be_one_array() -> None:
    assert to_rows(np.array([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])).tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert to_rows([[[0, 0], [1, 1], [2, 2]]]).tolist() == [[1, 1, 0], [1, 1, 1]]  # three points are not three columns


@pytest.mark.parametrize("form", ["stroke3", "one polyline", "many polylines", "lists"])
def test_a_million_points_are_taken_quickly(form: str) -> None:
    points = np.random.default_rng(1).normal(size=(10**6, 2)).cumsum(0)
    strokes: Any = {
        "stroke3": lambda: np.column_stack([points, np.zeros(10**6)]),
        "one polyline": lambda: [points],
        "many polylines": lambda: np.split(points, 10**5),
        "lists": lambda: [points.tolist()],
    }[form]()
    begin = time.perf_counter()
    assert len(to_rows(strokes)) in {10**6, 10**6 - 1}
    assert time.perf_counter() - begin < 10


# Strokes out


@given(drawings)
def test_actions_give_the_rows_they_were_made_of(rows: NDArray[np.float32]) -> None:
    got = to_stroke3(play(rows))
    assert got.dtype == np.float32
    expected = rows.copy()
    expected[-1, 2] = 1
    assert np.array_equal(got, expected)


def test_the_last_row_lifts_only_where_the_drawing_is_over() -> None:
    rows = [[1, 2, 0], [3, 4, 0]]
    assert to_stroke3(play(rows, end=False))[-1, 2] == 0
    assert to_stroke3(play(rows, cut=True))[-1, 2] == 1
    assert to_stroke3(play(rows))[-1, 2] == 1


def test_end_alone_gives_no_rows() -> None:
    assert to_stroke3(play(np.zeros((0, 3)))).shape == (0, 3)
    assert to_stroke3([]).shape == (0, 3)
    assert to_polylines(play(np.zeros((0, 3)))) == []
    assert to_polylines([]) == []


def test_several_drawings_are_refused_by_name() -> None:
    with pytest.raises(StrokesError, match=r"voice 0 drawing 0, voice 0 drawing 1.*\.drawing"):
        to_stroke3(play(SQUARE) + play(SQUARE, drawing=1))
    with pytest.raises(StrokesError, match="12 drawings"):
        to_stroke3([action for voice in range(12) for action in play(SQUARE, voice=voice)])


def test_the_first_stroke_begins_at_the_start_point() -> None:
    lines = to_polylines(play(SQUARE))
    assert [line.tolist() for line in lines] == [
        [[0.5, 0.5], [0.6, 0.5], [0.6, 0.6], [0.5, 0.6]],
        [[0.55, 0.65], [0.56, 0.66]],
    ]


def test_a_jump_that_lifts_or_ends_is_a_dot() -> None:
    assert [len(line) for line in to_polylines(play([[1, 1, 1], [2, 2, 1], [3, 3, 0]]))] == [2, 1, 1]


def test_a_slice_inside_a_stroke_begins_at_its_first_point() -> None:
    assert to_polylines(play(SQUARE)[1:3])[0].tolist() == [[0.6, 0.6], [0.5, 0.6]]


def test_a_restarted_drawing_draws_no_line_back() -> None:
    assert [len(line) for line in to_polylines(play(SQUARE)[:2] + play(SQUARE)[:1])] == [3, 2]


def test_voices_and_drawings_do_not_join() -> None:
    one, two = play(SQUARE, voice=0), play(SQUARE, voice=1)
    mixed = [action for pair in zip(one, two, strict=True) for action in pair] + play(SQUARE, drawing=1)
    lines = [line.tolist() for line in to_polylines(mixed)]
    alone = [line.tolist() for line in to_polylines(one)]
    assert lines == alone * 3


def test_what_is_no_pen_action_is_passed_over() -> None:
    actions = play(SQUARE)
    events: list[Event] = [event for action in actions for event in CueMaker().events(action)]
    events.append(Token(0.0, "poem", 0, 0, "山", -1.0, 1.0, False))
    assert np.array_equal(to_stroke3(events), to_stroke3(actions))
    assert len(to_polylines(events)) == 2


@given(drawings)
def test_polylines_and_rows_agree(rows: NDArray[np.float32]) -> None:
    rows[-1, 2] = 1
    rows[0, 0] = 5  # a first move too small for a stage coordinate would be a second start point
    lines = [line * UNITS for line in to_polylines(play(rows))]
    assert np.allclose(to_rows(lines), rows, atol=1e-2)


class Source:
    """Stands for a stream: one drawing, action by action."""

    def __init__(self, actions: list[PenAction]) -> None:
        self.rest = iter(actions)
        self.actions: list[PenAction] = []

    def present(self) -> None:
        return None

    def __next__(self) -> PenAction:
        self.actions.append(next(self.rest))
        return self.actions[-1]


def begun(rows: Any, steps: int | None = None, **how: Any) -> Drawing:
    """A drawing of which so many steps are drawn; None: all."""
    actions = play(rows, **how)
    drawing = Drawing(source := Source(actions), source)
    for _ in range(len(actions) if steps is None else steps):
        next(drawing)
    return drawing


def test_a_finished_drawing_gives_all_that_it_holds() -> None:
    drawing = begun(SQUARE)
    assert isinstance(drawing, Drawn)
    assert list(drawing) == []
    assert to_stroke3(drawing).tolist() == SQUARE
    assert [line.tolist() for line in to_polylines(drawing)] == [line.tolist() for line in to_polylines(play(SQUARE))]


def test_an_unfinished_drawing_gives_what_is_drawn_and_is_not_advanced() -> None:
    drawing = begun(SQUARE, 2)
    assert to_stroke3(drawing).tolist() == SQUARE[:2]
    assert [len(line) for line in to_polylines(drawing)] == [3]
    assert len(drawing.actions) == 2
    assert to_stroke3(begun(SQUARE, 0)).shape == (0, 3)
    assert to_polylines(begun(SQUARE, 0)) == []


def test_a_generator_of_actions_is_taken() -> None:
    assert to_stroke3(action for action in play(SQUARE)).tolist() == SQUARE


@pytest.mark.parametrize("what", [to_stroke3, to_polylines])
@pytest.mark.parametrize(
    ("given_actions", "words"),
    [
        (3, "int"),
        (None, "NoneType"),
        ("abc", "str"),
        (b"abc", "bytes"),
        ([1, 2], "item 0 is of type int"),
        ((value for value in (1, 2)), "item 0 is of type int"),
        ([*play(SQUARE), None], "item 6 is of type NoneType"),
        (np.array(SQUARE), "item 0 is of type ndarray"),
        ({"a": 1}, "item 0 is of type str"),
        ([begun(SQUARE)], "item 0 is of type Drawing.*one at a time"),
        ([play(SQUARE)], "item 0 is of type list"),
        (play(SQUARE)[0], "PenAction"),
    ],
)
def test_what_holds_no_events_is_refused(what: Callable[[Any], Any], given_actions: Any, words: str) -> None:
    with pytest.raises(StrokesError, match=words) as caught:
        what(given_actions)
    assert "expected" in str(caught.value)


def test_an_object_whose_actions_are_none_is_refused() -> None:
    class Odd:
        actions = 5

    for what in (to_stroke3, to_polylines):
        with pytest.raises(StrokesError, match="Odd"):
            what(Odd())  # type: ignore[arg-type]


@pytest.mark.parametrize(("before", "after"), [((0, 3), (1, 3)), ((0, 2), (0, 2)), ((0, 1), (2, 3)), ((0, 3), (1, 2))])
def test_where_steps_are_missing_no_false_line_is_drawn(before: tuple[int, int], after: tuple[int, int]) -> None:
    actions = play(SQUARE)
    taken = actions[slice(*before)] + actions[slice(*after)]
    lines = [line.tolist() for line in to_polylines(taken)]
    first, second = (to_polylines(actions[slice(*part)]) for part in (before, after))
    assert lines == [line.tolist() for line in first + second]


def test_a_builder_draws_no_line_into_another_drawing() -> None:
    builder = PolylineBuilder()
    builder.add(play(SQUARE)[0])
    builder.add(play(SQUARE, drawing=1)[1])
    assert builder.polylines == [[(0.5, 0.5), (0.6, 0.5)], [(0.6, 0.6)]]


def test_a_builder_shows_the_line_while_it_grows() -> None:
    builder = PolylineBuilder()
    lengths = []
    for action in play(SQUARE):
        builder.add(action)
        lengths.append([len(line) for line in builder.polylines])
    assert lengths == [[2], [3], [4], [4, 1], [4, 2], [4, 2]]


# Cues


def kinds(events: list[Any]) -> list[str]:
    return [event.kind if isinstance(event, Cue) else f"pen {event.step}" for event in events]


def cued(actions: list[PenAction]) -> list[Event]:
    maker = CueMaker()
    return [event for action in actions for event in maker.events(action)]


def test_cues_stand_around_the_actions_in_order() -> None:
    assert kinds(cued(play(SQUARE))) == [
        "drawing/begin", "stroke/begin", "pen 0", "pen 1", "pen 2", "stroke/end",
        "pen 3", "stroke/begin", "pen 4", "stroke/end", "pen 5", "drawing/end",
    ]  # fmt: skip


def test_cues_say_where_the_pen_is() -> None:
    cues = [event for event in cued(play(SQUARE)) if isinstance(event, Cue)]
    assert [(cue.kind, round(cue.x, 6), round(cue.y, 6)) for cue in cues] == [
        ("drawing/begin", 0.5, 0.5),
        ("stroke/begin", 0.5, 0.5),
        ("stroke/end", 0.5, 0.6),
        ("stroke/begin", 0.55, 0.65),
        ("stroke/end", 0.56, 0.66),
        ("drawing/end", 0.56, 0.66),
    ]
    assert [(cue.at, cue.step) for cue in cues] == [(0.0, 0), (0.0, 0), (0.2, 2), (0.3, 3), (0.4, 4), (0.5, 5)]


def test_a_dot_has_its_stroke_after_the_jump() -> None:
    assert kinds(cued(play([[1, 1, 1], [2, 2, 1]])))[3:] == [
        "stroke/end", "pen 1", "stroke/begin", "stroke/end", "pen 2", "drawing/end",
    ]  # fmt: skip


def test_end_and_cut_close_an_open_stroke() -> None:
    assert kinds(cued(play([[1, 1, 0]]))) == [
        "drawing/begin", "stroke/begin", "pen 0", "pen 1", "stroke/end", "drawing/end",
    ]  # fmt: skip
    assert kinds(cued(play([[1, 1, 0]], cut=True))) == [
        "drawing/begin", "stroke/begin", "pen 0", "stroke/end", "drawing/end",
    ]  # fmt: skip
    assert kinds(cued(play([[1, 1, 1], [1, 1, 0]], cut=True)))[3:] == [
        "stroke/end", "pen 1", "stroke/begin", "stroke/end", "drawing/end",
    ]  # fmt: skip
    assert kinds(cued(play(np.zeros((0, 3))))) == ["drawing/begin", "pen 0", "drawing/end"]


def test_close_ends_what_is_open_once_and_the_voice_may_go_on() -> None:
    maker, actions = CueMaker(), play(SQUARE)
    assert maker.close(1.0) == []
    maker.events(actions[0])
    first = maker.close(9.0)
    assert kinds(list(first)) == ["stroke/end", "drawing/end"]
    assert [(cue.at, cue.x, cue.y) for cue in first] == [(9.0, 0.6, 0.5)] * 2
    assert maker.close(9.0) == []
    again = maker.events(actions[1])
    assert kinds(again) == ["drawing/begin", "stroke/begin", "pen 1"]
    begin = again[1]
    assert isinstance(begin, Cue)
    assert (begin.x, begin.y) == (0.6, 0.5)


def test_a_restart_or_another_drawing_ends_the_one_before() -> None:
    for following in (play(SQUARE)[:1], play(SQUARE, drawing=1)[:1]):
        assert kinds(cued(play(SQUARE)[:2] + following))[4:] == [
            "stroke/end", "drawing/end", "drawing/begin", "stroke/begin", "pen 0",
        ]  # fmt: skip


def test_joined_in_the_middle_the_stroke_begins_at_the_action() -> None:
    events = cued(play(SQUARE)[1:2])
    assert kinds(events) == ["drawing/begin", "stroke/begin", "pen 1"]
    assert all(round(event.x, 6) == 0.6 for event in events if isinstance(event, Cue))


@pytest.mark.parametrize(("first", "then"), [((0, 2), (4, 5)), ((0, 1), (2, 3)), ((0, 3), (1, 2)), ((0, 2), (1, 2))])
def test_after_a_gap_the_stroke_ends_where_the_pen_was_and_another_begins_at_the_action(
    first: tuple[int, int], then: tuple[int, int]
) -> None:
    rows = [[1, 0, 0], [2, 0, 0], [4, 0, 0], [8, 0, 0], [16, 0, 0]]
    before, after = play(rows)[slice(*first)], play(rows)[slice(*then)]
    got = cued(before + after)
    new = got[len(cued(before)) :]
    assert kinds(new) == ["stroke/end", "stroke/begin", f"pen {after[0].step}"]
    end, begin = (event for event in new if isinstance(event, Cue))
    assert (end.x, end.y, end.step) == (before[-1].x, before[-1].y, before[-1].step)
    assert (begin.x, begin.y, begin.step) == (after[0].x, after[0].y, after[0].step)
    assert end.at == begin.at == after[0].at


def test_end_after_a_gap_adds_no_stroke() -> None:
    actions = play([[1, 0, 0], [2, 0, 0], [4, 0, 0]])
    assert kinds(cued([actions[0], actions[3]])) == [
        "drawing/begin", "stroke/begin", "pen 0", "stroke/end", "pen 3", "drawing/end",
    ]  # fmt: skip


def test_a_drawing_taken_up_again_after_its_end_begins_again_at_the_action() -> None:
    actions = play([[1, 0, 0], [2, 0, 0], [4, 0, 0]])
    again = cued([*actions, actions[1]])[len(cued(actions)) :]
    assert kinds(again) == ["drawing/begin", "stroke/begin", "pen 1"]
    assert all((event.x, event.y) == (actions[1].x, actions[1].y) for event in again if isinstance(event, Cue))


@given(drawings, st.lists(st.tuples(st.integers(0, 41), st.integers(1, 6), st.integers(0, 1)), min_size=1, max_size=8))
def test_cues_alternate_whatever_is_left_out_or_repeated(
    rows: NDArray[np.float32], parts: list[tuple[int, int, int]]
) -> None:
    made = [play(rows, drawing=number) for number in (0, 1)]
    taken = [action for start, length, number in parts for action in made[number][start : start + length]]
    maker = CueMaker()
    events = [event for action in taken for event in maker.events(action)] + maker.close(9.0)
    assert [event for event in events if isinstance(event, PenAction)] == taken
    open_now: list[str] = []
    lines: list[list[tuple[float, float]]] = []
    for event in events:
        if isinstance(event, PenAction):
            if event.pen is not Pen.END:
                assert open_now == (["drawing", "stroke"] if event.ink else ["drawing"])
            if event.ink and (event.x, event.y) != lines[-1][-1]:
                lines[-1].append((event.x, event.y))
        elif isinstance(event, Cue):
            what, _, does = event.kind.partition("/")
            if does == "begin":
                assert open_now == ([] if what == "drawing" else ["drawing"])
                open_now.append(what)
                if what == "stroke":
                    lines.append([(event.x, event.y)])
            else:
                assert open_now.pop() == what
    assert open_now == []
    builder = PolylineBuilder()
    for action in taken:
        builder.add(action)
    assert lines == [
        [point for at, point in enumerate(line) if not at or point != line[at - 1]] for line in builder.polylines
    ]


@given(drawings, st.booleans())
def test_cues_are_balanced_and_match_the_polylines(rows: NDArray[np.float32], cut: bool) -> None:
    actions = play(rows, cut=cut)
    events = cued(actions)
    assert [event for event in events if isinstance(event, PenAction)] == actions
    cues = [event for event in events if isinstance(event, Cue)]
    assert [cue.kind for cue in cues[:: len(cues) - 1]] == ["drawing/begin", "drawing/end"]
    assert [cue.kind for cue in cues[1:-1]] == ["stroke/begin", "stroke/end"] * (len(cues) // 2 - 1)
    lines = to_polylines(actions)
    assert [(cue.x, cue.y) for cue in cues[1:-1:2]] == [tuple(line[0]) for line in lines]
    assert [(cue.x, cue.y) for cue in cues[2:-1:2]] == [tuple(line[-1]) for line in lines]


# Files


@pytest.mark.parametrize("ending", [".npz", ".jsonl"])
@given(given_drawings=st.lists(drawings, max_size=5))
@settings(max_examples=30)
def test_saved_drawings_come_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, given_drawings: list[NDArray[np.float32]]
) -> None:
    path = tmp_path_factory.mktemp("strokes") / f"drawings{ending}"
    save_strokes(path, given_drawings)
    back = load_strokes(path)
    assert len(back) == len(given_drawings)
    assert all(np.array_equal(a, b) for a, b in zip(back, given_drawings, strict=True))
    first = path.read_bytes()
    save_strokes(str(path), back)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_polylines_are_saved_as_rows(tmp_path: Path) -> None:
    save_strokes(tmp_path / "a.jsonl", [[[[0, 0], [1.5, 2]]]])
    assert (tmp_path / "a.jsonl").read_text() == '{"rows":[[1.5,2.0,1]]}\n'


@pytest.mark.parametrize("ending", [".npz", ".jsonl"])
def test_drawings_actions_and_rows_may_be_saved_together(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    half = begun(SQUARE, 2)
    save_strokes(path, [begun(SQUARE), play(SQUARE), tuple(cued(play(SQUARE))), half, SQUARE, [[(0, 0), (1, 2)]]])
    assert [rows.tolist() for rows in load_strokes(path)] == [SQUARE] * 3 + [SQUARE[:2], SQUARE, [[1, 2, 1]]]
    assert len(half.actions) == 2
    save_strokes(path, (begun(SQUARE) for _ in range(2)))
    assert [rows.tolist() for rows in load_strokes(path)] == [SQUARE] * 2


def test_actions_are_saved_at_full_precision(tmp_path: Path) -> None:
    save_strokes(tmp_path / "a.jsonl", [play([[0.1, 1 / 3, 1]])])
    assert load_strokes(tmp_path / "a.jsonl")[0].tolist() == [[0.1, 1 / 3, 1]]


@pytest.mark.parametrize(
    ("given_drawings", "words"),
    [
        (3, "int"),
        (None, "NoneType"),
        ("abc", "str"),
        (b"abc", "bytes"),
        ({"cat": SQUARE}, "dict"),
        (begun(SQUARE), "Drawing alone.*goes into a list"),
        (play(SQUARE), "drawing 0.*PenAction.*goes into a list"),
        (np.array(SQUARE), "drawing 0.*goes into a list"),
        ([SQUARE, 3], "drawing 1"),
        ([SQUARE, begun(SQUARE, 0)], "drawing 1.*nothing"),
        ([play(np.zeros((0, 3)))], "drawing 0.*nothing"),
        ([play(SQUARE) + play(SQUARE, drawing=1)], "drawing 0.*2 drawings"),
        ([[*play(SQUARE), 5]], "drawing 0: item 6 is of type int"),
    ],
)
def test_what_are_no_drawings_is_refused_and_nothing_written(tmp_path: Path, given_drawings: Any, words: str) -> None:
    with pytest.raises(StrokesError, match=words):
        save_strokes(tmp_path / "a.npz", given_drawings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [3, None, b"a.npz", ["a.npz"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    name = type(path).__name__
    with pytest.raises(OutputError, match=f"{name}.*expected"):
        save_strokes(path, [SQUARE])
    with pytest.raises(DataError, match=f"{name}.*expected"):
        load_strokes(path)


@pytest.mark.parametrize("ending", [".npz", ".jsonl"])
def test_a_refused_drawing_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    save_strokes(path, [SQUARE])
    before = path.read_bytes()
    with pytest.raises(StrokesError):
        save_strokes(path, [SQUARE, [[math.nan, 0, 0]]])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "place", ["missing/a.npz", "file/a.npz", "folder.npz", "a.csv", "a", "nul\0.npz", "long" * 100 + ".npz"]
)
def test_what_cannot_be_written_is_an_output_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OutputError, match="give"):
        save_strokes(tmp_path / place, [SQUARE])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.npz"]


def test_a_link_is_followed_and_a_device_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    (tmp_path / "null.npz").symlink_to("/dev/null")
    for name in ("link.npz", "null.npz"):
        save_strokes(tmp_path / name, [SQUARE])
        assert (tmp_path / name).is_symlink()
    assert len(load_strokes(tmp_path / "real.npz")) == 1
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"\xff\xfe{}", "can't decode"),
        ("a.jsonl", b"{", "line"),
        ("a.jsonl", b"[1]", "line 1 is not"),
        ("a.jsonl", b'{"rows": 5}', "line 1 is not"),
        ("a.jsonl", b'{"rows": []}', "empty"),
        ("a.jsonl", b'{"rows": [[1, 2, 3]]}', "lift 3"),
        ("a.jsonl", b'{"rows": [[NaN, 2, 1]]}', "finite"),
        ("a.jsonl", b'{"rows": [[1e999, 2, 1]]}', "finite"),
        ("a.jsonl", b'{"rows": [[1, 2, 1]]}\n{"rows": [[1, 2', "delimiter"),
        ("a.jsonl", b"[" * 100_000, "depth"),
        ("a.jsonl", b'{"rows": [[' + b"9" * 10_000 + b", 2, 1]]}", "digits"),
        ("a.npz", b"", "not a zip"),
        ("a.npz", b"PK\x03\x04", "not a zip"),
        ("a.csv", b"", "npz or .jsonl"),
    ],
)
def test_broken_files_are_a_data_error(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_strokes(tmp_path / name)


def test_missing_files_folders_and_devices_are_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "device.jsonl").symlink_to("/dev/zero")
    for name in ("none.npz", "folder.npz", "device.jsonl", "nul\0.npz"):
        with pytest.raises(DataError, match="expected"):
            load_strokes(tmp_path / name)


def test_blank_lines_and_other_keys_are_tolerated(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"rows": [[1, 2, 1]], "seed": 7}\n\n{"rows": [[3, 4, 1]]}')
    assert [rows.tolist() for rows in load_strokes(tmp_path / "a.jsonl")] == [[[1, 2, 1]], [[3, 4, 1]]]


def write_npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


GOOD_ROWS = np.array(SQUARE, np.float32)


@pytest.mark.parametrize(
    "arrays",
    [
        {"rows": GOOD_ROWS},
        {"lengths": np.array([5])},
        {"rows": GOOD_ROWS, "lengths": np.array([4])},
        {"rows": GOOD_ROWS, "lengths": np.array([6])},
        {"rows": GOOD_ROWS, "lengths": np.array([-1, 6])},
        {"rows": GOOD_ROWS, "lengths": np.array([0, 5])},
        {"rows": GOOD_ROWS, "lengths": np.array([2**62, 2**62, 2**62, 2**62, 5])},
        {"rows": GOOD_ROWS, "lengths": np.array([[5]])},
        {"rows": GOOD_ROWS, "lengths": np.array([5.0])},
        {"rows": GOOD_ROWS[:, :2], "lengths": np.array([5])},
        {"rows": GOOD_ROWS * np.nan, "lengths": np.array([5])},
        {"rows": GOOD_ROWS.astype(str), "lengths": np.array([5])},
        {"rows": np.asfortranarray(GOOD_ROWS), "lengths": np.array([5])},
        {"rows": np.array([GOOD_ROWS, None], object), "lengths": np.array([5])},
    ],
)
def test_npz_files_of_something_else_are_a_data_error(tmp_path: Path, arrays: dict[str, Any]) -> None:
    write_npz(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"a\.npz"):
        load_strokes(tmp_path / "a.npz")


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-5, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (5L, 3), }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (5, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ",
        "{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (5, 3), }",
        "(" * 5000,
        "\0",
        "",
        "{'a':\n  1\n b}",
    ],
)
def test_hostile_npy_headers_are_a_data_error(tmp_path: Path, header: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", npy(header, bytes(60)))
        archive.writestr("lengths.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", bytes(8)))
    with pytest.raises(DataError):
        load_strokes(tmp_path / "a.npz")


def test_files_larger_than_the_limit_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_strokes(tmp_path / "a.npz", [np.tile([1.0, 2.0, 1.0], (10_000, 1))])
    monkeypatch.setattr(stroke_files, "MAX_BYTES", 20_000)  # packed it is smaller, unpacked larger
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(DataError, match="unpacks to"):
        load_strokes(tmp_path / "a.npz")
    monkeypatch.setattr(stroke_files, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="more than the 100"):
        load_strokes(tmp_path / "a.npz")


@pytest.mark.parametrize("ending", [".npz", ".jsonl"])
def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    save_strokes(path, [SQUARE, SQUARE])
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        try:
            back = load_strokes(path)
        except DataError:
            continue
        assert ending == ".jsonl"  # cut between two lines
        assert all(rows.tolist() == SQUARE for rows in back)


@pytest.mark.parametrize("ending", [".npz", ".jsonl"])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=300)
def test_flipped_bits_are_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, ending: str, place: int, bit: int
) -> None:
    stream = io.BytesIO()
    writer: Callable[..., None] = stroke_files._WRITERS[ending]
    writer(stream, [to_rows(SQUARE), to_rows(SQUARE)])
    content = bytearray(stream.getvalue())
    content[place % len(content)] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / f"a{ending}"
    path.write_bytes(content)
    try:
        back = load_strokes(path)
    except DataError:
        return
    assert all(rows.shape[1] == 3 and np.isfinite(rows).all() for rows in back)


def test_limits_are_the_documented_ones() -> None:
    assert (rows_module.MAX_ROWS, rows_module.MAX_UNITS, stroke_files.MAX_BYTES) == (10**7, 1e9, 2**30)
    assert json.loads('{"rows": [[1, 2, 1]]}')
