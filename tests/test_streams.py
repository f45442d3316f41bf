"""SketchStream and SketchVoices: what a performer holds."""

import contextlib
import itertools
import math
import sys

import numpy as np
import pytest
from small_models import small_checkpoint
from strikes import Strikes
from test_backends import independent_head

import livesketch as ls
from livesketch import sampling
from livesketch.models.checkpoint import save_checkpoint

SQUARE = [[[0, 0], [60, 0], [60, 60], [0, 60]], [[20, 20], [40, 40]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    return str(path)


@pytest.fixture(params=["cpu", "reference"])
def stream(request, model):
    return ls.sketch(model, seed=7, temperature=1.0, backend=request.param)


def test_it_never_runs_dry_and_counts_steps_from_0_in_each_drawing(stream):
    step, drawing, x, y = 0, 0, 0.5, 0.5
    for action in stream.take(300):
        assert (action.step, action.drawing, action.voice, action.source) == (step, drawing, 0, "model")
        x, y = x + action.dx / 400, y + action.dy / 400
        assert (action.x, action.y) == (pytest.approx(x), pytest.approx(y))
        assert action.ended == (action.pen is ls.Pen.END)
        step += 1
        if action.last:
            step, drawing, x, y = 0, drawing + 1, 0.5, 0.5
    assert drawing > 2


def test_the_first_action_has_ink_and_ink_follows_the_pen_before(stream):
    pen = ls.Pen.DOWN
    for action in stream.take(200):
        assert action.ink == (pen is ls.Pen.DOWN and action.pen is not ls.Pen.END)
        pen = ls.Pen.DOWN if action.last else action.pen


def test_end_stands_where_the_pen_is_and_leaves_nothing(stream):
    before, ends = None, 0
    for action in stream.take(300):
        if action.ended:
            assert (action.pen, action.last, action.ink, action.dx, action.dy) == (ls.Pen.END, True, False, 0, 0)
            if action.step:
                assert (action.x, action.y) == (before.x, before.y)
            ends += 1
        before = action
    assert ends > 2


def test_same_seed_same_drawing_and_a_fresh_seed_can_be_had_again(model):
    first = ls.sketch(model)
    again = ls.sketch(model, seed=first.seed)
    assert first.take(80) == again.take(80)
    assert ls.sketch(model).seed != first.seed


def test_restart_draws_the_same_drawing_again(stream):
    for before in (3, 100):
        stream.take(before)
        number = next(stream).drawing
        stream.restart()
        first = [*stream.drawing()]
        stream.restart()
        assert [*stream.drawing()] == first
        assert first[0].step == 0
        assert first[0].drawing in (number, number + 1)


def test_restart_after_the_end_gives_the_drawing_that_ended(stream):
    first = [*stream.drawing()]
    assert [*stream.restart().drawing()] == first


def test_a_drawing_ends_with_its_last_action_and_the_next_follows(stream):
    one, two = [*stream.drawing()], [*stream.drawing()]
    assert [a.last for a in one] == [False] * (len(one) - 1) + [True]
    assert {a.drawing for a in one} == {0}
    assert {a.drawing for a in two} == {1}


def test_a_drawing_taken_up_in_the_middle_holds_what_came_before(stream):
    fed = stream.feed(SQUARE)
    drawing = stream.drawing()
    rest = [*drawing]
    assert drawing.actions == fed + rest
    assert drawing.finished
    assert drawing._repr_svg_().startswith("<svg") or "<svg" in drawing._repr_svg_()


def test_temperature_acts_on_the_very_next_step(model):
    a, b = ls.sketch(model, seed=3, temperature=1.0), ls.sketch(model, seed=3, temperature=1.0)
    assert a.take(5) == b.take(5)
    a.temperature = 0
    b.temperature = 0.3
    assert next(a) != next(b)
    a.convention = "paper"
    assert a.convention == "paper"


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "hot"])
def test_a_bad_temperature_is_refused_and_the_old_one_stays(stream, bad):
    with pytest.raises(ls.ControlError):
        stream.temperature = bad
    assert stream.temperature == 1.0
    next(stream)


def test_bad_options_are_refused_before_anything_is_opened(model):
    with pytest.raises(ls.ControlError, match="seed"):
        ls.sketch(model, seed=-5)
    with pytest.raises(ls.ControlError, match="convention"):
        ls.sketch(model, convention="keras")
    with pytest.raises(ls.ControlError, match="voice"):
        ls.sketch(model, voice=-1)
    with pytest.raises(ls.BackendUnavailableError):
        ls.sketch(model, backend="cuda")


def test_fed_rows_come_back_as_human_actions_and_the_model_goes_on(stream):
    fed = stream.feed(SQUARE)
    assert [a.source for a in fed] == ["human"] * 5
    assert [a.step for a in fed] == [0, 1, 2, 3, 4]
    assert [(a.dx, a.dy) for a in fed] == [(60, 0), (0, 60), (-60, 0), (20, -40), (20, 20)]
    assert [a.ink for a in fed] == [True, True, True, False, True]
    assert [a.pen for a in fed] == [0, 0, 1, 0, 1]
    after = next(stream)
    assert (after.step, after.source, after.ink) == (5, "model", False)


def test_feeding_equals_a_full_teacher_forced_pass(model):
    checkpoint = small_checkpoint()
    stream = ls.sketch(model, seed=7, temperature=1.0, backend="reference")
    stream.feed(SQUARE[:1])
    stream.feed(np.array([[5.0, 6.0, 0.0], [1.0, 2.0, 1.0]]))
    rows = np.array([[60, 0, 0], [0, 60, 0], [-60, 0, 1], [5, 6, 0], [1, 2, 1.0]])
    density = independent_head(checkpoint, rows)[-1]
    choice = sampling.sample(density, 1.0, 1.0, sampling.uniforms(7, 5, 0, 0))
    action = next(stream)
    assert action.pen == choice.pen
    if action.pen != ls.Pen.END:
        assert (action.dx, action.dy) == (pytest.approx(float(choice.dx) * 30), pytest.approx(float(choice.dy) * 30))


def test_strokes_in_stage_units_and_in_both_forms_are_the_same(model):
    streams = [ls.sketch(model, seed=1) for _ in range(4)]
    rows = np.array([[60, 0, 0], [0, 60, 0], [-60, 0, 1], [20, -40, 0], [20, 20, 1.0]])
    fed = [
        streams[0].feed(SQUARE),
        streams[1].feed(rows),
        streams[2].feed([[[x / 400, y / 400] for x, y in line] for line in SQUARE], units="stage"),
        streams[3].feed(np.vstack([[0, 0, 0], rows])),
    ]
    assert fed[0] == fed[1] == fed[3]
    assert [a.x for a in fed[2]] == pytest.approx([a.x for a in fed[0]])


def test_polylines_fed_with_the_pen_up_set_it_down_where_it_is(stream):
    stream.feed(SQUARE)
    more = stream.feed([[[0, 0], [10, 0]]])
    assert [(a.dx, a.dy, a.ink) for a in more] == [(0, 0, False), (10, 0, True)]


@pytest.mark.parametrize(
    "strokes", [[], [[]], [[[0, math.nan], [1, 1]]], np.zeros((0, 3)), np.ones((3, 4)), "cat", None, [[1, 2, 3, 4]]]
)
def test_bad_strokes_are_refused_and_the_stream_goes_on(stream, strokes):
    with pytest.raises(ls.StrokesError):
        stream.feed(strokes)
    with pytest.raises(ls.StrokesError):
        stream.log_prob(strokes)
    assert next(stream).step == 0


def test_more_rows_than_a_drawing_holds_are_refused_with_the_numbers(stream):
    with pytest.raises(ls.StrokesError, match=r"60 rows: .* at most 60 steps .* expected at most 59"):
        stream.feed(np.ones((60, 3)))
    assert next(stream).step == 0


def test_log_prob_equals_an_independent_computation_and_moves_nothing(stream):
    rows = np.array([[60, 0, 0], [0, 60, 0], [-60, 0, 1], [20, -40, 0], [20, 20, 1.0]])
    head = independent_head(small_checkpoint(), rows)
    total = 0.0
    for (dx, dy, lift), row in zip(rows / [30, 30, 1], head, strict=False):
        pen, (pi, mx, my, sx, sy, r) = row[:3], row[3:].reshape(6, 3)
        rho, sx, sy = np.tanh(r), np.exp(sx), np.exp(sy)
        z = ((dx - mx) / sx) ** 2 + ((dy - my) / sy) ** 2 - 2 * rho * (dx - mx) * (dy - my) / (sx * sy)
        density = (
            np.exp(pi)
            / np.exp(pi).sum()
            * np.exp(-z / (2 * (1 - rho**2)))
            / (2 * np.pi * sx * sy * np.sqrt(1 - rho**2))
        )
        total -= math.log(density.sum()) + pen[int(lift)] - math.log(np.exp(pen).sum())
    end = -(head[-1][2] - math.log(np.exp(head[-1][:3]).sum()))
    got = stream.log_prob(SQUARE)
    assert (got.unmasked, got.masked, got.steps) == (
        pytest.approx((total + end) / 6, abs=1e-4),
        pytest.approx(total / 5, abs=1e-4),
        5,
    )
    assert next(stream).step == 0


def test_log_prob_takes_drawings_longer_than_the_model_draws(stream):
    assert stream.log_prob(np.tile([[3.0, 1.0, 0.0]], (200, 1))).steps == 200


def test_a_snapshot_put_back_gives_the_same_again(stream):
    stream.feed(SQUARE)
    stream.take(3)
    snapshot = stream.snapshot()
    first = stream.take(50)
    assert stream.restore(snapshot).take(50) == first


def test_a_voice_among_64_is_the_same_voice_alone(model):
    together = ls.voices(model, 64, seed=7, temperature=1.0)
    alone = ls.sketch(model, seed=7, temperature=1.0, voice=7)
    for _ in range(40):
        actions = together.step()
        assert actions[7] == next(alone)
        assert len(actions) == 64
        assert (actions.x[7], actions.ink[7], actions.pen[7]) == (actions[7].x, actions[7].ink, actions[7].pen)


def test_a_batch_of_actions_keeps_its_values_when_the_voices_go_on(model):
    together = ls.voices(model, 3, seed=7)
    first = together.step()
    before = [*first]
    together.step()
    assert [*first] == before
    assert first[-1].voice == 2
    assert [a.voice for a in first[0:2]] == [0, 1]


@pytest.mark.parametrize("n", [0, -1, 1.5, 2**21])
def test_a_bad_number_of_voices_is_refused(model, n):
    with pytest.raises(ls.ControlError, match="voices"):
        ls.voices(model, n)


def test_it_says_what_it_is(stream):
    assert repr(stream) == f"<SketchStream 'small' seed=7 temperature=1 (js) voice=0 on {stream.backend}>"


def test_an_interruption_between_a_step_and_its_delivery_loses_nothing(model):
    whole = ls.sketch(model, seed=7, temperature=1.0).take(40)
    for backend in ("cpu", "reference"):
        stream = ls.sketch(model, seed=7, temperature=1.0, backend=backend)
        got = stream.take(10)
        for _ in range(5):
            stream._batch.step()  # what Ctrl-C leaves: the batch has stepped, the action was not handed out
            got += stream.take(3)
        assert [(a.step, a.drawing, a.pen) for a in got] == [(a.step, a.drawing, a.pen) for a in whole[:25]]


def test_ctrl_c_at_any_line_of_a_step_leaves_the_same_drawing(model):
    """The interruption is raised at the k-th line that a step runs, for every k."""
    wanted = list(ls.sketch(model, seed=7, temperature=1.0).drawing())
    for line in itertools.count(1):
        stream = ls.sketch(model, seed=7, temperature=1.0)
        stream.take(4)
        with interrupted_at(line) as left, contextlib.suppress(KeyboardInterrupt):
            next(stream)
        while not stream.actions[-1].last:
            next(stream)
        assert stream.actions == wanted, line
        if left[0] > 0:  # the step has fewer lines
            break
    assert line > 10


@contextlib.contextmanager
def interrupted_at(line):
    """Raises KeyboardInterrupt before the ``line``-th line that livesketch runs in the block."""
    left = [line]

    def trace(frame, event, _):
        if "livesketch" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield left
    finally:
        sys.settrace(None)


def test_ctrl_c_at_any_moment_leaves_the_same_drawing(model):
    """Real signals, at many moments of stepping and feeding."""
    stream, got = ls.sketch(model, seed=7, temperature=1.0), []
    count = 0
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, 4e-3, 150):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    next(stream)
            except KeyboardInterrupt:
                count += 1
    assert count == 150
    next(stream)
    got = stream.actions
    number = got[0].drawing
    again = ls.sketch(model, seed=7, temperature=1.0)
    wanted = []
    while not wanted or wanted[0].drawing != number:
        wanted = [*again.drawing()]
    assert got == wanted[: len(got)]


def test_a_drawing_ends_where_the_stream_is_taken_elsewhere(stream):
    drawing = stream.drawing()
    next(drawing)
    stream.feed(SQUARE)
    next(stream)
    assert len(drawing.actions) >= 7
    assert [a.step for a in drawing.actions] == list(range(len(drawing.actions)))
    stream.restart()
    assert list(drawing) == []
    assert next(stream.drawing()).step == 0


def test_a_mistyped_control_is_an_error(stream):
    with pytest.raises(AttributeError):
        stream.temprature = 0.3


def test_numpy_numbers_are_numbers_and_text_is_not(model):
    stream = ls.sketch(model, seed=np.int64(7), voice=np.uint8(3), temperature=np.float32(0.5))
    assert len(stream.take(np.int16(2))) == 2
    assert len(ls.voices(model, np.int32(3))) == 3
    for bad in ("0.5", np.True_, None):
        with pytest.raises(ls.ControlError):
            stream.temperature = bad
    with pytest.raises(ls.ControlError):
        stream.take("3")


def test_a_snapshot_of_another_stream_is_refused_and_changes_nothing(model):
    stream = ls.sketch(model, seed=1)
    stream.take(3)
    for other in (
        ls.sketch(model, seed=2),
        ls.sketch(model, seed=1, voice=4),
        ls.sketch(model, seed=1, backend="reference"),
    ):
        with pytest.raises(ls.ControlError, match="expected one of this stream"):
            stream.restore(other.snapshot())
    with pytest.raises(ls.ControlError):
        stream.restore("yesterday")
    assert next(stream).step == 3


def test_a_snapshot_holds_what_was_fed_and_not_yet_sent(model):
    stream = ls.sketch(model, seed=1)
    stream.feed(SQUARE)
    snapshot = stream.snapshot()
    first = stream.events()
    assert [a.source for a in first] == ["human"] * 5 + ["model"]
    assert stream.restore(snapshot).events() == first


def left_due(stream):
    """What Ctrl-C may leave: the batch has stepped, the action was not handed out."""
    stream._prepare()
    stream._batch.step()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_snapshot_between_a_step_and_its_delivery_keeps_the_action_that_is_due(model, backend):
    whole = ls.sketch(model, seed=7, temperature=1.0, backend=backend).take(60)
    for taken in range(20):
        stream = ls.sketch(model, seed=7, temperature=1.0, backend=backend)
        stream.take(taken)
        left_due(stream)
        snapshot = stream.snapshot()
        assert stream.take(3) == whole[taken : taken + 3]
        assert stream.restore(snapshot).take(20) == whole[taken : taken + 20]
        assert [stream.restore(snapshot).events(), stream.events()] == [whole[taken : taken + 1], [whole[taken + 1]]]
        human = stream.restore(snapshot).feed([[[0, 0], [5, 5]]])
        assert stream.events()[:-1] == [whole[taken], *human]


def test_what_is_drawn_so_far_includes_an_action_that_is_due_and_it_is_handed_out_all_the_same(model):
    whole = ls.sketch(model, seed=7, temperature=1.0).take(60)
    for taken in range(40):
        stream = ls.sketch(model, seed=7, temperature=1.0)
        stream.take(taken)
        drawing = stream.drawing()
        left_due(stream)
        number = whole[taken].drawing
        assert stream.actions == [action for action in whole[: taken + 1] if action.drawing == number]
        assert ls.to_stroke3(stream).tolist() == ls.to_stroke3(stream.actions).tolist()
        assert next(drawing) == whole[taken]
        assert [*drawing, *stream.take(60)][: 59 - taken] == whole[taken + 1 :]


def test_stepping_and_feeding_from_two_threads_keeps_one_order(model):
    import threading

    stream, seen, stop = ls.sketch(model, seed=5, temperature=1.0), [], threading.Event()

    def play():
        while not stop.is_set():
            seen.extend(stream.events())

    thread = threading.Thread(target=play)
    thread.start()
    try:
        for _ in range(60):
            stream.temperature = 0.9
            with contextlib.suppress(ls.StrokesError):  # a drawing that is nearly at its longest takes no more
                stream.feed([[[0, 0], [5, 5], [9, 2]]])
            stop.wait(0.002)
    finally:
        stop.set()
        thread.join()
    assert any(action.source == "human" for action in seen)
    for a, b in itertools.pairwise(seen):
        assert (b.drawing, b.step) == ((a.drawing + 1, 0) if a.last else (a.drawing, a.step + 1))


def test_voices_take_a_new_temperature_all_together(model):
    choir = ls.voices(model, 4, seed=1)
    choir.temperature = 0.2
    choir.convention = "paper"
    choir.step()
    assert choir._batch.divisor.tolist() == [0.2] * 4


def test_a_stream_itself_stands_for_its_present_drawing(stream):
    stream.feed(SQUARE)
    assert ls.to_stroke3(stream).shape == (5, 3)
    assert len(ls.to_polylines(stream)) == 2
