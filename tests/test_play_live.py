"""What a performer needs of a player: lookahead with live control, paces, beats, swaps, pause, mute, solo."""

import itertools
import math
import threading
import time

import numpy as np
import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player import pace
from livesketch.player.ahead import Ahead
from livesketch.player.course import Course, How
from livesketch.player.performance import play
from livesketch.player.place import grid, placed
from livesketch.player.tempo import Tempo


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    assert not ls.players()


def actions(recorder):
    return [event for event in recorder.events if isinstance(event, ls.PenAction)]


def course(stream, of=None, then="next", lookahead=1.0, place=None, tempo=None):
    return Course(stream, How(of or pace.steps(10), then, lookahead, place), tempo or Tempo(120), 0.0)


def run(way, n, change=None):
    """Plays n steps of a course as a player does: looks, makes ahead, takes."""
    events, dues = [], []
    for k in range(n):
        if change is not None:
            change(k)
        due = way.due()
        if due is None:
            break
        while way.prepare():
            pass
        due = way.due()
        events += way.take(due)
        dues.append(due)
    return events, dues


# Bad input


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"rate": 60, "beat": 1}, "rate and beat"),
        ({"rate": 0}, "steps per second"),
        ({"beat": -1}, "beats"),
        ({"beat": math.nan}, "beats"),
        ({"pace": 60}, "livesketch.pace"),
        ({"quant": "note"}, "quant"),
        ({"lookahead": -1}, "lookahead"),
        ({"lookahead": 1e9}, "lookahead"),
        ({"place": "left"}, "place"),
        ({"then": []}, "then"),
        ({"then": ["cat"]}, "streams"),
        ({"then": 3}, "then"),
        ({"rate": lambda beat: math.nan}, "rate"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused_and_nothing_plays(model, asked, says):
    recorder = ls.Recorder()
    with pytest.raises(ls.ControlError, match=says):
        ls.play(ls.sketch(model, seed=1), recorder, **asked)
    assert not ls.players()
    assert not recorder.opens


@pytest.mark.parametrize("bad", [0, 19.9, 1000, math.nan, "fast", True])
def test_a_tempo_out_of_range_is_refused_and_the_old_one_stays(bad):
    tempo = Tempo(90)
    with pytest.raises(ls.ControlError, match="20 to 999"):
        tempo.set(bad, 3.0)
    assert tempo.beat(2.0) == 3.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: pace.speed(0),
        lambda: pace.human(-1),
        pace.beats,
        lambda: pace.beats(1, stroke=2),
        lambda: pace.human(breath=3),
    ],
)
def test_paces_out_of_range_are_refused(make):
    with pytest.raises(ls.ControlError):
        make()


# Lookahead


def test_what_is_made_ahead_is_what_would_be_made_without(model):
    one, other = ls.sketch(model, seed=3), ls.sketch(model, seed=3)
    events, _ = run(course(one, lookahead=1.0), 100)
    assert events == other.take(100)


@pytest.mark.parametrize("lookahead", [0.0, 0.15, 1.0, 5.0])
def test_a_change_acts_on_the_next_step_that_is_played_however_far_ahead_was_made(model, lookahead):
    stream, plain = ls.sketch(model, seed=3), ls.sketch(model, seed=3)

    def change(which):
        def at(k):
            if k == 17:
                which.temperature = 0.1
            if k == 31:
                which.label = {"cat": 0.5, "pig": 0.5}
            if k == 40:
                which.z = np.ones(len(which.z))
            if k == 52:
                which.feed([[[0, 0], [10, 0], [10, 10]]])

        return at

    way = course(stream, lookahead=lookahead)
    events, _ = run(way, 90, change(stream))
    wanted, at = [], change(plain)
    for k in range(90):
        at(k)
        wanted += plain.events()
    assert events == wanted
    assert (way.ahead.taken_back > 0) == (lookahead > 0)


def test_a_step_taken_by_hand_follows_what_was_played(model):
    stream, plain = ls.sketch(model, seed=3), ls.sketch(model, seed=3)
    way = course(stream)
    events, _ = run(way, 10)
    assert next(stream) == plain.take(11)[-1]
    more, _ = run(way, 5)
    assert more == plain.take(5)
    assert events


def test_when_the_player_ends_the_stream_is_where_it_was_heard(model):
    stream, plain = ls.sketch(model, seed=3), ls.sketch(model, seed=3)
    way = course(stream)
    run(way, 20)
    assert len(way.ahead)
    way.close()
    plain.take(20)
    assert stream.take(30) == plain.take(30)


def test_what_was_fed_goes_out_once_though_its_step_is_taken_back(model):
    stream = ls.sketch(model, seed=3)
    way = course(stream)
    run(way, 3)
    stream.feed([[[0, 0], [10, 0], [10, 10]]])
    way.due()
    way.prepare()
    stream.temperature = 0.2
    events, _ = run(way, 3)
    assert [event.source for event in events].count("human") == 2
    assert [event.step for event in events] == list(range(3, 8))


@pytest.mark.parametrize("lookahead", [0.0, 0.15, 5.0])
@pytest.mark.parametrize("make", [ls.sketch, ls.text], ids=["sketch", "text"])
def test_actions_are_what_was_played_however_far_ahead_was_made(model, make, lookahead):
    name = model if make is ls.sketch else "wuyan"
    stream, plain = make(name, seed=3), make(name, seed=3)
    way = course(stream, lookahead=lookahead)
    assert stream.actions == []
    for k in range(50):
        events, _ = run(way, 1)
        assert events == plain.take(1)
        if k % 3 == 0:  # reading takes back, so steps stay made ahead in between
            held, count = stream.actions, len(plain.actions)
            assert held == plain.actions
        assert len(held) == count
    assert (way.ahead.taken_back > 0) == (lookahead > 0)


def test_actions_are_what_was_played_in_another_thread_too(model):
    stream, recorder = ls.sketch(model, seed=3), ls.Recorder()
    player = ls.play(stream, recorder, rate=100, lookahead=1.0)
    wait_for(lambda: player.stats().steps > 20)
    player.pause()
    wait_for(lambda: recorder.lifts)
    played = actions(recorder)
    wanted = [(a.step, a.x, a.y) for a in played if a.drawing == played[-1].drawing]
    assert [(a.step, a.x, a.y) for a in stream.actions] == wanted
    assert stream.guess(n=1) == stream.guess(stream.actions, n=1)
    player.resume()
    wait_for(lambda: player.stats().steps > 30)
    assert player.stats().taken_back > 0
    player.stop()
    plain = ls.sketch(model, seed=3).take(len(actions(recorder)))
    assert [(a.drawing, a.step, a.x) for a in actions(recorder)] == [(a.drawing, a.step, a.x) for a in plain]


def test_many_voices_are_never_looked_ahead_in(model):
    voices, plain = ls.voices(model, 3, seed=3), ls.voices(model, 3, seed=3)
    way = course(voices)
    for _ in range(5):
        assert way.due() is not None
        assert not way.prepare()
        assert not len(way.ahead)
        assert [*way.take(0.0)] == [*plain.step()]


def test_a_text_is_looked_ahead_in_too():
    stream, plain = ls.text("wuyan", seed=3), ls.text("wuyan", seed=3)

    def change(which):
        def at(k):
            if k == 5:
                which.temperature = 0.5
            if k == 9:
                which.prompt("山")
            if k == 15:
                which.pick(2)

        return at

    events, _ = run(course(stream), 60, change(stream))
    wanted, at = [], change(plain)
    for k in range(60):
        at(k)
        wanted += plain.events()
    assert events == wanted


def test_controls_from_another_thread_while_it_plays(model):
    """Every step follows the one before, however often it is changed from outside."""
    stream, recorder = ls.sketch(model, seed=3), ls.Recorder()
    player = ls.play(stream, recorder, rate=2000, lookahead=0.02)
    limit = time.monotonic() + 1.5
    k = 0
    while time.monotonic() < limit:
        stream.temperature = 0.1 + 0.9 * (k % 2)
        stream.label = ("cat", "pig")[k % 2]
        k += 1
        time.sleep(0.003)
    player.stop()
    assert player.error is None
    for before, after in itertools.pairwise(actions(recorder)):
        assert (after.drawing, after.step) in {(before.drawing, before.step + 1), (before.drawing + 1, 0)}
    assert player.stats().taken_back > 0


# Paces


def test_a_speed_gives_each_step_the_time_of_its_way(model):
    events, dues = run(course(ls.sketch(model, seed=3), pace.speed(0.5, air=4)), 60)
    for (one, at), (other, then) in itertools.pairwise(zip(events, dues, strict=True)):
        x, y = (one.x, one.y) if other.step else (0.5, 0.5)
        way = math.hypot(other.x - x, other.y - y)
        assert then - at == pytest.approx(max(1e-4, way / (0.5 if other.ink else 2.0)), abs=1e-9)


def test_steps_on_the_beat_keep_the_grid_through_changes_of_tempo(model):
    tempo = Tempo(120)
    way = course(ls.sketch(model, seed=3), pace.beats(1 / 4), tempo=tempo)
    beats = []

    def change(k):
        if k == 10:
            tempo.set(90, way.walk.last)
        if k > 10 and k % 5 == 0:
            tempo.set(60 + k, way.walk.last)

    for k in range(40):
        change(k)
        due = way.due()
        beats.append(tempo.beat(due))
        way.take(due)
    assert beats == pytest.approx([k / 4 for k in range(40)])


@pytest.mark.parametrize("part", ["stroke", "drawing"])
def test_strokes_and_drawings_end_on_the_grid(model, part):
    tempo = Tempo(100)
    way = course(ls.sketch(model, seed=3), pace.beats(**{part: 2}), tempo=tempo)
    events, dues = run(way, 200)
    ends = [
        tempo.beat(due)
        for event, due in zip(events, dues, strict=True)
        if event.last or (part == "stroke" and event.pen != ls.Pen.DOWN)
    ]
    assert len(ends) >= 2
    assert ends == pytest.approx([2.0 * round(end / 2) for end in ends], abs=1e-6)
    assert all(then > at for at, then in itertools.pairwise(dues))


def test_a_stroke_still_ends_on_the_grid_where_it_is_changed_in_the_middle(model):
    tempo, stream = Tempo(100), ls.sketch(model, seed=3)
    way = course(stream, pace.beats(stroke=2), tempo=tempo)

    def change(k):
        if k % 7 == 3:
            stream.temperature = 0.3 + 0.1 * (k % 5)

    events, dues = run(way, 150, change)
    ends = [tempo.beat(due) for event, due in zip(events, dues, strict=True) if event.pen != ls.Pen.DOWN]
    assert ends == pytest.approx([2.0 * round(end / 2) for end in ends], abs=1e-6)


def test_a_hand_is_slower_in_the_air_and_at_corners_and_breathes_alike_each_time(model):
    one, other = (run(course(ls.sketch(model, seed=3), pace.human()), 80)[1] for _ in range(2))
    assert one == other
    even = run(course(ls.sketch(model, seed=3), pace.human(2, breath=0)), 80)[1]
    events = ls.sketch(model, seed=3).take(80)
    gaps = [then - at for at, then in itertools.pairwise(even)]
    air = [gap for gap, event in zip(gaps, events[1:], strict=True) if not event.ink and event.pen != ls.Pen.END]
    ink = [gap for gap, event in zip(gaps, events[1:], strict=True) if event.ink]
    assert not air or np.median(air) > np.median(ink)
    assert 0.01 < np.median(ink) < 0.3


def test_the_pace_is_live(model):
    recorder = ls.Recorder()
    player = ls.play(ls.sketch(model, seed=3), recorder, rate=0.01)
    wait_for(lambda: player.stats().steps == 1)
    player.pace = pace.speed(50)
    wait_for(lambda: player.stats().steps > 20)
    assert player.rate is None
    player.rate = lambda beat: 500.0
    steps = player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 20)
    with pytest.raises(ls.ControlError):
        player.pace = 3
    assert player.rate == 500.0


# Patterns


def test_controls_follow_functions_of_the_beat(model):
    stream = ls.sketch(model, seed=3)
    stream.temperature = ls.ramp(0.2, 1.0, beats=10, at=0.0)
    seen = []
    run(course(stream, tempo=Tempo(60)), 50, lambda k: seen.append(stream.temperature))
    assert seen[-1] > 0.5
    stream.temperature = 0.4
    stream.take(3)
    assert stream.temperature == 0.4


def test_a_function_that_fails_keeps_the_last_good_value_and_is_said_once(model, caplog):
    def shaky(beat):
        if beat > 1:
            raise ZeroDivisionError("on stage")
        return math.nan if beat > 0.5 else 0.3

    stream = ls.sketch(model, seed=3)
    stream.temperature = shaky
    stream.take(100)
    assert stream.temperature == 0.3
    assert len(caplog.records) == 1
    with pytest.raises(ls.ControlError):
        stream.temperature = lambda beat: "hot"
    assert stream.temperature == 0.3


def test_a_pattern_is_the_same_played_twice(model):
    def played():
        stream, recorder = ls.sketch(model, seed=3), ls.Recorder()
        stream.temperature = ls.lfo(0.1, 1.5, beats=3)
        ls.play(stream, recorder, rate=20, then="stop", clock=ls.OfflineClock()).wait(10)
        return actions(recorder)

    assert played() == played()


# Swaps


def wait_for(condition, seconds=5.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.002)


@pytest.mark.parametrize("quant", ["now", "step", "stroke", "drawing", "beat", "bar"])
def test_a_swap_comes_where_it_was_asked_for_without_a_gap(model, quant):
    recorder = ls.Recorder()
    ls.play(ls.sketch(model, seed=1), recorder, rate=200, name="cat")
    wait_for(lambda: len(actions(recorder)) > 5)
    ls.play(ls.sketch(model, seed=2), rate=200, name="cat", quant=quant)
    swapped = lambda: [i for i, e in enumerate(recorder.events) if isinstance(e, ls.Cue) and e.kind == "swap"]  # noqa: E731
    wait_for(swapped, 20)
    at = swapped()[0]
    wait_for(lambda: len(recorder.events) > at + 20)
    ls.hush()
    before = [e for e in recorder.events[:at] if isinstance(e, ls.PenAction)]
    after = [e for e in recorder.events[at:] if isinstance(e, ls.PenAction)]
    assert after[0].step == 0
    if quant == "stroke":
        assert before[-1].last or before[-1].pen != ls.Pen.DOWN
    if quant == "drawing":
        assert before[-1].last
    if quant in {"beat", "bar"}:
        beat = ls.clock.beat_at(after[0].at)
        assert beat == pytest.approx(round(beat), abs=1e-6)
        assert quant == "beat" or round(beat) % 4 == 0
    else:
        assert after[0].at - before[-1].at == pytest.approx(1 / 200, abs=1e-9)


def test_swapping_swaps_swaps(model):
    """Three in a row before the first boundary comes: only the last one plays, and nobody is left behind."""
    recorder = ls.Recorder()
    ls.play(ls.sketch(model, seed=1), recorder, rate=1, name="cat")
    wait_for(lambda: actions(recorder))
    for seed in (2, 3, 4):
        last = ls.play(ls.sketch(model, seed=seed), name="cat", rate=500, quant="bar")
    wait_for(lambda: last.stats().steps > 3, 10)
    assert {e.name for e in actions(recorder)} == {"cat"}
    ls.hush()
    assert not [t for t in threading.enumerate() if t.name.startswith("livesketch-")]
    assert recorder.closes == 1


# Pause, mute, solo, panic, outputs


def test_paused_it_lifts_and_makes_no_step_and_goes_on_where_it_was(model):
    recorder = ls.Recorder()
    player = ls.play(ls.sketch(model, seed=3), recorder, rate=500)
    wait_for(lambda: player.stats().steps > 10)
    assert player.pause().pause().paused
    wait_for(lambda: recorder.lifts == 1)
    steps = player.stats().steps
    time.sleep(0.05)
    assert player.stats().steps == steps
    player.resume().resume()
    wait_for(lambda: player.stats().steps > steps + 10)
    player.stop()
    plain = ls.sketch(model, seed=3).take(len(actions(recorder)))
    assert [(a.drawing, a.step, a.x) for a in actions(recorder)] == [(a.drawing, a.step, a.x) for a in plain]


def test_muted_nothing_goes_out_and_strokes_are_closed(model):
    recorder = ls.Recorder()
    player = ls.play(ls.sketch(model, seed=3), recorder, rate=1000)
    wait_for(lambda: player.stats().steps > 10)
    player.mute()
    wait_for(lambda: recorder.lifts)
    count, steps = len(recorder.events), player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 10)
    assert len(recorder.events) == count
    player.unmute()
    wait_for(lambda: len(recorder.events) > count + 10)
    player.stop()
    depth = 0
    for event in recorder.events:
        if isinstance(event, ls.Cue):
            depth += {"stroke/begin": 1, "stroke/end": -1}.get(event.kind, 0)
            assert depth in (0, 1)
    assert depth == 0


def test_solo_silences_the_others_and_those_that_come(model):
    one, two = (ls.play(ls.sketch(model, seed=k), ls.Recorder(), rate=100, name=str(k)) for k in (1, 2))
    one.solo().solo()
    three = ls.play(ls.sketch(model, seed=3), ls.Recorder(), rate=100, name="3")
    assert (one.muted, two.muted, three.muted) == (False, True, True)
    two.solo()
    assert (one.muted, two.muted, three.muted) == (False, False, True)
    one.stop()
    two.unsolo()
    ls.players()
    two.unsolo()
    assert (two.muted, three.muted) == (False, False)


def test_panic_asks_outputs_that_can_for_silence_first(model):
    said = []

    class Loud(ls.Recorder):
        def panic(self):
            said.append("panic")

        def lift(self):
            said.append("lift")

        def close(self):
            said.append("close")

    ls.play(ls.sketch(model, seed=3), Loud(), rate=1)
    ls.panic()
    ls.panic()
    assert said == ["panic", "lift", "close"]


def test_outputs_come_and_go_while_it_plays(model, tmp_path):
    first, second, third = ls.Recorder(), ls.Recorder(), ls.Recorder()
    player = ls.play(ls.sketch(model, seed=3), first, rate=500)
    other = ls.play(ls.sketch(model, seed=4), third, rate=500, name="other")
    player.to += (second,)
    wait_for(lambda: len(actions(second)) > 3)
    player.to = second
    wait_for(lambda: first.closes == 1)
    assert player.to == (second,)
    for bad in ((), (third,), ("osc",)):
        with pytest.raises(ls.ControlError):
            player.to = bad
    with pytest.raises(ls.OutputError):
        player.to = [second, ls.svg(tmp_path / "no" / "folder" / "a.svg")]
    assert player.to == (second,)
    assert other.playing
    player.stop()
    assert (first.closes, second.closes) == (1, 1)


# What follows a drawing


def test_repeat_draws_the_same_again(model):
    way = course(ls.sketch(model, seed=3), then="repeat")
    got = []
    while sum(event.last for event in got) < 2:
        taken = way.take(way.due())
        got += taken
        if taken[-1].last:
            assert way.follow()
    half = len(got) // 2
    assert [a.x for a in got[:half]] == [a.x for a in got[half:]]


def test_a_list_of_streams_plays_a_drawing_each(model):
    recorder = ls.Recorder()
    streams = [ls.sketch(model, seed=k) for k in (1, 2, 3)]
    player = ls.play(streams[0], recorder, rate=10000, then=streams[1:], clock=ls.OfflineClock())
    assert player.wait(10)
    wanted = [a for stream in (ls.sketch(model, seed=k) for k in (1, 2, 3)) for a in stream.drawing()]
    assert [(a.x, a.y) for a in actions(recorder)] == [(a.x, a.y) for a in wanted]


def test_a_function_says_what_follows_and_its_mistakes_do_no_harm(model, caplog):
    turns = []

    def then(stream):
        turns.append(stream)
        if len(turns) == 2:
            raise ValueError("oh")
        return None if len(turns) == 4 else stream

    recorder = ls.Recorder()
    player = ls.play(ls.sketch(model, seed=1), recorder, rate=10000, then=then, clock=ls.OfflineClock())
    assert player.wait(10)
    assert sum(a.last for a in actions(recorder)) == 4
    assert [r.getMessage() for r in caplog.records if "then: oh" in r.getMessage()]


# Place


def test_fitted_drawings_fill_the_stage_and_cells_of_a_grid(model):
    recorder = ls.Recorder()
    ls.play(ls.sketch(model, seed=3), recorder, rate=10000, then="stop", place="fit", clock=ls.OfflineClock()).wait(10)
    points = np.array([(a.x, a.y) for a in actions(recorder) if not a.last or a.ink])
    assert points.min() >= 0.05 - 1e-9
    assert points.max() <= 0.95 + 1e-9
    assert max(np.ptp(points, axis=0)) > 0.5
    shift = placed(grid(4, 2), 5, ls.sketch(model, seed=3).drawing())
    moved = [shift.of(a) for a in ls.sketch(model, seed=3).drawing()]
    assert all(0.25 <= a.x <= 0.5 for a in moved)
    assert all(0.5 <= a.y <= 1.0 for a in moved)


def test_a_fitted_drawing_that_is_changed_in_the_middle_keeps_its_place(model):
    stream = ls.sketch(model, seed=3)
    way = course(stream, place=grid(1, 1))

    def change(k):
        if k == 6:
            stream.temperature = 0.9

    events, _ = run(way, 12, change)
    plain = ls.sketch(model, seed=3)
    wanted = plain.take(6)
    plain.temperature = 0.9
    wanted += plain.take(6)
    pairs = zip(itertools.pairwise(events), itertools.pairwise(wanted), strict=True)
    scale = {
        round((b.x - a.x) / (d.x - c.x), 6) for (a, b), (c, d) in pairs if abs(d.x - c.x) > 1e-3 and d.step > c.step
    }
    assert len(scale) == 1


def test_what_is_fed_before_a_fitted_drawing_is_fitted_with_it(model):
    stream = ls.sketch(model, seed=3)
    stream.feed([[[0, 0], [900, 0], [900, 500]]])
    way = course(stream, place=grid(1, 1))
    events, _ = run(way, 1)
    while not events[-1].last:
        more, _ = run(way, 1)
        events += more
    assert [event.source for event in events[:2]] == ["human", "human"]
    points = np.array([(a.x, a.y) for a in events])
    assert points.min() >= 0.05 - 1e-9
    assert points.max() <= 0.95 + 1e-9


def test_what_is_fed_into_a_fitted_drawing_takes_its_scale_and_place(model):
    stream = ls.sketch(model, seed=3)
    way = course(stream, place=grid(1, 1))
    before, _ = run(way, 6)
    raw = stream.actions
    stream.feed([[[0, 0], [900, 0], [900, 500]]])
    events, _ = run(way, 1)
    fed, raw_fed = [before[-1], *events[:-1]], [raw[-1], *stream.actions[6:-1]]
    assert [event.source for event in fed[1:]] == ["human"] * (len(fed) - 1)
    shift = placed(grid(1, 1), 0, ls.sketch(model, seed=3).drawing())
    assert [(a.x, a.y) for a in fed] == [pytest.approx((shift.of(a).x, shift.of(a).y)) for a in raw_fed]
    assert max(a.x for a in fed) > 1  # beyond the stage: its place was settled before


def test_play_is_what_the_package_offers(model):
    assert ls.play is play
    assert isinstance(Ahead(ls.sketch(model)), Ahead)


# What happened


def test_what_happened_is_kept_and_shown_on_request(model, capfd):
    class Bad(ls.Recorder):
        def send(self, event):
            raise RuntimeError("no paper 7")

    ls.play(ls.sketch(model, seed=7), Bad(), rate=5000, then="stop").wait(5)
    lines = ls.log()
    assert any("no paper 7" in line and "warning" in line for line in lines)
    assert str(lines)
    assert repr(lines).count("\n") == len(lines) - 1
    assert len(ls.log(1)) == 1
    assert ls.log(0) == []
    for bad in (-1, 1.5, "all", 10**6):
        with pytest.raises(ls.ControlError):
            ls.log(bad)
    assert capfd.readouterr() == ("", "")
