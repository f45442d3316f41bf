"""The first player: names, swaps, endings, and what goes wrong."""

import itertools
import threading
import time

import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player import clock as clocks


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    return str(path)


@pytest.fixture
def stream(model):
    return ls.sketch(model, seed=7, temperature=1.0)


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    assert not ls.players()


class Bad(ls.Recorder):
    """An output that fails at every turn after it is opened."""

    def send(self, event):
        raise RuntimeError("no paper")

    def tick(self, now):
        raise RuntimeError("no time")

    def lift(self):
        raise RuntimeError("stuck")


class Clocked(clocks.OfflineClock):
    """Notes when steps were due: the moments it was asked to jump to."""


def actions(recorder):
    return [event for event in recorder.events if isinstance(event, ls.PenAction)]


def cues(recorder):
    return [event.kind for event in recorder.events if isinstance(event, ls.Cue)]


def wait_for(condition, seconds=5.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.005)


def test_it_plays_what_the_stream_draws_in_order_under_its_name(model, stream):
    recorder = ls.Recorder()
    player = ls.play(stream, to=[recorder], rate=5000, name="cat", then="stop")
    assert player.wait(5)
    wanted = [*ls.sketch(model, seed=7, temperature=1.0).drawing()]
    got = actions(recorder)
    assert [(a.step, a.x, a.y, a.ink, a.pen, a.last) for a in got] == [
        (a.step, a.x, a.y, a.ink, a.pen, a.last) for a in wanted
    ]
    assert {a.name for a in got} == {"cat"}
    assert cues(recorder)[:2] == ["drawing/begin", "stroke/begin"]
    assert cues(recorder)[-2:] == ["drawing/end", "hush"]
    assert player.stats().drawings == 1


def test_it_returns_at_once_and_goes_on_with_the_next_drawing(stream):
    recorder = ls.Recorder()
    began = time.monotonic()
    player = ls.play(stream, to=recorder, rate=2000)
    assert time.monotonic() - began < 0.5
    wait_for(lambda: player.stats().drawings >= 3)
    assert player.playing
    assert ls.players() == {"small": player}
    player.stop()
    player.stop()
    assert not player.playing
    assert ls.players() == {}


def test_steps_are_due_at_the_rate(stream):
    recorder = ls.Recorder()
    ls.play(stream, to=recorder, rate=100, then="stop", clock=ls.OfflineClock()).wait(5)
    due = [a.at for a in actions(recorder)]
    assert due == pytest.approx([i / 100 for i in range(len(due))])


def test_the_rate_is_live_and_checked(stream):
    recorder = ls.Recorder()
    with ls.play(stream, to=recorder, rate=0.05) as player:
        wait_for(lambda: player.stats().steps == 1)
        player.rate = 2000
        wait_for(lambda: player.stats().steps > 20)
        for bad in (0, -1, float("nan"), 1e9, "fast"):
            with pytest.raises(ls.ControlError, match="steps per second"):
                player.rate = bad
        assert player.rate == 2000
    assert not player.playing


def test_stopping_in_the_middle_lifts_the_pen_and_closes(model):
    recorder = ls.Recorder()
    slow = ls.play(ls.sketch(model, seed=7, temperature=1.0), to=recorder, rate=0.1)
    wait_for(lambda: slow.stats().steps == 1)
    began = time.monotonic()
    ls.hush()
    assert time.monotonic() - began < 1
    assert cues(recorder) in (
        ["drawing/begin", "stroke/begin", "stroke/end", "drawing/end", "hush"],
        ["drawing/begin", "stroke/begin", "stroke/end", "stroke/begin", "stroke/end", "drawing/end", "hush"],
    )
    assert (recorder.lifts, recorder.closes) == (1, 1)
    ls.hush()
    assert recorder.closes == 1


def test_the_same_name_swaps_and_keeps_the_outputs_both_have(model):
    kept, left, new = ls.Recorder(), ls.Recorder(), ls.Recorder()
    first = ls.play(ls.sketch(model, seed=1), to=[kept, left], rate=1000, name="cat")
    wait_for(lambda: first.stats().steps > 3)
    second = ls.play(ls.sketch(model, seed=2), to=[kept, new], rate=1000, name="cat")
    wait_for(lambda: second.stats().steps > 3)
    assert not first.playing
    assert ls.players() == {"cat": second}
    assert (kept.closes, left.closes, new.closes) == (0, 1, 0)
    at = next(i for i, event in enumerate(kept.events) if isinstance(event, ls.Cue) and event.kind == "swap")
    before, after = kept.events[:at], kept.events[at + 1 :]
    assert [e.kind for e in before if isinstance(e, ls.Cue)][-1] == "drawing/end"
    assert isinstance(after[0], ls.Cue)
    assert after[0].kind == "drawing/begin"
    second.stop()
    assert (kept.closes, new.closes) == (1, 1)


def test_without_outputs_a_swap_keeps_the_old_ones(model):
    recorder = ls.Recorder()
    ls.play(ls.sketch(model, seed=1), to=recorder, rate=1000, name="cat")
    second = ls.play(ls.sketch(model, seed=2), name="cat", rate=1000)
    assert second.to == (recorder,)
    wait_for(lambda: second.stats().steps > 3)


def test_without_a_name_it_is_the_streams_and_played_again_it_swaps(model):
    out = ls.Recorder()
    first = ls.play(ls.sketch(model), to=out, rate=1000)
    again = ls.play(ls.sketch(model), to=out, rate=1000)
    other = ls.play(ls.sketch(model), to=ls.Recorder(), name="other")
    assert (first.name, again.name) == ("small", "small")
    assert ls.players() == {"small": again, "other": other}
    wait_for(lambda: again.stats().steps > 3)
    assert not first.playing
    assert (out.closes, cues(out).count("swap")) == (0, 1)


def test_a_mistake_in_a_play_without_a_name_leaves_the_one_before_playing(model):
    first = ls.play(ls.sketch(model), to=ls.Recorder(), rate=1000)
    for bad in ({"rate": -1}, {"to": ["osc"]}, {"to": []}, {"name": " "}):
        with pytest.raises(ls.ControlError):
            ls.play(ls.sketch(model), **({"to": ls.Recorder()} | bad))
    steps = first.stats().steps
    wait_for(lambda: first.stats().steps > steps)
    assert ls.players() == {"small": first}


def test_nowhere_to_play_is_said(stream):
    with pytest.raises(ls.ControlError, match="nowhere to play"):
        ls.play(stream)
    for given in (["127.0.0.1:9000"], "127.0.0.1:9000"):
        with pytest.raises(ls.ControlError, match=r"'127\.0\.0\.1:9000' is no output"):
            ls.play(stream, to=given)
    with pytest.raises(ls.ControlError, match="then"):
        ls.play(stream, to=ls.Recorder(), then="dance")


def test_an_output_that_fails_is_counted_and_the_others_play_on(stream):
    recorder, bad = ls.Recorder(), Bad()
    player = ls.play(stream, to=[bad, recorder], rate=5000, then="stop")
    assert player.wait(5)
    assert player.error is None
    assert actions(recorder)[-1].last
    assert player.stats().output_errors > len(actions(recorder))
    assert str(player.fault()) == "no paper"
    assert player.troubles() == []
    assert bad.closes == 1


def test_a_stream_that_fails_ends_its_player_with_the_pen_up(stream):
    class Breaks:
        name, seed, stage_units = stream.name, stream.seed, stream.stage_units
        temperature, convention = stream.temperature, stream.convention

        def events(self):
            if stream.actions:
                raise ValueError("ink is out")
            return stream.events()

    recorder = ls.Recorder()
    player = ls.play(Breaks(), to=recorder, rate=5000)
    assert player.wait(5)
    assert str(player.error) == "ink is out"
    assert cues(recorder)[-1] == "hush"
    assert (recorder.lifts, recorder.closes) == (1, 1)


def test_what_is_fed_while_it_plays_goes_out_too(model):
    stream, recorder = ls.sketch(model, seed=7, temperature=0.2), ls.Recorder()
    stream.feed([[[0, 0], [10, 10], [20, 10]]])
    player = ls.play(stream, to=recorder, rate=50)
    wait_for(lambda: player.stats().steps >= 1)
    assert [a.source for a in actions(recorder)[:3]] == ["human", "human", "model"]
    assert [a.step for a in actions(recorder)[:3]] == [0, 1, 2]


def test_what_follows_drawings_of_many_voices_that_is_not_done_is_refused(model, stream):
    for then in ([stream], lambda stream: stream, "repeat"):
        with pytest.raises(ls.ControlError, match="'next' or 'stop'"):
            ls.play(ls.voices(model, 2), to=ls.Recorder(), then=then)


def test_a_name_is_for_good_and_a_pace_is_short_to_read(stream):
    player = ls.play(stream, to=ls.Recorder(), rate=50)
    with pytest.raises(AttributeError):
        player.name = "dog"
    assert " Steps(rate=50) " in repr(ls.players())
    assert [repr(pace) for pace in (ls.pace.speed(2), ls.pace.human())] == [
        "Speed(speed=2, air=2.0)", "Human(times=1.0, breath=1.0)"
    ]  # fmt: skip


def test_voices_play_with_their_numbers_and_stop_when_each_has_drawn(model):
    recorder = ls.Recorder()
    player = ls.play(ls.voices(model, 4, seed=3, temperature=1.0), to=recorder, rate=5000, then="stop")
    assert player.wait(10)
    per_voice = [[a for a in actions(recorder) if a.voice == k] for k in range(4)]
    assert all(done[-1].last and sum(a.last for a in done) == 1 for done in per_voice)
    assert player.stats().drawings == 4


def test_time_lost_while_the_machine_was_away_is_skipped_and_counted(stream):
    class Sleepy(clocks.OfflineClock):
        def wait_until(self, due, woken):
            super().wait_until(due + (60 if 0.015 < due < 0.025 else 0), woken)

    recorder = ls.Recorder()
    player = ls.play(stream, to=recorder, rate=100, then="stop", clock=Sleepy())
    player.wait(5)
    due = [a.at for a in actions(recorder)]
    gaps = [b - a for a, b in itertools.pairwise(due)]
    assert max(gaps) > 59
    assert sorted(gaps)[-2] < 0.1
    assert player.stats().skipped > 59


def test_draw_is_offline_and_closes_its_outputs(model, tmp_path):
    recorder = ls.Recorder()
    path = tmp_path / "out.svg"
    drawings = ls.draw(ls.sketch(model, seed=7), to=[recorder, ls.svg(str(path))], n=3)
    assert len(drawings) == 3
    assert [a.drawing for d in drawings for a in d.actions if a.last] == [0, 1, 2]
    assert recorder.closes == 1
    assert path.read_text().lstrip().startswith("<?xml")
    assert [*drawings[1].actions] == [a for a in ls.sketch(model, seed=7).take(500) if a.drawing == 1][
        : len(drawings[1].actions)
    ]


def test_draw_draws_what_was_fed_too(model):
    recorder, stream = ls.Recorder(), ls.sketch(model, seed=7)
    stream.feed([[[0, 0], [10, 10]]])
    ls.draw(stream, to=recorder)
    assert [a.source for a in actions(recorder)[:2]] == ["human", "model"]


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_a_bad_number_of_drawings_is_refused(stream, n):
    with pytest.raises(ls.ControlError, match="drawings"):
        ls.draw(stream, n=n)


def test_an_output_that_cannot_be_written_is_told_by_draw(stream):
    with pytest.raises(RuntimeError, match="no paper"):
        ls.draw(stream, to=Bad())


def test_hush_while_many_play_leaves_no_thread(model):
    for number in range(20):
        ls.play(ls.sketch(model), to=ls.Recorder(), rate=500, name=str(number))
    assert len(ls.players()) == 20
    ls.hush()
    assert not [t for t in threading.enumerate() if t.name.startswith("livesketch-")]


def test_a_mistake_in_a_swap_leaves_the_old_one_playing(model):
    recorder = ls.Recorder()
    first = ls.play(ls.sketch(model), to=recorder, rate=500, name="cat")
    for wrong in ("pig", None, ls.sketch(model).drawing()):
        with pytest.raises(ls.ControlError, match="is no stream"):
            ls.play(wrong, name="cat")
    with pytest.raises(ls.ControlError):
        ls.play(ls.sketch(model), name="cat", rate=-1)
    with pytest.raises(ls.ControlError, match="no output"):
        ls.play(ls.sketch(model), name="cat", to=[ls.Recorder])
    assert first.playing
    assert recorder.closes == 0


def test_outputs_are_closed_where_one_cannot_be_opened(model):
    class Shut(ls.Recorder):
        def open(self, name, voices, stage):
            raise ls.OutputError("the door is shut; expected it open; try the handle")

    recorder, kept = ls.Recorder(), ls.Recorder()
    first = ls.play(ls.sketch(model), to=kept, rate=500, name="cat")
    with pytest.raises(ls.OutputError):
        ls.play(ls.sketch(model), to=[kept, recorder, Shut()], name="cat")
    assert (recorder.closes, kept.closes) == (1, 0)
    assert ls.players() == {"cat": first}  # the old one plays on
    with pytest.raises(ls.OutputError):
        ls.draw(ls.sketch(model), to=[recorder, Shut()])
    assert recorder.closes == 2


def test_draw_refuses_voices_before_it_touches_the_file(model, tmp_path):
    (tmp_path / "v.svg").write_text("precious")
    with pytest.raises(ls.ControlError, match="cannot be drawn offline"):
        ls.draw(ls.voices(model, 3), to=ls.svg(tmp_path / "v.svg"))
    assert (tmp_path / "v.svg").read_text() == "precious"


def test_fed_rows_are_played_once(model):
    stream, recorder = ls.sketch(model, seed=7), ls.Recorder()
    stream.feed([[[0, 0], [10, 10]]])
    ls.draw(stream)
    ls.play(stream, to=recorder, rate=5000, then="stop").wait(5)
    assert {a.drawing for a in actions(recorder)} == {1}
    assert {a.source for a in actions(recorder)} == {"model"}


def test_a_blocked_output_does_not_hang_the_performer(model, monkeypatch):
    from livesketch.player import playing

    monkeypatch.setattr(playing, "STOP_LIMIT", 0.2)
    release = threading.Event()

    class Stuck(ls.Recorder):
        def send(self, event):
            release.wait(10)

    player = ls.play(ls.sketch(model), to=Stuck(), rate=500)
    time.sleep(0.05)
    began = time.monotonic()
    ls.hush()
    assert time.monotonic() - began < 2
    release.set()
    assert player.wait(5)


def test_a_forked_child_has_no_players_and_hushes_at_once(model):
    import os
    import warnings

    ls.play(ls.sketch(model), to=ls.Recorder(), rate=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
        child = os.fork()
    if not child:
        ls.hush()
        os._exit(len(ls.players()))
    limit = time.monotonic() + 10
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        assert time.monotonic() < limit, "the child hangs"
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(status) == 0


def test_nothing_is_printed_into_the_prompt(model, capfd):
    ls.play(ls.sketch(model, seed=7), to=Bad(), rate=5000, then="stop").wait(5)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_an_output_belongs_to_one_player(model):
    shared = ls.Recorder()
    ls.play(ls.sketch(model), to=[shared, shared], rate=500, name="a")
    with pytest.raises(ls.ControlError, match="in use by the player 'a'"):
        ls.play(ls.sketch(model), to=shared, name="b")
    ls.hush()
    assert (len(shared.opens), shared.closes) == (1, 1)


@pytest.mark.parametrize("act", ["players", "hush", "play", "stop"])
def test_an_output_may_call_what_a_performer_types(model, act):
    """From within a player's thread nothing waits, so that nothing can wait for itself."""
    acts = {
        "players": ls.players,
        "hush": ls.hush,
        "play": lambda: ls.play(ls.sketch(model, seed=2), name="own", to=new, rate=2000),
        "stop": lambda: [player.stop() for player in ls.players().values()],
    }
    slowest = []

    class Acts(ls.Recorder):
        def send(self, event):
            super().send(event)
            if len(self.events) == 9:
                began = time.monotonic()
                acts[act]()
                slowest.append(time.monotonic() - began)

    new, outputs = ls.Recorder(), [Acts(), Acts()]
    ls.play(ls.sketch(model, seed=1), to=outputs[0], name="own", rate=2000)
    ls.play(ls.sketch(model, seed=1), to=outputs[1], name="other", rate=2000)
    wait_for(lambda: slowest)
    assert max(slowest) < 1
    ls.hush()
    assert [output.closes for output in outputs] == [1, 1]


def test_a_swap_waits_for_the_old_one_before_it_sends(model):
    """Kept outputs get the old one's lift before anything of the new one, and are in one thread at a time."""
    inside, worst = [0], [0]

    class Watched(ls.Recorder):
        def send(self, event):
            inside[0] += 1
            worst[0] = max(worst[0], inside[0])
            time.sleep(0.002)
            super().send(event)
            inside[0] -= 1

    output = Watched()
    for seed in range(15):
        ls.play(ls.sketch(model, seed=seed), to=output, name="cat", rate=3000)
        time.sleep(0.01)
    ls.hush()
    assert worst[0] == 1
    open_strokes = 0
    for event in output.events:
        if isinstance(event, ls.Cue):
            open_strokes += {"stroke/begin": 1, "stroke/end": -1}.get(event.kind, 0)
            assert open_strokes in (0, 1)
            assert event.kind not in ("swap", "hush") or not open_strokes
    assert output.closes == 1


def test_outputs_are_ticked_while_a_slow_player_waits(stream):
    recorder = ls.Recorder()
    player = ls.play(stream, to=recorder, rate=1, clock=Clocked())
    wait_for(lambda: player.stats().steps >= 3)
    player.stop()
    gaps = [b - a for a, b in itertools.pairwise(recorder.ticks)]
    assert max(gaps) <= 0.05
    assert recorder.ticks[-1] > 2


def test_a_new_rate_moves_the_wait_and_makes_no_step_of_its_own(stream):
    moments = [0.5, 0.25, 0.125]

    class Turning(clocks.OfflineClock):
        def wait_until(self, due, woken):
            super().wait_until(due, woken)
            if self.now() > 10.3 and moments:
                moments.pop()
                player.rate = 0.1 + 0.001 * len(moments)

    recorder, ready = ls.Recorder(), threading.Event()
    clock = Turning()
    original = clock.wait_until
    clock.wait_until = lambda due, woken: ready.wait(5) and original(due, woken)
    player = ls.play(stream, to=recorder, rate=0.1, clock=clock)
    ready.set()
    wait_for(lambda: player.stats().steps >= 3)
    player.stop()
    due = [a.at for a in actions(recorder)]
    assert due[0] == 0
    assert due[1] == pytest.approx(10)
    assert due[2] == pytest.approx(20, abs=0.2)


def test_an_output_that_sets_the_pace_is_not_late(stream):
    class Plotter(ls.Recorder):
        paces = True

        def send(self, event):
            super().send(event)
            time.sleep(0.01)

    player = ls.play(stream, to=Plotter(), rate=1000, then="stop")
    assert player.wait(10)
    assert (player.stats().late_worst, player.stats().skipped) == (0, 0)


def test_an_output_that_blocks_a_swap_is_taken_over_and_the_others_are_closed(model, monkeypatch):
    from livesketch.player import playing

    monkeypatch.setattr(playing, "STOP_LIMIT", 0.2)
    release = threading.Event()

    class Stuck(ls.Recorder):
        def send(self, event):
            if not release.is_set():
                release.wait(10)
            super().send(event)

    stuck, left = Stuck(), ls.Recorder()
    first = ls.play(ls.sketch(model, seed=1), to=[stuck, left], rate=500, name="cat")
    time.sleep(0.05)
    second = ls.play(ls.sketch(model, seed=2), to=stuck, rate=500, name="cat")
    wait_for(lambda: len(stuck.opens) == 2)  # handed over all the same
    release.set()
    assert first.wait(5)
    wait_for(lambda: second.stats().steps > 2)
    assert (left.closes, stuck.closes) == (1, 0)
