"""Recordings of several parts: swaps, names, voices, texts; played again whole, and each part made again."""

import json
import threading

import numpy as np
import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.cli import main
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player.engine import engine
from livesketch.player.remake import remake


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


class Sign(ls.Recorder):
    """Says when so many events have come."""

    def __init__(self):
        super().__init__()
        self.wanted, self.come = 10**9, threading.Event()

    def send(self, event):
        super().send(event)
        if len(self.events) >= self.wanted:
            self.come.set()

    def wait(self, more):
        self.come.clear()
        self.wanted = len(self.events) + more
        assert self.come.wait(20)


def swaps(model, path, rate=2000):
    """Three streams under one name, the last of them the first one, which goes on in the middle of a drawing."""
    sign, trace = Sign(), ls.trace(path)
    one, many = ls.sketch(model, seed=1), ls.voices(model, 3, seed=2)
    how = {"rate": rate, "name": "left", "quant": "step"}
    ls.play(one, [sign, trace], **how)
    sign.wait(31)
    one.temperature = ls.lfo(0.2, 0.9, beats=0.1)
    sign.wait(20)
    ls.play(many, [sign, trace], **how)
    sign.wait(60)
    many.label = ["pig", "cat", {"cat": 0.5, "pig": 0.5}]
    many.z = np.linspace(-1, 1, 3 * many.z.shape[1]).reshape(3, -1)
    sign.wait(60)
    many.z = None
    sign.wait(60)
    player = ls.play(one, [sign, trace], **how)
    sign.wait(20)
    while True:
        try:
            one.feed([[[0, 0], [9, 9], [20, 0]]])
            break
        except ls.StrokesError:  # the drawing has no room for them: in the next one, then
            sign.wait(3)
    one.z = [0.5] * len(one.z)
    sign.wait(60)
    player.stop()
    assert player.error is None
    return sign.events


def said(events):
    """What is to be the same when it is played again."""
    return [
        (e.kind, e.voice, e.drawing, e.step, e.x, e.y)
        if isinstance(e, ls.Cue)
        else (e.voice, e.drawing, e.step, e.x, e.y, e.dx, e.pen, e.source)
        for e in events
    ]


def play_out(stream, **how):
    recorder = ls.Recorder()
    player = ls.play(stream, recorder, **({"clock": ls.OfflineClock()} | how))
    assert player.wait(30)
    assert player.error is None
    return recorder.events


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def header(name="a", **more):
    return {"trace": 1, "name": name, "voices": 1, "stage_units": 1, "model": "cat", "seed": 1} | more


def pen(at, name="a", **more):
    place = {"name": name, "voice": 0, "drawing": 0, "step": 0, "x": 0.5, "y": 0.5, "dx": 0.0, "dy": 0.0}
    flags = {"ink": True, "pen": "down", "last": False, "ended": False, "source": "model"}
    return {"event": "pen", "at": at} | place | flags | more


def cue(at, kind):
    return {"event": "cue", "at": at, "name": "a", "voice": 0, "drawing": 0, "step": 0, "kind": kind, "x": 0, "y": 0}


# Bad input


def test_parts_and_names_that_are_not_there_are_told(tmp_path):
    path = write(tmp_path / "a.jsonl", header(), pen(0), header("b"), header("b"), pen(1, "b"))
    for wrong in ({"part": 0}, {"part": True}, {"part": 1.5}):
        with pytest.raises(ls.ControlError):
            ls.replay(path, **wrong)
    for wrong, why in (
        ({}, "one name"),
        ({"name": "c"}, "expected 'a', 'b'"),
        ({"part": 4}, "1 to 3"),
        ({"part": 1, "name": "b"}, "is of 'a'"),
        ({"part": 2}, "nothing was played in part 2"),
    ):
        with pytest.raises(ls.DataError, match=why):
            ls.replay(path, **wrong)
    with pytest.raises(ls.DataError, match="1 to 3"):
        remake(path, part=9)


@pytest.mark.parametrize(
    "line",
    [pen(1e999), pen(0, "other"), {"event": "cue", "at": 0, "name": "a", "kind": "hush", "voice": "x"}],
    ids=["at", "name", "voice"],
)
def test_lines_that_no_part_can_have_are_refused(tmp_path, line):
    path = tmp_path / "a.jsonl"
    write(path, header(), pen(0), line)
    path.write_text(path.read_text().replace("Infinity", "1e999"))
    with pytest.raises(ls.DataError, match="line 3"):
        ls.replays(path)


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ([header(model="no such model"), pen(0)], "no such model"),
        ([header(model="wuyan"), pen(0)], "writes"),
        ([header(), {"event": "control", "at": 0, "name": "a", "voice": 0, "drawing": 0, "step": 0,
          "control": "warp", "value": 1}, pen(0)], "warp"),
        ([header(), {"event": "control", "at": 0, "name": "a", "voice": 0, "drawing": 0, "step": 0,
          "control": "temperature", "value": "hot"}, pen(0)], "hot"),
        ([header(), pen(0, step=3)], "beginning"),
        ([header(voices=2), pen(0, voice=7)], "voice 7"),
        ([header()], "nothing was played"),
    ],
    ids=["model", "kind", "control", "value", "middle", "voice", "empty"],
)  # fmt: skip
def test_what_cannot_be_made_again_is_an_error_where_it_is_all_there_is(tmp_path, capsys, part, why):
    path = write(tmp_path / "a.jsonl", *part)
    (found,) = remake(path)
    assert found.events == 0
    assert why in found.unchecked
    assert main(["replay", str(path), "--check"]) not in {0, None}
    out = capsys.readouterr()
    assert "part 1: 'a'" in out.out
    assert "not checked" in out.out
    assert why in out.err


def test_one_page_for_several_names_is_refused(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", header(), pen(0), header("b"), pen(0, "b"))
    assert main(["replay", str(path), "--quiet", "-o", str(tmp_path / "a.svg")]) != 0
    assert "--name" in capsys.readouterr().err
    assert main(["replay", str(path)]) != 0
    assert "nowhere" in capsys.readouterr().err
    assert main(["replay", str(path), "--name", "b", "--quiet", "-o", str(tmp_path / "a.svg")]) == 0


# Played again


def test_swaps_are_played_again_event_by_event_and_cue_by_cue(model, tmp_path):
    events = swaps(model, tmp_path / "a.jsonl")
    stream, again = ls.replay(tmp_path / "a.jsonl"), ls.trace(tmp_path / "b.jsonl")
    assert stream.parts == (1, 2, 3)
    recorder = ls.Recorder()
    ls.play(stream, [recorder, again], clock=ls.OfflineClock()).wait(30)
    assert said(recorder.events) == said(events)
    assert sum(isinstance(e, ls.Cue) and e.kind == "swap" for e in events) == 2
    pens = [[e.at for e in some if isinstance(e, ls.PenAction)] for some in (events, recorder.events)]
    assert np.diff(pens[1]) == pytest.approx(np.diff(pens[0]), abs=1e-6)
    heads = [
        [{**json.loads(line), "temperature": 0} for line in path.read_text().splitlines() if '"trace"' in line]
        for path in (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    ]
    assert heads[0] == heads[1]  # outputs were told of each stream, also of the voices
    only = play_out(ls.replay(tmp_path / "a.jsonl", part=2))
    assert {e.voice for e in only} == {0, 1, 2}


def test_names_begin_when_they_began_and_parts_on_a_new_clock_follow(tmp_path):
    path = write(
        tmp_path / "a.jsonl", header(), pen(5.0), pen(5.5, step=1), cue(8.1, "swap"),
        header("b"), pen(7.0, "b"), pen(7.25, "b", step=1),
        header(), pen(8.0, drawing=1), header(), pen(0.0, drawing=2), pen(0.5, drawing=2, step=1),
    )  # fmt: skip
    found = ls.replays(path)
    times = {name: [e.at for e in play_out(one) if isinstance(e, ls.PenAction)] for name, one in found.items()}
    assert times == {"a": [0.0, 0.5, 3.0, 3.0, 3.5], "b": [2.0, 2.25]}
    assert [e.at for e in play_out(ls.replay(path, "b")) if isinstance(e, ls.PenAction)] == [0.0, 0.25]


def test_a_player_that_stopped_lifts_its_pen_then_and_not_when_the_next_begins(tmp_path):
    path = write(tmp_path / "a.jsonl", header(), pen(0.0), cue(0.5, "hush"), header(), pen(9.0, step=1))
    lifts = []

    class Lifted(ls.Recorder):
        def lift(self):
            lifts.append(clock.now())

    clock = ls.OfflineClock()
    recorder = Lifted()
    assert ls.play(ls.replay(path), recorder, clock=clock).wait(10)
    assert lifts == [0.5, 9.0]
    kinds = [(e.at, getattr(e, "kind", "pen")) for e in recorder.events]
    assert kinds[2:6] == [(0.0, "pen"), (0.5, "stroke/end"), (0.5, "drawing/end"), (0.5, "hush")]
    assert kinds[6:] == [(9.0, kind) for kind in
                         ("drawing/begin", "stroke/begin", "pen", "stroke/end", "drawing/end", "hush")]  # fmt: skip


def test_several_names_through_the_command_line(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", header(), pen(5.0), header("b"), pen(5.1, "b"), header("b"), pen(5.2, "b"))
    assert main(["replay", str(path), "--osc", "127.0.0.1:9", "--times", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a: 1 steps", "b: 2 steps"]
    assert main(["replay", str(path), "--osc", "127.0.0.1:9", "--part", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == ["b: 1 steps"]


def test_a_recording_is_played_in_another_process(model, tmp_path):
    events = swaps(model, tmp_path / "a.jsonl")
    player = ls.play(ls.replay(tmp_path / "a.jsonl"), ls.trace(tmp_path / "b.jsonl"), engine="process")
    assert player.wait(60)
    assert player.fault() is None
    engine.close()
    again = play_out(ls.replay(tmp_path / "b.jsonl"))
    assert said(again) == said(events)


# Made again


def test_every_part_of_a_session_is_made_again(model, tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    events = [e for e in swaps(model, path) if isinstance(e, ls.PenAction)]
    found = remake(path, model)
    assert [(one.first_difference, one.unchecked, one.left_out) for one in found] == [("", "", 0)] * 3
    assert sum(one.events for one in found) == len(events)
    assert [one.given for one in found] == [0, 0, sum(e.source == "human" for e in events)]
    assert main(["replay", str(path), "--check", "--model", f"cat={model}"]) == 0
    assert capsys.readouterr().out.count("all the same") == 3
    assert main(["replay", str(path), "--check", "--model", model, "--part", "2"]) == 0
    assert capsys.readouterr().out.startswith("part 2: 'left', cat, seed 2: ")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_difference_in_any_part_is_told_and_the_others_are_checked(model, tmp_path, capsys, number):
    path = tmp_path / "a.jsonl"
    swaps(model, path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    inside, changed = 0, None
    for place, line in enumerate(lines):
        inside += "trace" in line
        if inside == number and line.get("event") == "pen" and line["source"] == "model" and not line["last"]:
            changed = place
    lines[changed]["dx"] += 1e-9
    write(path, *lines)
    found = remake(path, model)
    assert [bool(one.first_difference) for one in found] == [one.part == number for one in found]
    assert "dx" in found[number - 1].first_difference
    with pytest.raises(SystemExit, match="1"):
        main(["replay", str(path), "--check", "--model", model])
    assert capsys.readouterr().out.count("different") == 1


def test_what_cannot_be_checked_is_said_beside_what_can(model, tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    swaps(model, path)
    path.write_text(path.read_text() + json.dumps(header("left", model="of nobody")) + "\n"
                    + json.dumps(pen(1e9, "left")) + "\n")  # fmt: skip
    assert main(["replay", str(path), "--check", "--model", f"cat={model}"]) == 0
    out = capsys.readouterr().out
    assert out.count("all the same") == 3
    assert "part 4: 'left', of nobody, seed 1: not checked (1 events): " in out


def test_a_recorder_that_comes_in_the_middle_is_told_the_controls_and_checked_from_the_next_drawing(model, tmp_path):
    stream, sign = ls.sketch(model, seed=4), Sign()
    stream.label = "pig"
    player = ls.play(stream, sign, rate=2000)
    sign.wait(25)
    stream.temperature = 0.3
    sign.wait(25)
    player.to += (ls.trace(tmp_path / "a.jsonl"),)
    sign.wait(300)
    stream.begin(40)
    sign.wait(100)
    player.stop()
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert (found.first_difference, found.unchecked) == ("", "")
    assert found.events >= 40


def test_steps_that_were_taken_back_or_begun_anew_are_made_again(model, tmp_path):
    stream, trace = ls.sketch(model, seed=4), ls.trace(tmp_path / "a.jsonl")
    acts = {10: lambda: stream.rewind(4), 30: stream.restart, 50: lambda: stream.begin(17)}

    class Hand(ls.Recorder):
        def send(self, event):
            super().send(event)
            acts.pop(len(self.events), int)()

    player = ls.play(stream, [Hand(), trace], rate=50, clock=ls.OfflineClock(), then=lambda s: s if acts else None)
    assert player.wait(20)
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert (found.first_difference, found.unchecked, found.left_out) == ("", "", 0)
    assert not acts


def test_offline_drawings_are_made_again_with_what_they_were_asked_for(model, tmp_path):
    stream = ls.sketch(model, seed=4, temperature=0.3)
    stream.label = {"cat": 0.5, "pig": 0.5}
    ls.draw(stream, ls.trace(tmp_path / "a.jsonl"), n=2)
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert (found.first_difference, found.unchecked) == ("", "")


def test_texts_of_several_voices_and_texts_that_were_held(tmp_path):
    trace = ls.trace(tmp_path / "a.jsonl")
    streams = [ls.voices("wuyan", 3, seed=2), ls.text("wuyan", seed=3, form="五绝"), ls.text("wuyan@early", seed=4)]
    for stream in streams:
        play_to(stream, trace)
    many, held, plain = remake(tmp_path / "a.jsonl")
    assert (many.first_difference, many.unchecked, plain.first_difference, plain.unchecked) == ("", "", "", "")
    assert many.events > plain.events > 10
    assert "held" in held.unchecked
    again = play_out(ls.replay(tmp_path / "a.jsonl", part=1))
    assert {e.voice for e in again} == {0, 1, 2}


def play_to(stream, output):
    assert ls.play(stream, output, name="poet", rate=1000, then="stop", clock=ls.OfflineClock()).wait(20)


def test_strokes_that_were_fed_while_the_pen_was_up_are_made_again(model, tmp_path):
    stream, trace = ls.sketch(model, seed=4), ls.trace(tmp_path / "a.jsonl")
    fed = []

    class Hand(ls.Recorder):
        def send(self, event):
            super().send(event)
            if isinstance(event, ls.PenAction) and event.pen is ls.Pen.UP and event.source == "model" and not fed:
                fed.extend(stream.feed([[(0, 0), (9, 9), (20, 0)]]))
                stream.label = "pig"  # behind the strokes; the other way round they would be others

    player = ls.play(stream, [Hand(), trace], rate=50, clock=ls.OfflineClock(), then=lambda s: None if fed else s)
    assert player.wait(20)
    assert [(a.dx, a.dy) for a in fed] == [(0, 0), (9, 9), (11, -9)]
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert (found.first_difference, found.unchecked, found.given) == ("", "", 3)


@pytest.mark.slow
def test_what_was_played_in_another_process_is_made_again(model, tmp_path):
    stream, path = ls.sketch(model, seed=4), tmp_path / "a.jsonl"
    player = ls.play(stream, ls.trace(path), rate=2000, name="there", engine="process")
    wait_for(player, 40)
    stream.temperature = ls.lfo(0.2, 1.0, beats=0.2)
    player.stream.feed([[(0, 0), (9, 9), (20, 0)]])
    stream.label = "pig"
    wait_for(player, 80)
    many = ls.voices(model, 2, seed=8)
    player = ls.play(many, name="there", rate=2000, engine="process", quant="step")
    wait_for(player, 40)
    many.label = ["pig", "cat"]
    wait_for(player, 80)
    player.stop()
    engine.close()
    found = remake(path, model)
    assert [(one.first_difference, one.unchecked, one.left_out, one.given > 1) for one in found] == [
        ("", "", 0, True), ("", "", 0, False)
    ]  # fmt: skip


def wait_for(player, steps):
    assert player.error is None
    while player.stats().steps < steps:
        assert not player.wait(0.005)


# Another drawing


@pytest.mark.parametrize("kind", ["sketch", "text"])
def test_a_stream_begins_any_drawing_that_it_would_come_to(model, kind):
    def drawings(stream, n):
        return [[*(stream.drawing() if kind == "sketch" else stream.piece())] for _ in range(n)]

    make = {"sketch": lambda: ls.sketch(model, seed=5), "text": lambda: ls.text("wuyan", seed=5)}[kind]
    wanted, stream = drawings(make(), 3), make()
    with pytest.raises(ls.ControlError):
        stream.begin(-1)
    stream.take(7)
    assert drawings(stream.begin(1), 2) == wanted[1:]
    assert drawings(stream.begin(0), 1) == wanted[:1]
