"""Bad input and bad days on stage: what goes wrong is counted, the rest plays on, and at the end nothing is left."""

import contextlib
import gc
import itertools
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_models import small_checkpoint
from test_latent import KINDS
from test_trace import Disk

import livesketch as ls
from livesketch.errors import LivesketchError
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player import pace, playing
from livesketch.player.course import Course, How
from livesketch.player.desk import Desk
from livesketch.player.lateness import Lateness
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


def cues(recorder):
    return [event.kind for event in recorder.events if isinstance(event, ls.Cue)]


def wait_for(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.002)


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("livesketch-player-")]


class Strict(ls.Recorder):
    """Notes what no output may ever see: events while it is closed, a second close, two threads at a time."""

    def __init__(self):
        super().__init__()
        self.is_open, self.wrong, self._inside = False, [], 0

    def open(self, name, voices, stage):
        if self.closes:
            self.wrong.append("opened after it was closed")
        self.is_open = True
        super().open(name, voices, stage)

    def send(self, event):
        self._inside += 1
        if not self.is_open or self._inside > 1:
            self.wrong.append(event)
        super().send(event)
        self._inside -= 1

    def close(self):
        if not self.is_open:
            self.wrong.append("closed while it was closed")
        self.is_open = False
        super().close()


class Full(Strict):
    """Sets an event when it has so many actions."""

    def __init__(self, count):
        super().__init__()
        self.full, self._left = threading.Event(), count

    def send(self, event):
        super().send(event)
        self._left -= isinstance(event, ls.PenAction)
        if self._left <= 0:
            self.full.set()


def clean(recorder):
    """Strokes and drawings begin and end in pairs, and nothing is open at the end."""
    depth = {"stroke": 0, "drawing": 0}
    for kind in cues(recorder):
        part, _, what = kind.partition("/")
        if what:
            depth[part] += 1 if what == "begin" else -1
            assert depth[part] in (0, 1)
    assert set(depth.values()) == {0}


# Outputs that fail


@pytest.mark.parametrize("method", ["send", "tick", "lift", "close", "next_tick", "repr", "str"])
@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_an_output_may_fail_wherever_it_likes(model, method, error):
    class Silent(error):
        def __str__(self):
            raise ValueError("no words")

    def fail(*_):
        raise (Silent if method == "str" else error)("no paper")

    names = {"repr": ("__repr__", "send"), "str": ("send",)}.get(method, (method,))
    kind = type("Bad", (ls.Recorder,), {name: property(fail) if name == "next_tick" else fail for name in names})
    bad, good = kind(), Strict()
    player = ls.play(ls.sketch(model, seed=3), [bad, good], rate=200, then="stop")
    assert player.wait(20)
    assert player.error is None
    assert actions(good)[-1].last
    assert (good.closes, good.wrong) == (1, [])
    clean(good)
    assert player.stats().output_errors > 0
    assert bad.closes == (method != "close")


def test_an_output_that_fails_to_open_again_does_not_end_the_play(model):
    """At a swap, and where another stream follows a drawing."""

    class Once(ls.Recorder):
        def open(self, name, voices, stage):
            if self.opens:
                raise ls.OutputError("the disk is gone")
            super().open(name, voices, stage)

    once, good = Once(), Strict()
    ls.play(ls.sketch(model, seed=1), [once, good], rate=1000, name="cat")
    wait_for(lambda: actions(good))
    streams = [ls.sketch(model, seed=k) for k in (3, 4)]
    player = ls.play(streams[0], name="cat", rate=5000, then=streams[1:], quant="now")
    assert player.wait(10)
    assert player.error is None
    assert sum(action.last for action in actions(good)) >= 2
    assert player.stats().output_errors
    assert (good.closes, good.wrong) == (1, [])


def test_a_receiver_that_goes_and_comes_back_is_played_to_again(model):
    def listen(port=0):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", port))
        udp.settimeout(20)
        return udp

    first = listen()
    port = first.getsockname()[1]
    out = ls.osc(f"127.0.0.1:{port}")
    player = ls.play(ls.sketch(model, seed=3), out, rate=300)
    assert first.recv(2000)
    first.close()
    wait_for(lambda: out.errors > 2)
    again = listen(port)
    try:
        assert again.recv(2000)
    finally:
        again.close()
    assert player.playing
    assert player.error is None
    assert player.stats().output_errors >= out.errors > 0


def test_a_disk_that_fills_up_in_the_middle_of_a_trace_costs_lines_and_nothing_else(model, tmp_path):
    out, good = ls.trace(tmp_path / "a.jsonl"), Full(600)
    real = []

    class Fills(Disk):
        def close(self):
            real.pop().close()

    disk = Fills(20_000)
    player = ls.play(ls.sketch(model, seed=3), [out, good], rate=0.1)
    wait_for(lambda: player.stats().steps)
    real.append(out._file)
    out._file = disk
    player.rate = 4000
    assert good.full.wait(20)
    wait_for(lambda: out.errors > 5)
    disk.room = 10**7
    count = len(good.events)
    wait_for(lambda: len(good.events) > count + 300)
    player.stop()
    assert player.error is None
    assert player.stats().output_errors == out.errors > 5
    lines = disk.taken.splitlines()
    torn = [line for line in lines if not line.endswith(b"}")]
    assert len(torn) <= 1
    assert all(json.loads(line) for line in lines if line not in torn)
    assert json.loads(lines[-1])["kind"] == "hush"
    assert good.wrong == []


# Time


def test_a_wall_clock_that_jumps_is_not_noticed(model, monkeypatch):
    out = Full(200)
    player = ls.play(ls.sketch(model, seed=3), out, rate=1000)
    wait_for(lambda: len(actions(out)) > 20)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400 * (len(out.events) // 7 % 3))
    assert out.full.wait(20)
    player.stop()
    due = [action.at for action in actions(out)]
    stats = player.stats()
    assert due[-1] - due[0] == pytest.approx((len(due) - 1) / 1000 + stats.skipped, abs=1e-6)


class Away(ls.OfflineClock):
    """A machine that is suspended for a minute, once."""

    def __init__(self, at=3.0, seconds=60.0):
        super().__init__()
        self._at, self._seconds = at, seconds

    def wait_until(self, due, woken):
        super().wait_until(due, woken)
        if self.now() > self._at:
            away, self._seconds = self._seconds, 0.0
            super().wait_until(self.now() + away, woken)


PACES = {
    "steps": pace.steps(20),
    "speed": pace.speed(2.0),
    "human": pace.human(3),
    "quarter": pace.beats(1 / 4),
    "dotted": pace.beats(3 / 4),
    "three": pace.beats(3),
    "stroke": pace.beats(stroke=2),
    "drawing": pace.beats(drawing=8),
}


@pytest.mark.parametrize("lookahead", [0.0, 2.0])
@pytest.mark.parametrize("name", PACES)
def test_a_minute_without_the_machine_is_left_out_and_nothing_is_made_up_for(model, name, lookahead):
    out, asked = Full(160), PACES[name]
    player = ls.play(ls.sketch(model, seed=3), out, pace=asked, lookahead=lookahead, clock=Away())
    assert out.full.wait(20)
    player.stop()
    played = actions(out)[:160]
    plain = ls.sketch(model, seed=3).take(160)
    assert [(a.drawing, a.step, a.x, a.y) for a in played] == [(a.drawing, a.step, a.x, a.y) for a in plain]
    due = [action.at for action in played]
    gaps = [b - a for a, b in itertools.pairwise(due)]
    away = max(range(len(gaps)), key=gaps.__getitem__)
    assert 59 < gaps[away] < 66
    others = gaps[:away] + gaps[away + 1 :]
    assert min(gaps) > 0
    assert max(others) < 8
    rush = sum(at < due[away + 1] + 1 for at in due[away + 1 :])
    busiest = max(sum(begin <= at < begin + 1 for at in due) for begin in due[: away + 1])
    assert rush <= busiest * 2 + 2
    assert 58 < player.stats().skipped < 62
    assert player.stats().late_worst > 58
    beat = [2 * at for at in due]  # 120 a minute, from 0 on
    if asked in (PACES["quarter"], PACES["dotted"], PACES["three"]):
        grid = asked.length
        assert beat == pytest.approx([grid * round(b / grid) for b in beat], abs=1e-6)
    if asked.part != "step":
        ends = [
            b for b, a in zip(beat, played, strict=True) if a.last or (asked.part == "stroke" and a.pen != ls.Pen.DOWN)
        ]
        grid = asked.length
        assert len(ends) > 2
        assert ends == pytest.approx([grid * round(b / grid) for b in ends], abs=1e-6)


def test_a_machine_that_sets_the_pace_keeps_to_the_beat_and_is_waited_for(model):
    """A plotter is always late; on the beat it takes the last one that has passed, and never waits for ever."""
    clock = ls.OfflineClock()

    class Plotter(Full):
        paces = True

        def send(self, event):
            super().send(event)
            clock.wait_until(clock.now() + 0.19, threading.Event())

    out = Plotter(40)
    player = ls.play(ls.sketch(model, seed=3), out, pace=pace.beats(1 / 8), clock=clock)
    assert out.full.wait(20)
    player.stop()
    beat = [2 * action.at for action in actions(out)]
    assert beat == pytest.approx([round(8 * b) / 8 for b in beat], abs=1e-6)
    assert all(b > a for a, b in itertools.pairwise(beat))
    assert player.stats().skipped == 0


@pytest.mark.parametrize("before", [pace.steps(0.8), pace.beats(1 / 4)])
@pytest.mark.parametrize("after", [pace.steps(100), pace.speed(50), pace.human(20), pace.beats(1 / 16)])
def test_another_pace_in_the_middle_of_a_long_wait_makes_no_rush(model, before, after):
    clock = ls.OfflineClock()
    changed = []

    class Changes(Full):
        def tick(self, now):
            if now > 3.1 and not changed:
                changed.append(now)
                player.pace = after

    out, ready = Changes(60), threading.Event()
    way = clock.wait_until
    clock.wait_until = lambda due, woken: ready.wait(10) and way(due, woken)
    player = ls.play(ls.sketch(model, seed=3), out, pace=before, clock=clock)
    ready.set()
    assert out.full.wait(20)
    player.stop()
    due = [action.at for action in actions(out)]
    later = [at for at in due if at > changed[0] - 0.02]
    assert later[0] >= changed[0] - 0.021  # ticks come every 20 ms
    assert player.stats().skipped == 0
    assert player.stats().late_worst < 0.03
    if isinstance(after, pace.Steps):
        assert [b - a for a, b in itertools.pairwise(later)] == pytest.approx([0.01] * (len(later) - 1))
    if isinstance(after, pace.Beats):
        assert [32 * at for at in later] == pytest.approx([round(32 * at) for at in later], abs=1e-6)


def test_a_swap_on_a_grid_doubles_no_place_of_it_and_leaves_none_out(model):
    clock, out = ls.OfflineClock(), Full(400)
    for seed in range(6):
        ls.play(ls.sketch(model, seed=seed), out, beat=1 / 4, name="cat", clock=clock, quant="step")
        count = len(out.events)
        wait_for(lambda count=count: len(out.events) > count + 30)
    ls.hush()
    beat = [2 * action.at for action in actions(out)]
    assert cues(out).count("swap") >= 4
    assert beat == pytest.approx([beat[0] + k / 4 for k in range(len(beat))], abs=1e-6)


def test_rates_that_change_ten_thousand_times_a_second(model):
    out = Full(10**9)
    player = ls.play(ls.sketch(model, seed=3), out, rate=500, lookahead=0.05)
    began, count = time.monotonic(), 0
    while time.monotonic() < began + 1.0:
        player.rate = 400 + count % 200
        count += 1
        if not count % 10:
            time.sleep(0.0005)
    took = time.monotonic() - began
    steps = player.stats().steps
    player.stop()
    assert player.error is None
    assert count > 1000
    assert steps <= 620 * took + 20
    played = actions(out)
    plain = ls.sketch(model, seed=3).take(len(played))
    assert [(a.drawing, a.step, a.x) for a in played] == [(a.drawing, a.step, a.x) for a in plain]
    due = [action.at for action in played]
    assert min(b - a for a, b in itertools.pairwise(due)) >= 0


def test_a_pace_of_ones_own_that_fails_is_said_once_and_the_steps_come_on(model, caplog):
    class Own:
        part, looks = "step", True

        def __init__(self):
            self.answers = itertools.cycle([0.01, math.nan, -1, "soon", math.inf, None])

        def seconds(self, step):
            return next(self.answers)

    out = Full(50)
    player = ls.play(ls.sketch(model, seed=3), out, pace=Own(), clock=ls.OfflineClock())
    assert out.full.wait(10)
    player.stop()
    assert player.error is None
    due = [action.at for action in actions(out)]
    assert all(0 <= b - a < 1 for a, b in itertools.pairwise(due))
    assert len([r for r in caplog.records if "pace" in r.getMessage()]) == 1
    for bad in (pace.Steps, object(), None, 3):
        with pytest.raises(ls.ControlError, match="one of livesketch"):
            player.pace = bad


# Functions of the performer's


def test_functions_that_fail_block_or_give_nonsense_harm_nothing(model, caplog):
    stream, out, turns = ls.sketch(model, seed=3), Full(400), []

    def temperature(beat):
        turns.append(beat)
        return [0.5, math.nan, "hot", None, [1], -3, 1e999][len(turns) % 7]

    def label(beat):
        if len(turns) > 5:
            raise SystemExit("out")
        return "cat"

    def rate(beat):
        return 5000.0 if beat < 0.05 else math.nan

    ways = itertools.cycle([stream, "pig", 3, ValueError])

    def then(stream):
        way = next(ways)
        if way is ValueError:
            raise ValueError("oh")
        return way

    stream.temperature = lambda beat: temperature(beat) if turns or beat > 0 else 0.5
    stream.label = label
    player = ls.play(
        stream, out, rate=lambda beat: rate(beat) if beat > 0 else 5000.0, then=then, clock=ls.OfflineClock()
    )
    assert out.full.wait(20)
    player.stop()
    assert player.error is None
    assert stream.temperature == 0.5
    assert stream.label == "cat"
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "temperature" in line]) == 1
    assert len([line for line in said if "label" in line]) == 1
    assert len([line for line in said if ": rate" in line]) == 1
    assert len([line for line in said if ": then" in line]) == 1


def test_a_function_that_blocks_for_a_second_costs_that_second_and_the_player_goes_on(model):
    stream, out, blocked = ls.sketch(model, seed=3), Full(100), []

    def slow(beat):
        if len(actions(out)) > 30 and not blocked:
            blocked.append(beat)
            time.sleep(1.2)
        return 0.5

    stream.temperature = slow
    player = ls.play(stream, out, rate=200, lookahead=0.05)
    assert out.full.wait(30)
    player.stop()
    assert player.error is None
    assert blocked
    assert player.stats().late_worst > 0.9
    played = actions(out)
    assert [b.step == a.step + 1 or b.step == 0 for a, b in itertools.pairwise(played)] == [True] * (len(played) - 1)


def test_a_rate_that_was_set_while_a_slow_function_was_asked_stays(model):
    asked, go = threading.Event(), threading.Event()

    def slow(beat):
        if threading.current_thread() is not threading.main_thread():
            asked.set()
            go.wait(10)
        return 900.0

    player = ls.play(ls.sketch(model, seed=3), ls.Recorder(), rate=slow)
    assert asked.wait(10)
    player.rate = 300
    steps = player.stats().steps
    go.set()
    wait_for(lambda: player.stats().steps > steps + 5)
    assert player.rate == 300


class Breaks:
    """A stream that fails at its n-th step, and can be looked ahead in."""

    def __init__(self, stream, n):
        self._stream, self._n, self.made = stream, n, 0

    def __getattr__(self, name):
        return getattr(self._stream, name)

    name = property(lambda self: self._stream.name)
    seed = property(lambda self: self._stream.seed)
    temperature = property(lambda self: self._stream.temperature)
    convention = property(lambda self: self._stream.convention)
    stage_units = property(lambda self: self._stream.stage_units)
    lock = property(lambda self: self._stream.lock)

    def rewind(self, n=1):
        self._stream.rewind(n)
        self.made -= n

    def ahead(self, taken_back):
        return self._stream.ahead(taken_back)

    def unsend(self, fed):
        self._stream.unsend(fed)

    def events(self):
        if self.made >= self._n:
            raise ValueError("ink is out")
        self.made += 1
        return self._stream.events()


@pytest.mark.parametrize("lookahead", [0.0, 0.1, 10.0])
def test_what_was_made_before_a_stream_fails_is_still_played(model, lookahead):
    out = Strict()
    player = ls.play(Breaks(ls.sketch(model, seed=3), 33), out, rate=60, lookahead=lookahead, clock=ls.OfflineClock())
    assert player.wait(10)
    assert str(player.error) == "ink is out"
    played = actions(out)
    assert [a.x for a in played] == [a.x for a in ls.sketch(model, seed=3).take(33)]
    assert [a.at for a in played] == pytest.approx([k / 60 for k in range(33)])
    assert (out.closes, out.wrong, cues(out)[-1]) == (1, [], "hush")
    clean(out)
    assert len([line for line in ls.log() if "ink is out" in line]) >= 1


def test_a_stream_that_ends_ahead_of_time_and_is_changed_then_loses_nothing(model):
    class Ends(Breaks):
        def events(self):
            if self.made >= self._n:
                raise StopIteration
            return super().events()

    stream = Ends(ls.sketch(model, seed=3), 20)
    way = Course(stream, How(pace.steps(10), "next", 10.0, None), Tempo(), 0.0)
    events = []
    for k in range(30):
        due = way.due()
        if due is None:
            break
        while way.prepare():
            pass
        if k == 8:
            stream._stream.temperature = 0.3
            due = way.due()
        events += way.take(due)
    assert len(events) == 20


# Stop, pause, mute, solo, swap, in any order


def test_stopped_before_it_starts_or_twice_or_while_it_starts(model):
    out = Strict()
    player = ls.play(ls.sketch(model, seed=3), out, rate=100)
    player.stop()
    player.stop()
    player.ask_to_stop()
    assert (out.closes, out.wrong) == (1, [])
    how = How(pace.steps(60), "next", 0.1, None)
    out = Strict()
    unborn = ls.Player(ls.sketch(model), [out], how, "x", ls.OfflineClock(), Tempo())
    unborn.stop()
    assert not unborn.playing
    unborn.start()
    assert unborn.wait(5)
    assert (out.closes, out.wrong, actions(out)) == (1, [], [])


def test_hush_does_not_wait_for_an_output_that_another_thread_is_opening(model):
    opening, go = threading.Event(), threading.Event()

    class Slow(ls.Recorder):
        def open(self, name, voices, stage):
            opening.set()
            go.wait(20)
            super().open(name, voices, stage)

    out = Strict()
    ls.play(ls.sketch(model, seed=1), out, rate=100, name="a")
    starter = threading.Thread(target=lambda: ls.play(ls.sketch(model, seed=2), Slow(), name="b"))
    starter.start()
    assert opening.wait(10)
    hushed = threading.Thread(target=ls.hush)
    hushed.start()
    hushed.join(10)
    alive = hushed.is_alive()
    go.set()
    starter.join(10)
    hushed.join(10)
    assert not alive
    assert (out.closes, out.wrong) == (1, [])


def test_stopped_while_it_is_paused_it_ends_cleanly(model):
    out = Strict()
    player = ls.play(ls.sketch(model, seed=3), out, rate=500)
    wait_for(lambda: len(actions(out)) > 5)
    player.pause()
    wait_for(lambda: out.lifts)
    player.stop()
    assert (out.closes, out.wrong, cues(out)[-1]) == (1, [], "hush")
    assert not threads()
    clean(out)


@pytest.mark.parametrize("quant", ["now", "stroke", "beat"])
def test_a_swap_while_it_is_paused_plays_at_once_and_makes_up_for_nothing(model, quant):
    out = Strict()
    player = ls.play(ls.sketch(model, seed=3), out, rate=500, name="cat")
    wait_for(lambda: len(actions(out)) > 5)
    player.pause()
    wait_for(lambda: out.lifts)
    time.sleep(0.5)  # less than what is skipped: it would be made up for
    paused = time.monotonic()
    again = ls.play(ls.sketch(model, seed=4), name="cat", rate=200, quant=quant)
    wait_for(lambda: again.stats().steps > 3)
    assert not again.paused
    first = next(a for a in actions(out) if a.at > paused - 0.1)
    assert first.at >= paused - 0.02
    later = [a.at for a in actions(out) if a.at >= first.at]
    assert [b - a for a, b in itertools.pairwise(later)] == pytest.approx([1 / 200] * (len(later) - 1))
    assert again.stats().skipped == 0


def test_muted_and_soloed_are_names_so_a_swap_keeps_them(model):
    outs = {name: Strict() for name in "abc"}
    held = {name: ls.play(ls.sketch(model, seed=1), out, rate=500, name=name) for name, out in outs.items()}
    held["a"].solo()
    held["c"].mute()
    wait_for(lambda: outs["b"].lifts and outs["c"].lifts)
    counts = {name: len(out.events) for name, out in outs.items()}
    again = {name: ls.play(ls.sketch(model, seed=2), name=name, rate=500, quant="now") for name in "abc"}
    wait_for(lambda: all(player.stats().steps > 10 for player in again.values()))
    assert {name: player.muted for name, player in again.items()} == {"a": False, "b": True, "c": True}
    assert len(outs["a"].events) > counts["a"] + 10
    for name in "bc":
        assert not [e for e in outs[name].events[counts[name] :] if isinstance(e, ls.PenAction)]
    again["a"].unsolo()
    assert {name: player.muted for name, player in again.items()} == {"a": False, "b": False, "c": True}
    again["c"].unmute()
    count = len(outs["c"].events)
    wait_for(lambda: len(outs["c"].events) > count + 10)


def test_mute_and_pause_act_on_what_is_heard_while_a_swap_waits_for_its_bar(model):
    out = Strict()
    first = ls.play(ls.sketch(model, seed=1), out, rate=500, name="cat")
    wait_for(lambda: len(actions(out)) > 5)
    ls.clock.bpm = 20
    try:
        second = ls.play(ls.sketch(model, seed=2), name="cat", rate=500, quant="bar")
        second.mute()
        wait_for(lambda: out.lifts)
        assert first.muted
        second.unmute()
        second.pause()
        wait_for(lambda: first.paused)
        steps = first.stats().steps
        second.resume()
        wait_for(lambda: first.stats().steps > steps + 5)
    finally:
        ls.clock.bpm = 120
    ls.hush()
    assert (out.closes, out.wrong) == (1, [])


def test_the_others_are_heard_again_when_the_soloed_one_has_stopped_by_itself(model):
    loud, quiet = Strict(), Strict()
    other = ls.play(ls.sketch(model, seed=1), quiet, rate=500, name="other")
    one = ls.play(ls.sketch(model, seed=2), loud, rate=200, name="one", then="stop").solo()
    wait_for(lambda: other.muted or not one.playing)
    assert one.wait(20)
    wait_for(lambda: not other.muted)
    count = len(quiet.events)
    wait_for(lambda: len(quiet.events) > count + 5)


def test_hushed_before_the_bar_that_a_swap_waits_for(model):
    kept, gone, new = Strict(), Strict(), Strict()
    first = ls.play(ls.sketch(model, seed=1), [kept, gone], rate=500, name="cat")
    wait_for(lambda: actions(kept))
    ls.clock.bpm = 20
    try:
        second = ls.play(ls.sketch(model, seed=2), [kept, new], name="cat", rate=500, quant="bar")
        ls.hush()
    finally:
        ls.clock.bpm = 120
    assert not first.playing
    assert not second.playing
    assert not threads()
    assert [out.closes for out in (kept, gone, new)] == [1, 1, 1]
    assert [out.wrong for out in (kept, gone, new)] == [[], [], []]
    assert cues(kept)[-1] == "hush"
    clean(kept)


@pytest.mark.parametrize("quant", ["bar", "now", "stroke", "drawing"])
def test_swaps_in_a_row_with_outputs_that_come_and_go(model, quant):
    """An output is open wherever something is sent to it, in one thread, and closed once by the last to have it."""
    outs = {name: Strict() for name in "wxyz"}
    chosen = ["xy", "xz", "yw", "wz", "x", "xyzw"]
    first = ls.play(ls.sketch(model, seed=1), [outs[n] for n in chosen[0]], rate=500, name="cat")
    wait_for(lambda: first.stats().steps > 3)
    ls.clock.bpm = 20
    try:
        for seed, names in enumerate(chosen[1:]):
            last = ls.play(ls.sketch(model, seed=seed), [outs[n] for n in names], rate=500, name="cat", quant=quant)
        ls.clock.bpm = 999
        wait_for(lambda: last.stats().steps > 10)
    finally:
        ls.clock.bpm = 120
    allowed = ["opened after it was closed"] * (quant != "bar")  # a swap may have come between
    assert not [wrong for out in outs.values() for wrong in out.wrong if wrong not in allowed]
    assert all(out.is_open for out in outs.values())
    ls.hush()
    assert not [wrong for out in outs.values() for wrong in out.wrong if wrong not in allowed]
    assert not any(out.is_open for out in outs.values())
    assert quant != "bar" or [out.closes for out in outs.values()] == [1, 1, 1, 1]


def test_a_swap_that_waits_is_overtaken_by_one_that_does_not(model):
    out = Strict()
    ls.play(ls.sketch(model, seed=1), out, rate=500, name="cat")
    wait_for(lambda: actions(out))
    ls.clock.bpm = 20
    try:
        ls.play(ls.sketch(model, seed=2), name="cat", rate=500, quant="bar")
        began = time.monotonic()
        last = ls.play(ls.sketch(model, seed=3), name="cat", rate=500, quant="now")
        wait_for(lambda: last.stats().steps)
        assert time.monotonic() - began < 5  # a bar takes 12 s
    finally:
        ls.clock.bpm = 120


def test_swaps_that_wait_long_for_each_other_are_not_taken_for_stuck(model, monkeypatch):
    monkeypatch.setattr(playing, "STOP_LIMIT", 0.2)
    out = Strict()
    first = ls.play(ls.sketch(model, seed=1), out, rate=500, name="cat")
    wait_for(lambda: actions(out))
    ls.clock.bpm = 20
    try:
        for seed in (2, 3):
            ls.play(ls.sketch(model, seed=seed), name="cat", rate=500, quant="bar")
        beat = ls.clock.beat
        if beat % 4 > 3:
            pytest.skip("the bar is about to come")
        time.sleep(1.0)
        assert first.playing or ls.clock.beat // 4 > beat // 4
    finally:
        ls.clock.bpm = 120


@pytest.mark.parametrize("quant", ["drawing", "stroke"])
def test_a_swap_at_the_end_of_a_drawing_does_not_come_at_that_of_a_stroke(model, quant):
    """Also where the step before it was asked for ended a stroke."""
    swaps = []

    class Asks(Strict):
        def send(self, event):
            super().send(event)
            if isinstance(event, ls.PenAction) and event.pen is ls.Pen.UP and not event.last and not swaps:
                swaps.append(ls.play(ls.sketch(model, seed=9), name="cat", rate=500, quant=quant))

    out = Asks()
    ls.play(ls.sketch(model, seed=3), out, rate=500, name="cat")
    wait_for(lambda: "swap" in cues(out))
    at = next(i for i, e in enumerate(out.events) if isinstance(e, ls.Cue) and e.kind == "swap")
    before = [e for e in out.events[:at] if isinstance(e, ls.PenAction)]
    assert before[-1].last if quant == "drawing" else before[-1].pen is not ls.Pen.DOWN


def test_the_same_stream_played_again_goes_on_and_changes_act_on_the_next_step(model):
    """What a performer does who runs a line again."""
    stream, plain, out = ls.sketch(model, seed=3), ls.sketch(model, seed=3), Strict()
    for _ in range(4):
        player = ls.play(stream, out, rate=150, name="cat", lookahead=0.5, quant="now")
        wait_for(lambda player=player: player.stats().steps > 20)
    with stream.lock:
        stream.temperature = 0.1
        count = len(actions(out))  # one more may be on its way
    wait_for(lambda: len(actions(out)) > count + 30)
    player.stop()
    played = [(a.drawing, a.step, a.x) for a in actions(out)]
    wanted = [(a.drawing, a.step, a.x) for a in plain.take(count)]
    assert played[:count] == wanted
    turns = []
    for more in (0, 1):
        other = ls.sketch(model, seed=3)
        start = other.take(count + more)
        other.temperature = 0.1
        turns.append([(a.drawing, a.step, a.x) for a in start + other.take(20)])
    assert played[: count + 20] in [turn[: count + 20] for turn in turns]
    assert out.wrong == []


def test_two_players_of_one_stream_share_its_steps_and_none_is_lost(model):
    stream, plain = ls.sketch(model, seed=3), ls.sketch(model, seed=3)
    outs = Strict(), Strict()
    players = [ls.play(stream, out, rate=400, name=str(k), lookahead=0.2) for k, out in enumerate(outs)]
    wait_for(lambda: min(player.stats().steps for player in players) > 60)
    ls.hush()
    both = sorted((a.drawing, a.step, a.x) for out in outs for a in actions(out))
    assert both == [(a.drawing, a.step, a.x) for a in plain.take(len(both))]
    assert next(stream) == next(plain)


def test_outputs_that_are_set_and_set_again_before_they_are_taken_up(model):
    outs = {name: Full(10**9) for name in "abc"}
    player = ls.play(ls.sketch(model, seed=3), outs["a"], rate=0.2)
    wait_for(lambda: player.stats().steps)
    for _ in range(50):
        player.to = [outs["a"], outs["b"]]
        player.to = outs["a"]
        player.to = [outs["a"], outs["c"]]
        player.to = [outs["c"], outs["a"]]
        player.to = outs["a"]
        outs |= {"b": Full(10**9), "c": Full(10**9)}
        assert player.to == (outs["a"],)
    player.stop()
    assert outs["a"].closes == 1
    assert outs["a"].wrong == []
    with pytest.raises(ls.ControlError, match="stopped"):
        player.to = outs["b"]
    assert not outs["b"].opens


def test_outputs_that_come_are_closed_whenever_it_stops(model):
    made = []
    for k in range(30):
        player = ls.play(ls.sketch(model, seed=3), Strict(), rate=2000)
        first = player.to[0]
        new = Strict()
        stopper = threading.Thread(target=player.stop)
        stopper.start()
        with contextlib.suppress(ls.ControlError):
            player.to = [first, new] if k % 2 else new
        stopper.join(10)
        assert player.wait(10)
        made += [first, new]
    assert not [out for out in made if out.is_open]
    assert not [out.wrong for out in made if out.wrong]


def test_an_output_of_a_player_that_still_waits_for_its_bar_is_in_use(model):
    mine = Strict()
    ls.play(ls.sketch(model, seed=1), mine, rate=500, name="cat")
    wait_for(lambda: actions(mine))
    ls.clock.bpm = 20
    try:
        ls.play(ls.sketch(model, seed=2), Strict(), name="cat", rate=500, quant="bar")
        with pytest.raises(ls.ControlError, match="in use"):
            ls.play(ls.sketch(model, seed=3), mine, name="dog")
    finally:
        ls.clock.bpm = 120


# Many, and the system


@pytest.mark.slow
def test_a_hundred_players_start_swap_and_hush(model):
    outs = [Strict() for _ in range(100)]
    for k, out in enumerate(outs):
        ls.play(ls.sketch(model, seed=k), out, rate=5, name=str(k))
    assert len(ls.players()) == len(threads()) == 100
    for k in range(100):
        ls.play(ls.sketch(model, seed=k + 1), name=str(k), rate=5, quant="now")
    wait_for(lambda: all("swap" in cues(out) for out in outs), 60)
    assert len(ls.players()) == 100
    began = time.monotonic()
    ls.hush()
    assert time.monotonic() - began < 30
    assert not threads()
    assert {out.closes for out in outs} == {1}
    assert not [out.wrong for out in outs if out.wrong]


def test_many_blocked_outputs_are_waited_for_once_not_each(model, monkeypatch):
    monkeypatch.setattr(playing, "STOP_LIMIT", 0.3)
    release = threading.Event()

    class Stuck(ls.Recorder):
        def send(self, event):
            release.wait(30)

    held = [ls.play(ls.sketch(model, seed=k), Stuck(), rate=500, name=str(k)) for k in range(20)]
    time.sleep(0.1)
    began = time.monotonic()
    ls.hush()
    took = time.monotonic() - began
    release.set()
    assert all(player.wait(10) for player in held)
    assert took < 3  # 0.3 s, not 20 times that


def test_a_child_that_was_forked_while_players_play_can_play_itself(model):
    out = Strict()
    player = ls.play(ls.sketch(model, seed=3), out, rate=2000, lookahead=0.1)
    wait_for(lambda: actions(out))
    for _ in range(5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
            child = os.fork()
        if not child:
            code = 1
            try:
                signal.alarm(20)
                own = ls.Recorder()
                assert not ls.players()
                assert ls.play(ls.sketch(model, seed=4), own, rate=5000, then="stop", beat=None).wait(10)
                assert ls.clock.beat > 0
                assert any(event.last for event in own.events if isinstance(event, ls.PenAction))
                ls.hush()
                code = 0
            finally:
                os._exit(code)
        limit = time.monotonic() + 30
        while not (done := os.waitpid(child, os.WNOHANG))[0]:
            assert time.monotonic() < limit, "the child hangs"
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(done[1]) == 0
    assert player.playing


EXITS = """
import sys, time, livesketch as ls
engine, how, model, trace, page = sys.argv[1:]
stream = ls.sketch(model, seed=3)
player = ls.play(stream, [ls.trace(trace), ls.svg(page)], rate=300, engine=engine, name="cat")
ls.play(ls.sketch(model, seed=4), ls.Recorder(), rate=300, name="here", lookahead=1.0)
while player.stats().steps < 30:
    time.sleep(0.01)
if how == "paused":
    player.pause()
if how == "swap":
    ls.clock.bpm = 20
    ls.play(ls.sketch(model, seed=5), name="cat", rate=300, engine=engine, quant="bar")
if how == "paused":
    sys.exit(7)
"""


@pytest.mark.parametrize(
    ("engine", "how"),
    [("thread", "paused"), ("thread", "swap"), ("process", "swap")],
)
def test_where_the_interpreter_exits_files_are_complete_and_nothing_is_said(model, tmp_path, engine, how):
    trace, page = tmp_path / "a.jsonl", tmp_path / "a.svg"
    done = subprocess.run(
        [sys.executable, "-c", EXITS, engine, how, model, str(trace), str(page)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (7 if how == "paused" else 0, "", "")
    rows = [json.loads(line) for line in trace.read_text().splitlines()]
    assert rows[-1]["kind"] == "hush"
    assert sum(row.get("kind") == "stroke/begin" for row in rows) == sum(
        row.get("kind") == "stroke/end" for row in rows
    )
    assert page.read_text().rstrip().endswith("</svg>")


# By hand, while it is looked ahead


STEPS = st.integers(1, 12)
HANDS = st.one_of(
    st.tuples(st.just("play"), STEPS),
    st.tuples(st.just("play"), STEPS),
    st.tuples(st.just("look"), st.none()),
    st.tuples(st.just("look"), st.none()),
    st.tuples(st.just("feed"), st.integers(1, 4)),
    st.tuples(st.just("rewind"), STEPS),
    st.tuples(st.just("next"), st.integers(1, 3)),
    st.tuples(st.just("temperature"), st.sampled_from([0.1, 0.5, 1.0])),
    st.tuples(st.just("label"), st.sampled_from(["cat", "pig"])),
    st.tuples(st.just("z"), st.sampled_from([None, 0.3, -0.7])),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("snapshot"), st.none()),
    st.tuples(st.just("restore"), st.none()),
    st.tuples(st.just("fork"), st.none()),
)


def by_hand(stream, kept, what, value):  # noqa: C901 - a table of what there is to type
    """What a performer types; what it gives, or the error's kind."""
    try:
        if what == "feed":
            return stream.feed([[[0, 0], *([5 * k, 3 * k * value] for k in range(1, value + 1))]])
        if what == "rewind":
            return stream.rewind(value) and None
        if what == "next":
            return [next(stream) for _ in range(value)]
        if what == "z":
            stream.z = None if value is None else np.full(len(stream.z), value)
        elif what in ("temperature", "label"):
            setattr(stream, what, value)
        elif what == "restart":
            stream.restart()
        elif what == "snapshot":
            kept.append(stream.snapshot())
        elif what == "restore" and kept:
            stream.restore(kept[-1])
        elif what == "fork":
            return [stream.fork().events() for _ in range(2)]
    except LivesketchError as err:
        return type(err)
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hands=st.lists(HANDS, max_size=25), lookahead=st.sampled_from([0.0, 0.3, 3.0]))
@example(hands=[("play", 3), ("feed", 3), ("look", None), ("rewind", 1)], lookahead=0.3)
@example(
    hands=[("play", 3), ("feed", 3), ("look", None), ("snapshot", None), ("play", 3), ("restore", None)], lookahead=3.0
)
@example(hands=[("play", 3), ("feed", 3), ("look", None), ("restart", None)], lookahead=0.3)
def test_whatever_is_done_by_hand_no_step_is_lost_doubled_or_out_of_order(model, hands, lookahead):
    one, plain = ls.sketch(model, seed=3), ls.sketch(model, seed=3)
    way = Course(one, How(pace.steps(10), "next", lookahead, None), Tempo(), 0.0)
    kept = [], []
    try:
        for what, value in [*hands, ("play", 5)]:
            if what == "look":  # as a player does while it waits
                way.due()
                while way.prepare():
                    pass
                continue
            if what != "play":
                assert by_hand(one, kept[0], what, value) == by_hand(plain, kept[1], what, value)
                continue
            for _ in range(value):
                due = way.due()
                while way.prepare():
                    pass
                events = way.take(due)
                assert [*events] == plain.events()
    finally:
        way.close()
    assert one.take(5) == plain.take(5)


def test_texts_too_are_taken_back_and_fed_by_hand():
    one, plain = ls.text("wuyan", seed=3), ls.text("wuyan", seed=3)
    way = Course(one, How(pace.steps(10), "next", 2.0, None), Tempo(), 0.0)
    acts = {
        4: lambda s: s.feed("山"), 5: lambda s: s.rewind(1), 7: lambda s: s.feed("水月"), 8: lambda s: s.restart(),
        11: lambda s: s.feed("山"), 12: next, 20: lambda s: s.finish(), 25: lambda s: s.prompt("花"),
    }  # fmt: skip
    for k in range(40):
        for stream in (one, plain):
            acts.get(k, lambda s: None)(stream)
        due = way.due()
        while way.prepare():
            pass
        assert [*way.take(due)] == plain.events()


def test_everything_at_once_from_outside_while_it_plays(model):
    """Threads, not turns: nothing fails, and what comes follows what was, but where somebody jumped."""
    stream, out = ls.sketch(model, seed=3), Strict()
    player = ls.play(stream, out, rate=3000, lookahead=0.02)
    rng = np.random.default_rng(1)
    jumps, limit = 0, time.monotonic() + 1.5
    kept = []
    while time.monotonic() < limit:
        what = rng.choice(["feed", "rewind", "next", "temperature", "label", "restart", "snapshot", "restore"])
        value = {"temperature": 0.5, "label": "pig"}.get(what, int(rng.integers(1, 4)))
        by_hand(stream, kept, what, value)
        jumps += value if what == "next" else what in ("rewind", "restart", "restore")
        time.sleep(0.001)
    player.stop()
    assert player.error is None
    follows = [
        (b.drawing, b.step) in {(a.drawing, a.step + 1), (a.drawing + 1, 0)}
        for a, b in itertools.pairwise(actions(out))
    ]
    assert follows.count(False) <= jumps + 1
    assert len(follows) > 200
    assert out.wrong == []


# Hot swaps


def swapped(model, count, out, clock):
    """So many swaps at 120 BPM, in all ways, with controls changing; the players that played."""
    quants = itertools.cycle(["now", "step", "stroke", "beat", "drawing"])
    for seed in range(count):
        stream = ls.sketch(model, seed=seed)
        stream.temperature = ls.lfo(0.2, 0.8, beats=2)
        player = ls.play(
            stream, out, beat=1 / 8, name="cat", clock=clock, quant=next(quants), lookahead=0.2 * (seed % 2)
        )
        stream.label = ("cat", "pig")[seed % 2]
        wait_for(lambda player=player: player.stats().steps > 0, 30)  # it has taken over
        stream.temperature = 0.4
        if seed % 5 == 0:
            with contextlib.suppress(ls.StrokesError):  # a drawing that is nearly full has no room for them
                stream.feed([[[0, 0], [4, 4]]])
    return player


class Watch:
    """Looks at events as they come, and keeps none: gaps, open strokes, lines that jump."""

    paces = may_drop = False
    errors, last_error = 0, ""

    def __init__(self):
        self.steps = self.swaps = self.closes = self.strokes = 0
        self.wrong, self.worst = [], 0.0
        self._before = self._at = None

    def open(self, name, voices, stage):
        pass

    def send(self, event):
        if isinstance(event, ls.Cue):
            self._cue(event.kind)
        else:
            self._pen(event)

    def _cue(self, kind):
        if kind == "swap":
            self.swaps += 1
            self._before = None
            self._note(self.strokes, "a stroke is open at the swap")
        self.strokes += {"stroke/begin": 1, "stroke/end": -1}.get(kind, 0)
        self._note(self.strokes not in (0, 1), kind)

    def _pen(self, event):
        self.steps += 1
        if event.source == "model":
            if self._at is not None:
                self.worst = max(self.worst, event.at - self._at)
                self._note(event.at <= self._at, "two steps at one time")
            self._at = event.at
        before, self._before = self._before, event
        follows = event.step == 0
        if before is not None:
            follows = (event.drawing, event.step) in {(before.drawing, before.step + 1), (before.drawing + 1, 0)}
        self._note(not follows, "a jump")

    def _note(self, wrong, what):
        if wrong and len(self.wrong) < 100:
            self.wrong.append(what)

    def tick(self, now):
        pass

    def lift(self):
        pass

    def close(self):
        self.closes += 1
        self._before = self._at = None  # what comes then is another performance


def handles():
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [12, pytest.param(1000, marks=pytest.mark.slow)])
def test_hot_swaps_at_120_bpm_leave_no_gap_no_open_stroke_no_jump_and_no_memory(model, count):
    out, clock = Watch(), ls.OfflineClock()
    swapped(model, 6, out, clock).stop()  # a stream that plays remembers more from step to step, up to its bound
    gc.collect()
    tracemalloc.start()
    try:
        before, open_files = tracemalloc.get_traced_memory()[0], handles()
        began = out.swaps
        swapped(model, count, out, clock).stop()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert out.swaps - began >= 0.95 * count - 3  # one that had no step yet says nothing
    assert out.worst <= 1 / 16 + 1e-6  # an eighth of a beat
    assert out.wrong == []
    assert (out.strokes, out.closes) == (0, 2)
    assert grown < 4_000_000  # the last stream's own past among it
    alive = [type(thing) for thing in gc.get_objects() if issubclass(type(thing), ls.Player | ls.SketchStream)]
    assert len(alive) <= 4
    assert handles() <= open_files
    assert not threads()


def hour(model, seconds, clock, out, rng):
    """A performance on a clock: swaps, controls, feeds; ``seconds`` of that clock."""
    end, seed = clock.now() + seconds, 0
    while clock.now() < end:
        seed += 1
        stream = ls.sketch(model, seed=seed)
        player = ls.play(stream, out, rate=60, name="cat", clock=clock, quant="stroke", lookahead=0.1)
        for _ in range(int(rng.integers(1, 12))):
            what = rng.choice(["temperature", "label", "z", "feed", "rewind", "rate", "pause", "mute"])
            value = {"temperature": 0.5, "label": "pig", "z": 0.4}.get(what, 2)
            if what == "rate":
                player.rate = float(rng.integers(20, 200))
            elif what == "pause":
                player.pause().resume()
            elif what == "mute":
                player.mute().unmute()
            else:
                by_hand(stream, [], what, value)
            time.sleep(0.0005)
        assert player.error is None


def resident():
    for line in Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else ():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_hour_on_an_offline_clock_and_a_minute_of_real_time_are_flat(model):
    rng, out = np.random.default_rng(3), Watch()
    clock = ls.OfflineClock()
    hour(model, 300, clock, out, rng)
    gc.collect()
    figures = resident(), handles(), len(threading.enumerate())
    hour(model, 3600, clock, out, rng)
    ls.hush()
    end = time.monotonic() + 60
    live = Watch()
    while time.monotonic() < end:
        stream = ls.sketch(model, seed=int(rng.integers(1000)))
        player = ls.play(stream, live, rate=200, name="live", quant="stroke")
        for _ in range(5):
            stream.temperature = float(rng.uniform(0.1, 1))
            if rng.random() < 0.3:
                with contextlib.suppress(ls.StrokesError):  # likewise
                    stream.feed([[[0, 0], [3, 3]]])
            time.sleep(0.05)
    assert player.error is None
    ls.hush()
    gc.collect()
    assert resident() - figures[0] < 24e6
    assert handles() <= figures[1]
    assert len(threading.enumerate()) <= figures[2]
    assert out.strokes == live.strokes == 0
    assert out.steps > 60_000


# Health


def test_lateness_is_told_right(model):
    """Against a clock that is late as we say: every twentieth wait by 40 ms, all others by 2."""

    class Late(ls.OfflineClock):
        turns = 0

        def wait_until(self, due, woken):
            if due - self.now() > 0.015:
                super().wait_until(due, woken)
                return
            Late.turns += 1
            super().wait_until(due + (0.040 if Late.turns % 20 == 0 else 0.002), woken)

    out = Full(400)
    player = ls.play(ls.sketch(model, seed=3), out, rate=100, lookahead=0.0, clock=Late())
    assert out.full.wait(20)
    player.stop()
    stats = player.stats()
    assert stats.steps >= 400
    assert 0.002 <= stats.late_p50 <= 0.002 * 1.13 + 1e-9
    assert stats.late_worst == pytest.approx(0.040, abs=0.003)
    assert 0.035 < stats.late_p99 <= stats.late_worst
    assert stats.skipped == 0


def test_quantiles_against_sorted_numbers():
    rng, late = np.random.default_rng(1), Lateness()
    values = rng.lognormal(-6, 2, 5000)
    for value in values:
        late.add(float(value))
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        wanted = np.quantile(values, share, method="inverted_cdf")
        assert wanted * 0.999 <= late.quantile(share) <= max(wanted * 1.13, 1e-6)
    assert late.worst == late.quantile(1.0) == values.max()
    assert Lateness().quantile(0.99) == 0.0
    late.add(-1.0)
    late.add(1e9)
    assert late.worst == 1e9


def test_what_outputs_drop_and_fail_is_counted(model):
    class Drops(ls.Recorder):
        may_drop = True
        dropped = reconnects = 0

        def send(self, event):
            self.dropped += 1
            self.errors += 2
            self.reconnects += 3
            if self.dropped > 10:
                raise RuntimeError("enough")

    one, two = Drops(), Drops()
    player = ls.play(ls.sketch(model, seed=3), [one, two], rate=5000, then="stop")
    assert player.wait(10)
    stats = player.stats()
    assert stats.dropped == one.dropped + two.dropped > 20
    raised = max(0, one.dropped - 10) + max(0, two.dropped - 10)
    assert stats.output_errors == one.errors + two.errors + raised
    assert stats.reconnects == one.reconnects + two.reconnects
    assert str(player.fault()) == "enough"


def test_a_desk_says_each_fault_once(caplog):
    class Bad(ls.Recorder):
        def tick(self, now):
            raise RuntimeError("late")

    desk = Desk("cat", (Bad(),))
    for k in range(50):
        desk.tick(k)
    assert [trouble.count for trouble in desk.troubles.values()] == [50]
    assert len(caplog.records) == 1


def test_the_log_keeps_words_not_what_they_are_about(model):
    class HeavyError(Exception):
        pass

    alive = []

    class Bad(ls.Recorder):
        def send(self, event):
            err = HeavyError("broken\nin two")
            alive.append(weakref.ref(err))
            raise err

    player = ls.play(ls.sketch(model, seed=3), Bad(), rate=5000, then="stop")
    assert player.wait(10)
    assert any("broken in two" in line for line in ls.log())
    assert all("\n" not in line for line in ls.log(1000))
    del player
    ls.players()
    gc.collect()
    assert not [ref for ref in alive if ref() is not None]


# Asked from the command line


def test_status_says_what_plays_or_that_nobody_answers(model, capsys):
    from livesketch.cli import main

    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    silent = f"127.0.0.1:{free.getsockname()[1]}"
    try:
        assert main(["status", silent, "--seconds", "0.05"]) == 4
        assert "nobody answered" in capsys.readouterr().err
    finally:
        free.close()
    assert main(["status", "nowhere"]) == 4
    with ls.listen(0) as listener:
        target = f"127.0.0.1:{listener.port}"
        assert main(["status", target, "--seconds", "20"]) == 0
        assert "nothing plays" in capsys.readouterr().out
        player = ls.play(ls.sketch(model, seed=1), ls.Recorder(), rate=500, name="cat")
        ls.play(ls.sketch(model, seed=2), ls.Recorder(), rate=500, name="owl").pause()
        wait_for(lambda: player.stats().steps > 3)
        assert main(["status", target, "--seconds", "20"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:2] for line in lines] == [["cat", "playing"], ["owl", "paused"]]
        assert all(line.endswith(" steps") for line in lines)


# The other process


def test_a_handle_is_of_one_player_and_no_other_of_its_name(model, tmp_path):
    from livesketch.player.engine import engine

    streams = [ls.sketch(model, seed=k) for k in (1, 2)]
    try:
        first = ls.play(streams[0], ls.trace(tmp_path / "a.jsonl"), rate=400, name="cat", engine="process")
        wait_for(lambda: first.stats().steps > 5)
        first.mute()
        second = ls.play(streams[1], name="cat", rate=400, engine="process", quant="now")
        wait_for(lambda: second.stats().steps > 5)
        assert second.muted  # a name is
        second.unmute()
        first.stop()
        assert not first.playing
        assert second.playing
        streams[0].temperature = 0.9  # it is this process's again
        assert next(streams[0]).name == "cat"
        assert second.stream.temperature != 0.9
        with pytest.raises(ls.ControlError, match="another process"):
            ls.play(streams[1], ls.Recorder(), name="dog")
        os.kill(engine.pid, signal.SIGKILL)
        for _ in range(100):  # at no moment does a look at the players fail
            ls.players()
            ls.hush()
        assert not second.playing
    finally:
        engine.close()
